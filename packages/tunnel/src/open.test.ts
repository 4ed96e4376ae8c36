import { ShipsideError } from "@shipside/core";
import { expect, test } from "vitest";
import { fakeCluster } from "./fixtures/fake-cluster.ts";
import { service } from "./fixtures/objects.ts";
import { ask } from "./fixtures/servers.ts";
import { localListeners, openTunnel, type TunnelOptions } from "./index.ts";

const memory = { stateFile: false } as const;

test.each<[string, TunnelOptions, string]>([
  ["an empty list of services", { services: [] }, "services"],
  ["a service that is no name", { services: ["Not_A_Name"] }, "Not_A_Name"],
  ["a namespace that is no name", { namespaces: ["a/b"] }, "a/b"],
  ["a home namespace that is no name", { namespace: "" }, "namespace"],
  ["an unknown kind of bind", { bind: "everything" as "pool" }, "everything"],
  ["a negative hold", { holdMs: -1 }, "holdMs"],
  ["a hold that is no number", { holdMs: "10s" as unknown as number }, "10s"],
  ["plugins that are no list", { plugins: {} as [] }, "plugins"],
])("%s is refused before anything is asked of the cluster", async (_what, options, named) => {
  const cluster = fakeCluster();
  await expect(openTunnel({ cluster, ...options })).rejects.toMatchObject({
    code: "TUNNEL_OPTIONS",
    message: expect.stringContaining(named),
    hint: expect.any(String),
  });
  expect(cluster.watched).toEqual([]);
});

test("a pool that is none", async () => {
  await expect(openTunnel({ cluster: fakeCluster(), pool: { cidr: "10.0.0.0" } })).rejects.toMatchObject({ code: "POOL_INVALID" });
});

test("an unknown service is named, with those there are, and nothing is left behind", async () => {
  const cluster = fakeCluster();
  cluster.put("services", service("leaf", [{ port: 23_010 }]));
  cluster.put("services", service("core", [{ port: 23_011 }]));
  await expect(openTunnel({ cluster, pool: memory, services: ["laef"] })).rejects.toMatchObject({
    code: "TUNNEL_SERVICE_UNKNOWN",
    hint: "it has core, leaf",
  });
  expect(cluster.openWatches).toBe(0);
});

test("an unknown namespace is told from an empty one", async () => {
  const cluster = fakeCluster("nowhere");
  await expect(openTunnel({ cluster, pool: memory })).rejects.toMatchObject({ code: "TUNNEL_NAMESPACE_UNKNOWN" });
  cluster.get = async () => ({ metadata: { name: "nowhere" } }) as never;
  await using tunnel = await openTunnel({ cluster, pool: memory });
  expect(tunnel.services.size).toBe(0);
});

test("an empty namespace of a user who may not read namespaces", async () => {
  const cluster = fakeCluster();
  cluster.get = async () => {
    throw new ShipsideError("KUBE_FORBIDDEN", "may not get namespaces");
  };
  await using tunnel = await openTunnel({ cluster, pool: memory });
  expect(tunnel.services.size).toBe(0);
});

test("forbidden watches and an unreachable server reject with the cluster's own error, and leave nothing behind", async () => {
  const cluster = fakeCluster();
  cluster.forbid("endpointslices", "home");
  await expect(openTunnel({ cluster, pool: memory })).rejects.toMatchObject({ code: "KUBE_FORBIDDEN" });
  expect(cluster.openWatches).toBe(0);

  const dead = fakeCluster();
  dead.version = async () => {
    throw new ShipsideError("KUBE_UNREACHABLE", "no answer");
  };
  await expect(openTunnel({ cluster: dead, pool: memory })).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });
  expect(dead.openWatches).toBe(0);
});

test("a pool that is too small rejects, and no listener stays", async () => {
  const cluster = fakeCluster();
  for (let i = 0; i < 5; i++) cluster.put("services", service(`s${i}`, [{ port: 23_200 }]));
  const made: string[] = [];
  await using inner = localListeners();
  const listeners = {
    ...inner,
    listen: (request: { address: string; port: number }) => {
      made.push(`${request.address}:${request.port}`);
      return inner.listen(request);
    },
  };
  await expect(openTunnel({ cluster, pool: { ...memory, cidr: "127.72.0.0/30" }, listeners })).rejects.toMatchObject({
    code: "POOL_EXHAUSTED",
  });
  expect(made).toHaveLength(3);
  for (const address of made) await expect(ask(address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  expect(cluster.openWatches).toBe(0);
});

test("an abort ends the opening, at whatever moment", async () => {
  const cluster = fakeCluster();
  const reason = new Error("enough");
  await expect(openTunnel({ cluster, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(cluster.watched).toEqual([]);

  const controller = new AbortController();
  cluster.version = () => new Promise(() => {});
  const opening = openTunnel({ cluster, pool: memory, signal: controller.signal });
  await expect.poll(() => cluster.openWatches).toBe(2);
  controller.abort(reason);
  await expect(opening).rejects.toBe(reason);
  expect(cluster.openWatches).toBe(0);
});

test("an abort after the opening is nobody's business", async () => {
  const cluster = fakeCluster();
  cluster.put("services", service("leaf", [{ port: 23_010 }]));
  const controller = new AbortController();
  await using tunnel = await openTunnel({ cluster, pool: memory, signal: controller.signal });
  controller.abort();
  await new Promise(setImmediate);
  expect(tunnel.services.get("home/leaf")?.ports[0]?.state).toBe("listening");
});

test("without a kubeconfig the error is kube's", async () => {
  await expect(openTunnel({ kubeconfig: "/nowhere/at/all" })).rejects.toMatchObject({ code: expect.stringMatching(/^KUBE_/) });
});
