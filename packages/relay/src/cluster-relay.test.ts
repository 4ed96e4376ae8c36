import { getEventListeners, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startWorld, type World } from "./fixtures/world.ts";
import { type ClusterRelayEvent, clusterRelay, RELAY_LABEL, relayError } from "./index.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(() => world[Symbol.asyncDispose]());

const signal = new AbortController().signal;
const deployments = (namespace: string): string[] =>
  world.embedded.store
    .list("deployments.apps", namespace)
    .flatMap(({ metadata }) => (metadata.labels?.[RELAY_LABEL] ? [metadata.name] : []));
const target = { namespace: "x", service: "x", port: 80, protocol: "TCP" } as const;

test("nothing is deployed before the first dial, one relay serves all, and closing removes it", async () => {
  const { cluster, namespace } = world;
  const events: ClusterRelayEvent[] = [];
  await using relay = clusterRelay({ cluster, namespace, owner: "ann@desk", onEvent: (event) => events.push(event) });
  const dialer = relay.dialerFactory().create({ logger: console, portForward: () => Promise.reject(new Error("not asked")) });
  expect(deployments(namespace)).toEqual([]);
  // The relay's own health port, as seen from the relay.
  const dial = () => dialer.dial({ target, endpoint: { address: "127.0.0.1", port: 28_601 }, signal });
  const streams = await Promise.all([dial(), dial(), dial()]);
  expect(deployments(namespace)).toHaveLength(1);
  for (const stream of streams) {
    stream.end("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(String((await once(stream, "data"))[0])).toMatch(/^HTTP\/1.1 200/);
    stream.on("error", () => {});
    stream.destroy();
  }
  await relay.close();
  expect(deployments(namespace)).toEqual([]);
  expect(events.map(({ kind }) => kind)).toEqual(["deploying", "ready", "removed"]);
  await expect(dial()).rejects.toMatchObject({ code: "DIAL_FAILED" });
});

test("a relay that was removed under us is deployed anew with the next dial", async () => {
  const { cluster, namespace, embedded } = world;
  const failed = vi.fn();
  await using relay = clusterRelay({
    cluster,
    namespace,
    owner: "ann@desk",
    onEvent: (event) => event.kind === "failed" && failed(),
  });
  await relay.link(signal);
  const [first] = deployments(namespace);
  embedded.store.remove("deployments.apps", namespace, first!);
  await vi.waitFor(() => expect(failed).toHaveBeenCalled(), { timeout: 15_000 });
  const link = await relay.link(signal);
  await expect(link.connect("127.0.0.1:1")).rejects.toMatchObject({ code: "DIAL_REFUSED" });
  expect(deployments(namespace)).not.toContain(first);
});

/** The cluster, but for what is given. */
const clusterWith = (more: Partial<Cluster>): Cluster => ({ ...world.cluster, ...more }) as Cluster;
const refused = () => Promise.reject(relayError("DIAL_FAILED", "a proxy on the way refuses upgrades"));

test("whoever has the link leaves nothing on the signal that it gave", async () => {
  const { cluster, namespace } = world;
  await using relay = clusterRelay({ cluster, namespace, owner: "ann@desk" });
  const { signal: long } = new AbortController();
  for (let count = 0; count < 3; count++) await relay.link(long);
  expect(getEventListeners(long, "abort")).toEqual([]);
});

test("one whose link ended is gone too when it is closed", async () => {
  const { namespace, embedded } = world;
  const before = deployments(namespace);
  let forbidden = false;
  const failed = vi.fn();
  const cluster = clusterWith({
    portForward: (...asked) =>
      forbidden
        ? Promise.reject(Object.assign(new Error("no right any more"), { code: "KUBE_FORBIDDEN" }))
        : world.cluster.portForward(...asked),
    delete: async (...asked) => {
      await sleep(1_000);
      await world.cluster.delete(...asked);
    },
  });
  const relay = clusterRelay({ cluster, namespace, owner: "ann@desk", onEvent: ({ kind }) => kind === "failed" && failed() });
  await relay.link(signal);
  forbidden = true;
  const [pod] = embedded.store.list("pods", namespace).filter(({ metadata }) => metadata.labels?.[RELAY_LABEL] !== undefined);
  await embedded.faults.killPod(namespace, pod!.metadata.name);
  await vi.waitFor(() => expect(failed).toHaveBeenCalled(), { timeout: 15_000, interval: 5 });
  await relay.close();
  expect(deployments(namespace)).toEqual(before);
}, 30_000);

test("one that can't be linked to is told in time with the reason; that it can't be removed either, too", async () => {
  const { namespace } = world;
  const warn = vi.fn();
  const denied = async () => {
    throw Object.assign(new Error("somebody else's finaliser"), { code: "KUBE_REQUEST_FAILED" });
  };
  const cluster = clusterWith({ portForward: refused, delete: denied });
  await using relay = clusterRelay({ cluster, namespace, owner: "ann@desk", logger: { ...silentLogger, warn } });
  await expect(relay.link(AbortSignal.timeout(40_000))).rejects.toMatchObject({
    code: "RELAY_LINK_LOST",
    message: expect.stringMatching(/^no link to the relay \S+ within 15 s: a proxy on the way refuses upgrades$/),
    hint: expect.any(String),
  });
  const [left] = deployments(namespace);
  const told = { relay: `${namespace}/${left}`, error: "somebody else's finaliser" };
  expect(warn.mock.calls).toEqual([["a relay could not be removed", told]]);
  world.embedded.store.remove("deployments.apps", namespace, left!);
}, 60_000);

test("a relay that can't be had is told with its reason, and is not tried for every client", async () => {
  const { cluster, namespace } = world;
  const events: string[] = [];
  await using relay = clusterRelay({
    ...{ cluster, namespace, owner: "ann@desk", image: "Not An Image" },
    onEvent: (event) => events.push(event.kind),
  });
  const attempts = await Promise.allSettled([relay.link(signal), relay.link(signal)]);
  attempts.push(...(await Promise.allSettled([relay.link(signal)])));
  for (const attempt of attempts) expect(attempt).toMatchObject({ reason: { code: "RELAY_IMAGE_UNAVAILABLE" } });
  expect(events).toEqual(["deploying", "failed"]);
});
