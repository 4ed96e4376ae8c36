import type { Resource } from "./resources.ts";

/** Discovery documents: what `/api`, `/apis` and each group version answer, plain and aggregated (KEP-3352). */
export interface Discovery {
  /** The document at a path, or undefined. `aggregated`: the version asked for by `g=apidiscovery.k8s.io;v=…;as=APIGroupDiscoveryList`. */
  document(path: string, aggregated?: "v2" | "v2beta1"): object | undefined;
}

const hash = (text: string): string => Buffer.from(text.slice(0, 8).padEnd(8, "-")).toString("base64");

/** What kubectl asks of a subresource: the kind it answers in, and the verbs. */
const SUBRESOURCES: Readonly<Record<string, { kind?: string; group?: string; version?: string; verbs: string[] }>> = {
  scale: { kind: "Scale", group: "autoscaling", version: "v1", verbs: ["get", "patch", "update"] },
  status: { verbs: ["get", "patch", "update"] },
  ephemeralcontainers: { verbs: ["get", "patch", "update"] },
  finalize: { verbs: ["update"] },
  log: { verbs: ["get"] },
  token: { kind: "TokenRequest", group: "authentication.k8s.io", version: "v1", verbs: ["create"] },
  eviction: { kind: "Eviction", group: "policy", version: "v1", verbs: ["create"] },
  binding: { kind: "Binding", verbs: ["create"] },
  attach: { kind: "PodAttachOptions", verbs: ["create", "get"] },
  exec: { kind: "PodExecOptions", verbs: ["create", "get"] },
  portforward: { kind: "PodPortForwardOptions", verbs: ["create", "get"] },
};

const responseKind = (group: string, version: string, kind: string): object => ({ group, version, kind });

export function discovery(resources: () => readonly Resource[], address: string): Discovery {
  const groups = (): Map<string, Map<string, Resource[]>> => {
    const out = new Map<string, Map<string, Resource[]>>();
    for (const resource of resources()) {
      const versions = out.get(resource.group) ?? new Map<string, Resource[]>();
      out.set(resource.group, versions);
      versions.set(resource.version, [...(versions.get(resource.version) ?? []), resource]);
    }
    return out;
  };

  const apiGroup = (name: string, versions: Iterable<string>): object => {
    const list = [...versions].map((version) => ({ groupVersion: `${name}/${version}`, version }));
    return { name, versions: list, preferredVersion: list[0] };
  };

  const resourceList = (group: string, version: string, list: Resource[]): object => ({
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: group ? `${group}/${version}` : version,
    resources: list.flatMap((resource) => [
      {
        name: resource.plural,
        singularName: resource.singular,
        namespaced: resource.namespaced,
        kind: resource.kind,
        verbs: resource.verbs,
        ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }),
        ...(resource.categories.length > 0 && { categories: resource.categories }),
        ...(resource.verbs.includes("list") && { storageVersionHash: hash(resource.key) }),
      },
      ...resource.subresources.map((name) => {
        const sub = SUBRESOURCES[name]!;
        return {
          name: `${resource.plural}/${name}`,
          singularName: "",
          namespaced: resource.namespaced,
          ...(sub.group && { group: sub.group, version: sub.version }),
          kind: sub.kind ?? resource.kind,
          verbs: sub.verbs,
        };
      }),
    ]),
  });

  const aggregatedGroup = (name: string, versions: Map<string, Resource[]>): object => ({
    metadata: { ...(name && { name }), creationTimestamp: null },
    versions: [...versions].map(([version, list]) => ({
      version,
      freshness: "Current",
      resources: list.map((resource) => ({
        resource: resource.plural,
        responseKind: responseKind(resource.group, resource.version, resource.kind),
        scope: resource.namespaced ? "Namespaced" : "Cluster",
        singularResource: resource.singular,
        verbs: resource.verbs,
        ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }),
        ...(resource.categories.length > 0 && { categories: resource.categories }),
        ...(resource.subresources.length > 0 && {
          subresources: resource.subresources.map((name) => {
            const sub = SUBRESOURCES[name]!;
            return {
              subresource: name,
              responseKind: responseKind(sub.group ?? resource.group, sub.version ?? resource.version, sub.kind ?? resource.kind),
              verbs: sub.verbs,
            };
          }),
        }),
      })),
    })),
  });

  const aggregatedList = (version: string, items: object[]): object => ({
    kind: "APIGroupDiscoveryList",
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items,
  });

  return {
    document(path, aggregated) {
      const parts = path.split("/").filter(Boolean);
      const all = groups();
      if (parts[0] === "api" && parts.length === 1) {
        if (aggregated) return aggregatedList(aggregated, [aggregatedGroup("", all.get("")!)]);
        return {
          kind: "APIVersions",
          versions: ["v1"],
          serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: address }],
        };
      }
      if (parts[0] === "api" && parts.length === 2) {
        const list = all.get("")?.get(parts[1]!);
        return list && resourceList("", parts[1]!, list);
      }
      if (parts[0] !== "apis" || parts.length > 3) return undefined;
      if (parts.length === 1) {
        const named = [...all].filter(([name]) => name !== "");
        if (aggregated) {
          return aggregatedList(
            aggregated,
            named.map(([name, versions]) => aggregatedGroup(name, versions)),
          );
        }
        return { kind: "APIGroupList", apiVersion: "v1", groups: named.map(([name, versions]) => apiGroup(name, versions.keys())) };
      }
      const versions = all.get(parts[1]!);
      if (!versions || parts[1] === "") return undefined;
      if (parts.length === 2) return { kind: "APIGroup", apiVersion: "v1", ...apiGroup(parts[1]!, versions.keys()) };
      const list = versions.get(parts[2]!);
      return list && resourceList(parts[1]!, parts[2]!, list);
    },
  };
}
