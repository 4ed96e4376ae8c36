import { once } from "node:events";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startWorld, type World } from "./fixtures/world.ts";
import { type ClusterRelayEvent, clusterRelay, RELAY_LABEL } from "./index.ts";

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
