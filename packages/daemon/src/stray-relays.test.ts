import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, connectCluster, SERVICES } from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { developer } from "./developer.ts";
import { openJournal } from "./journal.ts";
import { strayRelays } from "./stray-relays.ts";

let embedded: EmbeddedCluster;
let cluster: Cluster;
let stateDir: string;
const { signal } = new AbortController();
const namespace = "shop";
/** No process has it: the highest that Linux gives is 2^22. */
const GONE = 2 ** 22 + 1;

beforeAll(async () => {
  embedded = await startCluster({ node: false });
  cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
  stateDir = await mkdtemp(join(tmpdir(), "shipside-stray-"));
  await embedded.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }]);
});
afterAll(async () => {
  await cluster.close();
  await embedded.close();
  await rm(stateDir, { recursive: true });
});

const relay = (name: string, { owner = developer().holder, pid = GONE } = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: {
    ...{ name, namespace, labels: { "shipside.dev/relay": name } },
    annotations: { "shipside.dev/owner": owner, "shipside.dev/record": `${pid}-0123abcd-4567cdef` },
  },
  spec: {
    replicas: 0,
    selector: { matchLabels: { r: name } },
    template: { metadata: { labels: { r: name } }, spec: { containers: [{ name: "relay", image: "node:24" }] } },
  },
});

const intercepted = (name: string, by: string) => {
  const record = {
    relay: `shipside-${name}-1`,
    original: { app: name },
    switched: { app: `shipside-${name}-1` },
    by,
    since: "2026",
  };
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace, annotations: { "shipside.dev/intercept": JSON.stringify(record) } },
    spec: { selector: record.switched, ports: [{ port: 80 }] },
  };
};

const names = (): string[] =>
  embedded.store
    .list("deployments.apps", namespace)
    .map(({ metadata }) => metadata.name)
    .sort();

test("what no journal knows is found and undone; what others have, what runs, and what a journal knows stays", async () => {
  const mine = developer().holder;
  const other = "bob@desk";
  await using journal = openJournal(stateDir);
  await journal.record({ kind: "cluster-object", data: { name: "shipside-known-1" } });
  await embedded.apply([
    relay("shipside-lost-1"),
    relay("shipside-known-1"),
    relay("shipside-running-1", { pid: process.pid }),
    relay("shipside-bobs-1", { owner: other }),
    intercepted("web", mine),
    intercepted("api", other),
  ]);
  const found = await strayRelays(cluster, namespace, stateDir, signal);
  expect(found.map(({ what }) => what)).toEqual(["intercept of service shop/web, since 2026", "relay shop/shipside-lost-1"]);
  for (const each of found) expect(await each.undo(signal)).toBeUndefined();
  expect(names()).toEqual(["shipside-bobs-1", "shipside-known-1", "shipside-running-1"]);
  const selectorOf = async (name: string): Promise<unknown> => (await cluster.get(SERVICES, { namespace, name })).spec.selector;
  expect(await selectorOf("web")).toEqual({ app: "web" });
  expect(await selectorOf("api")).toEqual({ app: "shipside-api-1" });
  expect(await strayRelays(cluster, namespace, stateDir, signal)).toEqual([]);
  // Twice is as well.
  for (const each of found) expect(await each.undo(signal)).toBeUndefined();
});
