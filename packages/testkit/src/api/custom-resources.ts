import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import type { CustomKind, Resource } from "./resources.ts";

/** The kinds that a CustomResourceDefinition adds: plain storage, its printer columns, and a status if it asks for one. */
export function customResources(crd: KubeJson): Resource[] {
  const { group, names, scope, versions } = crd["spec"];
  return (versions as Json[])
    .filter((version) => version.served)
    .map((version) => {
      const kind: CustomKind = {
        storageVersion: (versions as Json[]).find((candidate) => candidate.storage).name,
        columns: (version.additionalPrinterColumns ?? []) as CustomKind["columns"],
      };
      return {
        group,
        version: version.name,
        plural: names.plural,
        singular: names.singular ?? names.kind.toLowerCase(),
        kind: names.kind,
        namespaced: scope === "Namespaced",
        shortNames: names.shortNames ?? [],
        categories: names.categories ?? [],
        verbs: ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
        subresources: Object.keys(version.subresources ?? {}),
        key: `${names.plural}.${group}`,
        custom: kind,
      };
    });
}
