import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCloser } from "@shipside/core";
import { type Cluster, CONFIG_MAPS, type ConfigMap, connectCluster, NAMESPACES, SERVICES, type Service } from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Journal, openJournal } from "../journal.ts";
import { readJournals } from "../journal-files.ts";
import { recover } from "../recover.ts";
import { makeClusterObject, RECORD_ANNOTATION } from "./cluster-object.ts";
import { makeClusterPatch } from "./cluster-patch.ts";
import type { Undone } from "./kind.ts";
import { recordCluster } from "./recorded-cluster.ts";

const closer = createCloser();
let embedded: EmbeddedCluster;
let cluster: Cluster;
let kubeconfig: string;
let dir: string;
let stateDir: string;
let journal: Journal;

beforeAll(async () => {
  embedded = closer.use(await startCluster({ node: false, controllers: false }));
  kubeconfig = embedded.kubeconfigPath;
  cluster = closer.use(await connectCluster({ kubeconfig, namespace: "shop" }));
  await cluster.create(NAMESPACES, { metadata: { name: "shop" } });
});
afterAll(() => closer.close());

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-residue-"));
  stateDir = join(dir, "state");
  journal = openJournal(stateDir);
});
afterEach(async () => {
  await journal.close();
  await rm(dir, { recursive: true });
  for (const type of [CONFIG_MAPS, SERVICES])
    for (const { metadata } of await cluster.list(type, { namespace: "shop" })) await cluster.delete(type, metadata);
});

const map = (name: string, data: Record<string, string> = {}): ConfigMap => ({ metadata: { name }, data });
/** Every namespace has this one of its own. */
const ROOT_CA = "kube-root-ca.crt";
const names = async (): Promise<string[]> =>
  (await cluster.list(CONFIG_MAPS, { namespace: "shop" })).flatMap(({ metadata: { name } }) => (name === ROOT_CA ? [] : [name]));
/** As after a crash: everything on record is anybody's. */
const crash = (): Promise<void> => journal.close();

test("an object that was made is deleted by whoever finds the record, and only it", async () => {
  await makeClusterObject(journal, { cluster, kubeconfig }, CONFIG_MAPS, map("ours"), "s1");
  await cluster.create(CONFIG_MAPS, map("theirs"));
  const record = await readFile(journal.pathOf("s1"), "utf8");
  await crash();
  const { undone, failed } = await recover({ stateDir });
  expect([undone.map(({ what }) => what), failed]).toEqual([["configmap shop/ours in context shipside"], []]);
  expect(await names()).toEqual(["theirs"]);
  // What a journal says of the cluster is where it is, and nothing that opens it.
  expect(record).toContain(kubeconfig);
  expect(record).not.toMatch(/token|BEGIN|client-key/);
});

test("made and removed in good order: gone, and off the record", async () => {
  const { object, remove } = await makeClusterObject(journal, { cluster, kubeconfig }, CONFIG_MAPS, map("ours", { a: "1" }));
  expect(object).toMatchObject({ data: { a: "1" }, metadata: { labels: { "app.kubernetes.io/managed-by": "shipside" } } });
  await remove();
  expect([await names(), journal.outstanding]).toEqual([[], []]);
});

test("an object of the same name that somebody else made is never deleted, whenever they made it", async () => {
  const before = map("before");
  await cluster.create(CONFIG_MAPS, before);
  await expect(makeClusterObject(journal, { cluster, kubeconfig }, CONFIG_MAPS, before)).rejects.toMatchObject({
    code: "KUBE_CONFLICT",
  });
  expect(journal.outstanding).toEqual([]);
  await makeClusterObject(journal, { cluster, kubeconfig }, CONFIG_MAPS, map("after"));
  await cluster.delete(CONFIG_MAPS, { name: "after" });
  await cluster.create(CONFIG_MAPS, map("after"));
  await crash();
  expect(await recover({ stateDir })).toMatchObject({ undone: [{ gone: true }], failed: [] });
  expect(await names()).toEqual(["after", "before"]);
  expect((await recover({ stateDir })).undone).toEqual([]);
});

test("an answer that was lost: the object was made, and goes", async () => {
  let ask = 0;
  const forgetful = Object.create(cluster, {
    create: {
      value: async (...args: Parameters<Cluster["create"]>) => {
        await cluster.create(...args);
        ask++;
        throw Object.assign(new Error("no answer"), { code: "KUBE_TIMEOUT" });
      },
    },
  }) as Cluster;
  await expect(makeClusterObject(journal, { cluster: forgetful, kubeconfig }, CONFIG_MAPS, map("x"))).rejects.toThrow("no answer");
  expect([ask, await names(), journal.outstanding]).toEqual([1, [], []]);
});

const service = (): Service => ({ metadata: { name: "web" }, spec: { selector: { app: "web" }, ports: [{ port: 80 }] } });
const selector = async (): Promise<unknown> => (await cluster.get(SERVICES, { name: "web" })).spec.selector;
async function switched(): Promise<{ uid: string; revert(): Promise<Undone> }> {
  const { metadata } = await cluster.create(SERVICES, service());
  const change = await makeClusterPatch(
    journal,
    { cluster, kubeconfig },
    SERVICES,
    {
      ref: { name: "web" },
      uid: metadata.uid!,
      change: [
        { op: "test", path: "/spec/selector/app", value: "web" },
        { op: "replace", path: "/spec/selector/app", value: "relay" },
      ],
      undo: [
        { op: "test", path: "/spec/selector/app", value: "relay" },
        { op: "replace", path: "/spec/selector/app", value: "web" },
      ],
    },
    "s1",
  );
  return { uid: metadata.uid!, revert: change.revert };
}

test("a change is taken back by whoever finds the record", async () => {
  await switched();
  expect(await selector()).toEqual({ app: "relay" });
  await crash();
  const { undone } = await recover({ stateDir });
  expect(undone).toMatchObject([{ what: "the change of service shop/web in context shipside" }]);
  expect(undone[0]).not.toHaveProperty("said");
  expect(undone[0]).not.toHaveProperty("gone");
  expect(await selector()).toEqual({ app: "web" });
});

test("a change is taken back in good order, once", async () => {
  const { revert } = await switched();
  expect(await revert()).toEqual({});
  expect([await selector(), journal.outstanding]).toEqual([{ app: "web" }, []]);
});

test("an object that was edited, made anew or deleted since is borne, and that is said", async () => {
  await switched();
  await cluster.patch(SERVICES, { name: "web" }, { spec: { selector: { app: "mine" } } }, { kind: "merge" });
  await crash();
  expect((await recover({ stateDir })).undone[0]).toMatchObject({
    gone: true,
    said: expect.stringContaining("isn't as shipside left it"),
  });
  expect(await selector()).toEqual({ app: "mine" });

  journal = openJournal(stateDir);
  await cluster.delete(SERVICES, { name: "web" });
  await switched();
  await cluster.delete(SERVICES, { name: "web" });
  await cluster.create(SERVICES, { ...service(), spec: { ...service().spec, selector: { app: "relay" } } });
  await crash();
  expect((await recover({ stateDir })).undone[0]).toMatchObject({
    gone: true,
    said: expect.stringContaining("was made anew since"),
  });
  expect(await selector()).toEqual({ app: "relay" });

  journal = openJournal(stateDir);
  await cluster.delete(SERVICES, { name: "web" });
  await switched();
  await cluster.delete(SERVICES, { name: "web" });
  await crash();
  expect((await recover({ stateDir })).undone[0]).toMatchObject({ gone: true, said: "the service is gone" });
  expect(await readJournals(stateDir)).toEqual([]);
});

test("a cluster that is away keeps its residue on record and holds up nothing else", async () => {
  await makeClusterObject(journal, { cluster, kubeconfig }, CONFIG_MAPS, map("one"), "s1");
  await makeClusterObject(journal, { cluster, kubeconfig }, CONFIG_MAPS, map("two"), "s1");
  await journal.record({ kind: "directory", data: { path: join(tmpdir(), "shipside-run-gone") } }, "s1");
  await crash();
  expect((await recover({ stateDir, where: "machine" })).waiting).toHaveLength(2);
  await embedded.stop();
  try {
    const began = performance.now();
    const { undone, failed } = await recover({ stateDir, connections: { requestTimeoutMs: 1_000 } });
    expect([undone, failed.map(({ error }) => "code" in error && error.code)]).toEqual([
      [],
      ["KUBE_UNREACHABLE", "KUBE_UNREACHABLE"],
    ]);
    expect(performance.now() - began).toBeLessThan(15_000);
  } finally {
    await embedded.start();
  }
  expect((await recover({ stateDir })).undone.map(({ what }) => what)).toEqual([
    "configmap shop/two in context shipside",
    "configmap shop/one in context shipside",
  ]);
  expect(await names()).toEqual([]);
});

test("a context that leads elsewhere by now isn't followed; another kubeconfig for the same server is", async () => {
  const own = join(dir, "kubeconfig");
  await writeFile(own, await readFile(kubeconfig));
  await makeClusterObject(journal, { cluster, kubeconfig: own }, CONFIG_MAPS, map("ours"));
  await crash();
  await writeFile(own, (await readFile(kubeconfig, "utf8")).replace(embedded.server, "https://127.0.0.1:1"));
  expect((await recover({ stateDir })).failed.map(({ error }) => error.message)).toEqual([
    expect.stringContaining("leads to https://127.0.0.1:1"),
  ]);
  await rm(own);
  expect((await recover({ stateDir })).failed).toHaveLength(1);
  expect((await recover({ stateDir, connections: { instead: { kubeconfig } } })).undone).toHaveLength(1);
  expect(await names()).toEqual([]);
});

test("a library that knows no journal creates through a recorded cluster", async () => {
  const recorded = recordCluster(journal, { cluster, kubeconfig }, "s1");
  const deployed = await recorded.cluster.create(CONFIG_MAPS, map("owner"));
  expect(deployed.metadata.annotations?.[RECORD_ANNOTATION]).toBeDefined();
  const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: deployed.metadata.uid! }];
  await recorded.cluster.create(CONFIG_MAPS, { metadata: { name: "owned", ownerReferences } });
  await recorded.cluster.create(CONFIG_MAPS, map("other"));
  expect(recorded.cluster.info.namespace).toBe("shop");
  expect(journal.outstanding.map(({ data }) => data["name"])).toEqual(["owner", "other"]);
  await recorded.cluster.delete(CONFIG_MAPS, { name: "other" });
  expect(journal.outstanding.map(({ data }) => data["name"])).toEqual(["owner"]);
  await recorded.close();
  expect([await names(), journal.outstanding]).toEqual([["owned"], []]);
});
