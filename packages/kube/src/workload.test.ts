import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { type Answer, sendJson, sendStatus } from "./fixtures/fake-api.ts";
import { world } from "./fixtures/world.ts";
import { byPreference, livePod, meantPod } from "./live-pod.ts";
import type { Pod } from "./objects.ts";
import { resolveWorkload } from "./workload.ts";
import { parseReference } from "./workload-kinds.ts";

type Objects = Record<string, Array<{ metadata: Record<string, unknown>; [field: string]: unknown }>>;

const container = { name: "c" };
const template = (app: string) => ({ metadata: { labels: { app } }, spec: { containers: [container] } });
const controller = (namespace: string, name: string) => ({
  metadata: { namespace, name, uid: `${namespace}-${name}` },
  spec: { selector: { matchLabels: { app: name } }, template: template(name) },
});
const owner = (uid: string) => ({ ownerReferences: [{ apiVersion: "x", kind: "x", name: "x", uid, controller: true }] });
const pod = (
  name: string,
  ownerUid: string | undefined,
  more: { phase?: string; ready?: boolean; at?: string; deleted?: boolean; labels?: Record<string, string> } = {},
) => ({
  metadata: {
    namespace: "shop",
    name,
    uid: `pod-${name}`,
    labels: more.labels ?? { app: "core" },
    creationTimestamp: more.at ?? "2026-01-01T00:00:00Z",
    ...(more.deleted && { deletionTimestamp: "2026-01-02T00:00:00Z" }),
    ...(ownerUid && owner(ownerUid)),
  },
  spec: { containers: [container] },
  status: {
    phase: more.phase ?? "Running",
    conditions: [{ type: "Ready", status: String(more.ready ?? true) === "true" ? "True" : "False" }],
  },
});

const objects: Objects = {
  namespaces: [{ metadata: { name: "shop" } }, { metadata: { name: "payments" } }],
  deployments: [controller("shop", "core"), controller("payments", "billing"), controller("shop", "twin")],
  statefulsets: [controller("shop", "database"), controller("shop", "twin")],
  replicasets: [
    {
      ...controller("shop", "core-5d"),
      metadata: { namespace: "shop", name: "core-5d", uid: "rs1", labels: { app: "core" }, ...owner("shop-core") },
    },
  ],
  cronjobs: [
    {
      metadata: { namespace: "shop", name: "nightly", uid: "cj" },
      spec: { schedule: "@daily", jobTemplate: { spec: { template: template("nightly") } } },
    },
  ],
  jobs: [
    { metadata: { namespace: "shop", name: "nightly-1", uid: "job1", ...owner("cj") }, spec: { template: template("nightly") } },
  ],
  pods: [
    pod("core-old", "rs1", { at: "2026-01-01T00:00:00Z" }),
    pod("core-new", "rs1", { at: "2026-01-05T00:00:00Z" }),
    pod("core-starting", "rs1", { at: "2026-01-09T00:00:00Z", ready: false }),
    pod("core-going", "rs1", { at: "2026-01-09T00:00:00Z", deleted: true }),
    pod("core-stranger", "rs-of-another", { at: "2026-01-09T00:00:00Z" }),
    pod("nightly-1-x", "job1", { labels: { "job-name": "nightly-1" } }),
    pod("debug", undefined),
  ],
};

/** Enough of an API server to find things: get, list in one or all namespaces, equality selectors and `job-name in (…)`. */
function serve(state: Objects, forbidden: (request: IncomingMessage) => boolean = () => false): Answer {
  return (request, response) => {
    if (forbidden(request))
      return sendStatus(response, 403, "Forbidden", 'x is forbidden: User "u" cannot list resource "x" in API group ""');
    const url = new URL(request.url!, "https://x");
    const [, namespace, plural, name] =
      /^\/apis?\/(?:v1|[\w.]+\/v1)(?:\/namespaces\/([^/]+)(?=\/))?\/([a-z]+)(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
    const all = (state[plural!] ?? []).filter(({ metadata }) => namespace === undefined || metadata["namespace"] === namespace);
    if (name) {
      const found = all.find(({ metadata }) => metadata["name"] === name);
      return found
        ? sendJson(response, 200, found)
        : sendStatus(response, 404, "NotFound", `${plural} "${name}" not found`, { name, kind: plural });
    }
    const selector = url.searchParams.get("labelSelector");
    const matches = (labels: Record<string, string> = {}): boolean => {
      if (!selector) return true;
      const [, key, values] = /^(\S+) in \((.*)\)$/.exec(selector) ?? [];
      if (key) return values!.split(",").includes(labels[key] ?? "");
      return selector.split(",").every((part) => labels[part.split("=")[0]!] === part.split("=")[1]);
    };
    sendJson(response, 200, {
      metadata: {},
      items: all.filter(({ metadata }) => matches(metadata["labels"] as Record<string, string>)),
    });
  };
}

describe("references", () => {
  test("as kubectl takes them", () => {
    for (const reference of [
      "deployment/core",
      "deploy core",
      "Deployments/core",
      "deployments.apps/core",
      "deployment.v1.apps/core",
      ["deploy", "core"] as const,
    ]) {
      expect(parseReference(reference)).toMatchObject({ type: { plural: "deployments" }, name: "core" });
    }
    expect(parseReference("sts/x").type?.plural).toBe("statefulsets");
    expect(parseReference("cj/x").type?.plural).toBe("cronjobs");
    expect(parseReference("po/x").type?.plural).toBe("pods");
    expect(parseReference("core").type).toBeUndefined();
  });

  test("an unknown kind lists the known ones", () => {
    expect(() => parseReference("rollout/core")).toThrow(
      expect.objectContaining({
        code: "KUBE_KIND_UNKNOWN",
        hint: expect.stringContaining("deployment (deploy), statefulset (sts)"),
      }),
    );
    expect(() => parseReference("deploymnt/core")).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("did you mean deployment") }),
    );
  });

  test("what is no reference", () => {
    for (const bad of ["", "a/b/c", "deployment/", "/core", "a b c"]) {
      expect(() => parseReference(bad)).toThrow(expect.objectContaining({ code: "KUBE_OPTION_INVALID" }));
    }
  });
});

describe("resolving", () => {
  test("kinds have their pod template in different places", async () => {
    await using w = await world(serve(objects));
    const found = await resolveWorkload(w.cluster, "deploy/core");
    expect(found).toMatchObject({
      kind: "deployment",
      namespace: "shop",
      name: "core",
      podLabels: { app: "core" },
      selector: { matchLabels: { app: "core" } },
      podSpec: { containers: [container] },
    });
    expect(await resolveWorkload(w.cluster, "cj/nightly")).toMatchObject({
      kind: "cronjob",
      podLabels: { app: "nightly" },
      selector: undefined,
      podSpec: { containers: [container] },
    });
    expect(await resolveWorkload(w.cluster, "pod/debug")).toMatchObject({
      kind: "pod",
      podLabels: { app: "core" },
      podSpec: { containers: [container] },
    });
    expect(await resolveWorkload(w.cluster, "deploy/billing", { namespace: "payments" })).toMatchObject({ namespace: "payments" });
  });

  test("a bare name: the only one, or which there are", async () => {
    await using w = await world(serve(objects));
    expect((await resolveWorkload(w.cluster, "database")).kind).toBe("statefulset");
    await expect(resolveWorkload(w.cluster, "twin")).rejects.toMatchObject({
      code: "KUBE_WORKLOAD_AMBIGUOUS",
      details: { choices: ["deployment/twin", "statefulset/twin"] },
    });
  });

  test("unknown: near misses by name, in other kinds and namespaces", async () => {
    await using w = await world(serve(objects));
    const hint = async (reference: string): Promise<string> =>
      resolveWorkload(w.cluster, reference).then(
        () => "found",
        (error: Error & { code: string; hint: string }) => `${error.code}: ${error.message}; ${error.hint}`,
      );
    expect(await hint("deployment/coer")).toBe(
      'KUBE_WORKLOAD_UNKNOWN: deployment "coer" does not exist in namespace shop; did you mean deployment/core?',
    );
    expect(await hint("deployment/database")).toContain("did you mean statefulset/database?");
    expect(await hint("deployment/billing")).toContain("did you mean deployment/billing in namespace payments?");
    expect(await hint("zzzzzz")).toContain('there is no workload "zzzzzz" in namespace shop; nothing');
  });

  test("unknown, and only the own namespace may be listed", async () => {
    await using w = await world(serve(objects, ({ url }) => !/\/namespaces\/shop\//.test(url!)));
    await expect(resolveWorkload(w.cluster, "deploy/coer")).rejects.toMatchObject({
      code: "KUBE_WORKLOAD_UNKNOWN",
      details: { near: [{ kind: "deployment", namespace: "shop", name: "core" }] },
    });
  });

  test("a namespace that isn't there is told as that", async () => {
    await using w = await world(serve(objects));
    await expect(resolveWorkload(w.cluster, "deploy/core", { namespace: "shpo" })).rejects.toMatchObject({
      code: "KUBE_NAMESPACE_UNKNOWN",
      hint: "did you mean shop?",
    });
  });

  test("forbidden with a kind is forbidden", async () => {
    await using w = await world(serve(objects, () => true));
    await expect(resolveWorkload(w.cluster, "deploy/core")).rejects.toMatchObject({ code: "KUBE_FORBIDDEN" });
  });

  test("a name alone, where no kind may be read, is forbidden too", async () => {
    await using w = await world(serve(objects, ({ url }) => !url!.endsWith("/namespaces/shop")));
    await expect(resolveWorkload(w.cluster, "core")).rejects.toMatchObject({
      code: "KUBE_FORBIDDEN",
      details: { verb: "list", resource: "deployments" },
    });
  });

  test("a name alone that isn't in the kinds that may be read: the others are named, with what is missing", async () => {
    await using w = await world(serve(objects, ({ url }) => /deployments|daemonsets/.test(url!)));
    const error = await resolveWorkload(w.cluster, "core").catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({
      code: "KUBE_WORKLOAD_UNKNOWN",
      hint: expect.stringMatching(/\n.*deployments, daemonsets may not be read/),
    });
    expect((error as { cause: AggregateError }).cause.errors).toMatchObject([
      { code: "KUBE_FORBIDDEN" },
      { code: "KUBE_FORBIDDEN" },
    ]);
  });
});

describe("the live pod", () => {
  test("of a deployment: its own, running, ready before not ready, the newest", async () => {
    await using w = await world(serve(objects));
    expect((await livePod(w.cluster, await resolveWorkload(w.cluster, "deploy/core"))).metadata.name).toBe("core-new");
  });

  test("of a deployment, where replica sets may not be read: by selector", async () => {
    await using w = await world(serve(objects, ({ url }) => url!.includes("replicasets")));
    expect((await livePod(w.cluster, await resolveWorkload(w.cluster, "deploy/core"))).metadata.name).toBe("core-stranger");
  });

  test("of a cron job through its jobs, of a pod itself, and none", async () => {
    await using w = await world(serve(objects));
    expect((await livePod(w.cluster, await resolveWorkload(w.cluster, "cj/nightly"))).metadata.name).toBe("nightly-1-x");
    expect((await livePod(w.cluster, await resolveWorkload(w.cluster, "pod/debug"))).metadata.name).toBe("debug");
    await expect(livePod(w.cluster, await resolveWorkload(w.cluster, "sts/database"))).rejects.toMatchObject({
      code: "KUBE_NO_LIVE_POD",
    });
    await expect(livePod(w.cluster, await resolveWorkload(w.cluster, "pod/core-going"))).rejects.toMatchObject({
      code: "KUBE_NO_LIVE_POD",
      hint: "there is core-going (terminating)",
    });
  });

  test("of a StatefulSet: its first replica that runs, whichever is ready or newest", () => {
    const replica = (ordinal: number, more: Parameters<typeof pod>[2]): Pod => {
      const name = `db-${ordinal}`;
      return pod(name, "db", { ...more, labels: { "statefulset.kubernetes.io/pod-name": name } }) as unknown as Pod;
    };
    const pods = [
      replica(10, { ready: true }),
      replica(2, { ready: true, at: "2026-02-01T00:00:00Z" }),
      replica(1, { ready: false }),
    ];
    expect(pods.sort(byPreference).map(({ metadata }) => metadata.name)).toEqual(["db-1", "db-2", "db-10"]);
  });

  test("of a StatefulSet: the replica that was meant alone, whichever else runs", () => {
    const replica = (ordinal: number, more: Parameters<typeof pod>[2] = {}): Pod => {
      const name = `db-${ordinal}`;
      return pod(name, "db", { ...more, labels: { "statefulset.kubernetes.io/pod-name": name } }) as unknown as Pod;
    };
    const [going, other] = [{ ...replica(0), status: { phase: "Pending" } } as Pod, replica(1)];
    expect(meantPod([other, replica(0)])?.metadata.name).toBe("db-0");
    expect(meantPod([other, going])?.metadata.name).toBe("db-1");
    expect(meantPod([other, going], "db-0")).toBeUndefined();
    expect(meantPod([other, replica(0)], "db-1")?.metadata.name).toBe("db-1");
    const [old, fresh] = [pod("core-a", "core", {}), pod("core-b", "core", {})] as unknown as Pod[];
    expect(meantPod([fresh!], old!.metadata.name)?.metadata.name).toBe("core-b");
  });

  test("the order is total: no two answers for the same pods", () => {
    const pods = objects["pods"] as unknown as Pod[];
    const sorted = [...pods].sort(byPreference).map(({ metadata }) => metadata.name);
    expect(
      [...pods]
        .reverse()
        .sort(byPreference)
        .map(({ metadata }) => metadata.name),
    ).toEqual(sorted);
  });
});
