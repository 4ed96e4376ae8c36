import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, connectCluster, type ListOptions } from "@shipside/kube";
import { startCluster } from "@shipside/testkit";
import { expect, test } from "vitest";
import { createCallers } from "./callers.ts";

const pods = [
  { metadata: { namespace: "shop", name: "frontend-1" }, status: { podIP: "10.0.0.1", phase: "Running" } },
  { metadata: { namespace: "shop", name: "job-1" }, status: { podIP: "10.0.0.1", phase: "Succeeded" } },
  { metadata: { namespace: "other", name: "cron" }, status: { podIP: "fd00::7", phase: "Running" } },
  { metadata: { namespace: "shop", name: "node-a" }, status: { podIP: "10.0.0.9", phase: "Running" } },
  { metadata: { namespace: "shop", name: "node-b" }, status: { podIP: "10.0.0.9", phase: "Running" } },
];

/** A cluster where a user may look into `shop` unless `home` says no, and elsewhere where `everywhere` says so. */
function world({ everywhere, home = true }: { everywhere: boolean; home?: boolean }) {
  const asked: string[] = [];
  let now = 0;
  const may = { everywhere, home };
  let away = false;
  const list = async (_type: unknown, { namespace, fieldSelector }: ListOptions = {}) => {
    asked.push(`${namespace ?? "*"} ${fieldSelector}`);
    if (away) throw Object.assign(new Error("no"), { code: "KUBE_UNREACHABLE" });
    if (namespace === undefined ? !may.everywhere : !may.home) throw Object.assign(new Error("no"), { code: "KUBE_FORBIDDEN" });
    return pods.filter(
      ({ metadata, status }) =>
        (namespace ?? metadata.namespace) === metadata.namespace && fieldSelector === `status.podIP=${status.podIP}`,
    );
  };
  const callerOf = createCallers({ list } as unknown as Cluster, "shop", () => now);
  return { asked, callerOf, pass: (ms: number) => (now += ms), leave: (is: boolean) => (away = is) };
}

test("a pod is known by its address, asked for once, and anew when that may be another's", async () => {
  const { asked, callerOf, pass } = world({ everywhere: true });
  expect(await Promise.all([callerOf("10.0.0.1:4000"), callerOf("[::ffff:10.0.0.1]:4001")])).toEqual([
    { caller: "shop/frontend-1" },
    { caller: "shop/frontend-1" },
  ]);
  // From here on it need not be waited for.
  expect(callerOf("10.0.0.1:4002")).toEqual({ caller: "shop/frontend-1" });
  expect(asked).toEqual(["shop status.podIP=10.0.0.1"]);
  pass(61_000);
  expect(await callerOf("10.0.0.1:4003")).toEqual({ caller: "shop/frontend-1" });
  expect(asked).toHaveLength(2);
});

test("one of another namespace is looked for everywhere; who may not look there is refused once, and told why", async () => {
  expect(await world({ everywhere: true }).callerOf("[fd00::7]:1")).toEqual({ caller: "other/cron" });
  const { asked, callerOf } = world({ everywhere: false });
  const why = { callerNote: "no pod of the namespace shop has it, and you may not list pods of all namespaces" };
  expect(await callerOf("[fd00::7]:1")).toEqual(why);
  expect(await callerOf("10.0.0.8:1")).toEqual(why);
  expect(await callerOf("10.0.0.1:1")).toEqual({ caller: "shop/frontend-1" });
  expect(asked.filter((each) => each.startsWith("*"))).toHaveLength(1);
});

test("who may list no pods at all is told so, and asks for them once", async () => {
  const { asked, callerOf } = world({ everywhere: false, home: false });
  for (const peer of ["10.0.0.1:1", "10.0.0.2:1"])
    expect(await callerOf(peer)).toEqual({ callerNote: "you may not list pods in the namespace shop, nor in all" });
  expect(asked).toHaveLength(2);
});

test("a cluster that doesn't answer now is asked again soon", async () => {
  const { callerOf, leave, pass } = world({ everywhere: true });
  leave(true);
  expect(await callerOf("[fd00::7]:1")).toEqual({ callerNote: "the cluster didn't say whose it is" });
  leave(false);
  pass(6_000);
  expect(await callerOf("[fd00::7]:1")).toEqual({ caller: "other/cron" });
});

test("an address that several pods have is nobody's, and what is no address isn't asked for", async () => {
  const { asked, callerOf } = world({ everywhere: true });
  expect(await callerOf("10.0.0.9:1")).toEqual({ callerNote: "several pods have it, of a node's own network" });
  expect(await callerOf("10.0.0.200:1")).toEqual({ callerNote: "no pod has it" });
  asked.length = 0;
  expect([callerOf(""), callerOf("somebody:80")]).toEqual([{}, {}]);
  expect(asked).toEqual([]);
});

test("a user of a real API: as far as their rights go, callers have names, and beyond them a reason", async () => {
  await using embedded = await startCluster();
  const dir = await mkdtemp(join(tmpdir(), "shipside-callers-"));
  try {
    const pod = (namespace: string, name: string, podIP: string) => ({
      ...{ apiVersion: "v1", kind: "Pod", metadata: { namespace, name } },
      // Bound to no node of this cluster: its address stays what it is here.
      ...{ spec: { nodeName: "elsewhere", containers: [{ name: "c", image: "node:24" }] }, status: { podIP, phase: "Running" } },
    });
    for (const name of ["shop", "other"]) await embedded.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name } }]);
    embedded.store.create("pods", pod("shop", "web", "10.9.0.1"));
    embedded.store.create("pods", pod("other", "cron", "10.9.0.2"));
    const api = "rbac.authorization.k8s.io";
    const rules = [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }];
    await embedded.apply([
      { apiVersion: `${api}/v1`, kind: "Role", metadata: { name: "see", namespace: "shop" }, rules },
      {
        ...{ apiVersion: `${api}/v1`, kind: "RoleBinding", metadata: { name: "see", namespace: "shop" } },
        ...{ roleRef: { apiGroup: api, kind: "Role", name: "see" }, subjects: [{ kind: "User", name: "one", apiGroup: api }] },
      },
    ]);
    const callersOf = async (user: string) => {
      const kubeconfig = join(dir, user);
      await writeFile(kubeconfig, embedded.addUser({ name: user }));
      const cluster = await connectCluster({ kubeconfig, namespace: "shop" });
      const callerOf = createCallers(cluster, "shop");
      const found = [await callerOf("10.9.0.1:1"), await callerOf("10.9.0.2:1")];
      await cluster.close();
      return found;
    };
    expect(await callersOf("one")).toEqual([
      { caller: "shop/web" },
      { callerNote: "no pod of the namespace shop has it, and you may not list pods of all namespaces" },
    ]);
    const none = { callerNote: "you may not list pods in the namespace shop, nor in all" };
    expect(await callersOf("none")).toEqual([none, none]);
  } finally {
    await rm(dir, { recursive: true });
  }
}, 30_000);
