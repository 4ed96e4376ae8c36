import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type Cluster, connectCluster, DEPLOYMENTS, SERVICES } from "@shipside/kube";
import { endIntercept, type InterceptOptions, type InterceptTrace, openExpose, parseMatch } from "@shipside/proxy";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { intercepts, NAMESPACE, openSampleCluster, QUICK, type SampleCluster, serveHttp } from "./incoming.fixture.ts";
import { helm, kubectls } from "./kubectl/binaries.ts";

// What several people, and programs that write manifests, do to a Service that is intercepted: it must never be without endpoints.

let sample: SampleCluster;
let kubectl: string | undefined;
let local: Awaited<ReturnType<typeof serveHttp>>;

const original = { "app.kubernetes.io/name": "core", "app.kubernetes.io/part-of": "sample" };
const manifest = (selector: Record<string, string> = original) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "core", namespace: NAMESPACE, labels: original },
  spec: { selector, ports: [{ name: "http", port: 3020, targetPort: "http" }] },
});

beforeAll(async () => {
  sample = await openSampleCluster();
  local = await serveHttp();
  kubectl = (await kubectls()).found.sort((a, b) => b.minor - a.minor)[0]?.path;
}, 150_000);
afterAll(async () => {
  await sample?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});
afterEach(async () => {
  await alices.close();
  expect(selector()).toEqual(original);
  expect(Object.keys(sample.objects()).filter((name) => name.includes("shipside"))).toEqual([]);
}, 40_000);

/** Without those of earlier tests that still drain. */
const relayPods = () =>
  sample.embedded.store
    .list("pods", NAMESPACE)
    .filter(({ metadata }) => metadata.name.startsWith("shipside-") && metadata.deletionTimestamp === undefined);
const selector = (name = "core"): Record<string, string> =>
  sample.embedded.store.get("services", NAMESPACE, name)!["spec"].selector;
const isSwitched = (name?: string): boolean => Object.values(selector(name)).every((value) => value.startsWith("shipside-"));

const alices = intercepts(() => ({
  cluster: sample.cluster,
  service: "core",
  ports: [{ remote: 3020, local: local.port }],
  match: parseMatch({ path: "/mine*" }, { user: "alice", key: "alice-1" }),
  ...QUICK,
}));
const { open: intercept, said } = alices;

/** The fewest ready endpoints that a Service has had since. */
function watchEndpoints(name = "core"): { fewest(): number } {
  let fewest = sample.endpoints(name).length;
  const stop = sample.embedded.store.subscribe(({ resource }) => {
    if (resource === "endpointslices.discovery.k8s.io") fewest = Math.min(fewest, sample.endpoints(name).length);
  });
  return {
    fewest() {
      stop();
      return fewest;
    },
  };
}

async function run(program: string, ...args: string[]): Promise<{ code: number; stderr: string }> {
  const child = spawn(program, ["--kubeconfig", sample.embedded.kubeconfigPath, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const [stderr, code] = await Promise.all([text(child.stderr), new Promise<number>((resolve) => child.on("close", resolve))]);
  return { code, stderr };
}

async function apply(object: object, ...args: string[]): Promise<{ code: number; stderr: string }> {
  const file = join(sample.embedded.node!.stateDir, "service.json");
  await writeFile(file, JSON.stringify(object));
  return run(kubectl!, "apply", "-f", file, ...args);
}

test.each([
  ["kubectl apply", []],
  ["kubectl apply --server-side", ["--server-side", "--force-conflicts"]],
])(
  "%s of the original during an intercept: it is switched again, never without endpoints, and in the end as it was",
  async (_name, args) => {
    if (!kubectl) throw new Error("no kubectl could be had: `e2e/kubectl/binaries.ts` says where it is looked for");
    expect((await apply(manifest(), ...args)).code).toBe(0);
    const before = sample.objects()["services/core"];
    const watching = watchEndpoints();
    const made = await intercept();
    if (args.length > 0) {
      // Whoever doesn't force is told who is at it.
      const refused = await apply(manifest(), "--server-side");
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("shipside")]);
    }
    expect(isSwitched()).toBe(true);
    expect((await apply(manifest(), ...args)).code).toBe(0);
    await expect.poll(() => isSwitched(), { timeout: 10_000 }).toBe(true);
    expect(said).toContain("something put the selector of core back: it is switched to the relay again");
    expect(await sample.ask({ url: "http://core:3020/mine" })).toEqual(["local /mine"]);
    await made.close();
    expect(watching.fewest()).toBeGreaterThan(0);
    // In what order the managers stand, and when they last wrote, says nothing.
    const managed = (object: unknown): unknown =>
      JSON.parse(JSON.stringify(object), (key, value) =>
        key === "managedFields" ? value.map(({ time: _time, ...entry }: { time: string }) => JSON.stringify(entry)).sort() : value,
      );
    expect(managed(sample.objects()["services/core"])).toEqual(managed(before));
  },
  60_000,
);

test("helm upgrade during an intercept, by either kind of apply: it is switched again, never without endpoints, and in the end what the chart says", async () => {
  const program = await helm();
  const chart = join(sample.embedded.node!.stateDir, "chart");
  await mkdir(join(chart, "templates"), { recursive: true });
  await writeFile(join(chart, "Chart.yaml"), JSON.stringify({ apiVersion: "v2", name: "web", version: "1.0.0" }));
  const { spec } = manifest();
  const template = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", annotations: { note: "{{ .Values.note }}" } },
    spec,
  };
  await writeFile(join(chart, "templates", "service.yaml"), JSON.stringify(template));
  const upgrade = async (note: string, ...args: string[]): Promise<string> => {
    const { code, stderr } = await run(
      program,
      ...["upgrade", "--install", "web", chart, "-n", NAMESPACE],
      "--set",
      `note=${note}`,
      ...args,
    );
    return code === 0 ? "done" : stderr;
  };
  // For who tries it once more.
  await using _gone = {
    [Symbol.asyncDispose]: async () => void (await run(program, "uninstall", "web", "-n", NAMESPACE, "--ignore-not-found")),
  };
  const note = (): unknown => sample.embedded.store.get("services", NAMESPACE, "web")!.metadata.annotations?.["note"];
  for (const [kind, ...force] of [["--server-side=false"], ["--server-side=true", "--force-conflicts"]]) {
    expect(await upgrade("before", kind!)).toBe("done");
    await expect.poll(() => sample.endpoints("web").length, { timeout: 5_000 }).toBeGreaterThan(0);
    const watching = watchEndpoints("web");
    const made = await intercept({ service: "web" });
    expect(said).toContainEqual(expect.stringContaining("of release web"));
    expect(isSwitched("web")).toBe(true);
    // Whoever doesn't force is told who is at it.
    if (force.length > 0) expect(await upgrade("after", kind!)).toMatch(/conflict[\s\S]*shipside/);
    expect(await upgrade("after", kind!, ...force)).toBe("done");
    await expect.poll(() => said, { timeout: 10_000 }).toContainEqual(expect.stringContaining("put the selector of web back"));
    await expect.poll(() => isSwitched("web"), { timeout: 10_000 }).toBe(true);
    await expect.poll(() => sample.ask({ url: "http://web:3020/mine" }), { timeout: 10_000 }).toEqual(["local /mine"]);
    await made.close();
    said.length = 0;
    expect(watching.fewest(), kind).toBeGreaterThan(0);
    expect([selector("web"), note()], kind).toEqual([original, "after"]);
    // Nothing of ours is in the way of the next one.
    expect(await upgrade("next", kind!)).toBe("done");
    expect([selector("web"), note()], kind).toEqual([original, "next"]);
    expect((await run(program, "uninstall", "web", "-n", NAMESPACE)).code).toBe(0);
  }
}, 120_000);

test("put back a third time within a minute: the intercept ends, and says so", async () => {
  const made = await intercept();
  const { store } = sample.embedded;
  for (let i = 0; i < 3; i++) {
    await expect.poll(() => isSwitched(), { timeout: 10_000 }).toBe(true);
    store.mutate("services", NAMESPACE, "core", (copy) => void (copy["spec"].selector = { ...original }));
  }
  expect(await made.ended).toMatchObject({ code: "PROXY_ENDED", message: expect.stringContaining("3 times within a minute") });
}, 60_000);

test("somebody changes one key, which selects nothing: it is put right at once; another selector ends the intercept and stays", async () => {
  const made = await intercept();
  const { store } = sample.embedded;
  store.mutate(
    "services",
    NAMESPACE,
    "core",
    (copy) => void (copy["spec"].selector = { ...copy["spec"].selector, "app.kubernetes.io/name": "core" }),
  );
  await expect.poll(() => sample.endpoints("core").length, { timeout: 3_000, interval: 20 }).toBeGreaterThan(0);
  await expect.poll(() => isSwitched(), { timeout: 10_000 }).toBe(true);

  const other = { "app.kubernetes.io/name": "leaf", "app.kubernetes.io/part-of": "sample" };
  store.mutate("services", NAMESPACE, "core", (copy) => void (copy["spec"].selector = { ...other }));
  try {
    expect(await made.ended).toMatchObject({ code: "PROXY_SERVICE_CHANGED" });
    await made.close();
    expect(selector()).toEqual(other);
  } finally {
    store.mutate("services", NAMESPACE, "core", (copy) => void (copy["spec"].selector = { ...original }));
  }
}, 60_000);

test("no relay is ready for 3 s: the Service leads to its pods, and to the relay again when one is", async () => {
  await intercept();
  const { faults } = sample.embedded;
  const relays = relayPods();
  expect(relays).toHaveLength(2);
  const began = performance.now();
  const undo = relays.map(({ metadata }) => faults.setReadiness(NAMESPACE, metadata.name, false));
  await expect.poll(() => selector(), { timeout: 8_000, interval: 50 }).toEqual(original);
  expect(performance.now() - began).toBeGreaterThan(2_500);
  await expect.poll(() => said).toContain("core leads to its own pods: no relay has been ready for 3 s");
  expect(await sample.ask({ url: "http://core:3020/mine" })).toEqual([expect.stringContaining('"version": "cluster"')]);
  for (const each of undo) each();
  await expect.poll(() => isSwitched(), { timeout: 10_000 }).toBe(true);
  expect(await sample.ask({ url: "http://core:3020/mine" })).toEqual(["local /mine"]);
}, 60_000);

test("somebody deletes the relay: the Service is put back, the intercept ends and says why", async () => {
  const made = await intercept();
  await sample.cluster.delete(DEPLOYMENTS, { namespace: NAMESPACE, name: made.status().relay });
  expect(await made.ended).toMatchObject({ code: "PROXY_ENDED", message: expect.stringContaining("its relay is gone") });
  expect(selector()).toEqual(original);
}, 60_000);

test("two developers: the second joins, an overlapping wish is refused with who has it, and can be taken over; the last one restores", async () => {
  const alice = await intercept();
  const bob = { holder: "bob@desktop", match: parseMatch({ path: "/bob*" }, { user: "bob", key: "bob-1" }) };
  const other = await serveHttp((request, response) => response.end(`bob ${request.url}`));
  await using _other = other;
  const ports = [{ remote: 3020, local: other.port }];
  const second = await intercept({ ...bob, ports });
  expect(second.status().joined).toBe("alice@laptop");
  const urls = ["/mine", "/bob", "/x"].map((path) => ({ url: `http://core:3020${path}` }));
  expect(await sample.ask(...urls)).toEqual(["local /mine", "bob /bob", expect.stringContaining('"version": "cluster"')]);

  const wish = { ...bob, ports, match: parseMatch({ path: "/mine/b" }, { user: "bob", key: "bob-1" }) };
  await expect(intercept(wish)).rejects.toMatchObject({
    code: "PROXY_LEASE_TAKEN",
    message: expect.stringMatching(/^alice@laptop intercepts some of this traffic since \d/),
    hint: expect.stringContaining("--take-over"),
  });
  const third = await intercept({ ...wish, takeOver: true });
  expect(await alice.ended).toMatchObject({ code: "PROXY_LEASE_TAKEN", message: expect.stringContaining("bob@desktop") });
  await alice.close();
  expect(isSwitched()).toBe(true);
  expect(await sample.ask({ url: "http://core:3020/mine/b" }, urls[1]!)).toEqual(["bob /mine/b", "bob /bob"]);
  await Promise.all([second.close(), third.close()]);
}, 60_000);

test("the same once more, from another process of the same developer: it joins, and goes on when the first one ends; for another local port it is refused", async () => {
  const first = await intercept();
  const second = await intercept();
  expect(second.status().joined).toBe("alice@laptop");
  expect(said.filter((line) => line.includes("the same open elsewhere"))).toHaveLength(1);
  await expect(intercept({ ports: [{ remote: 3020, local: local.port + 1 }] })).rejects.toMatchObject({
    code: "PROXY_LEASE_TAKEN",
    message: expect.stringMatching(/^you intercept/),
  });
  const arrived = () => [first, second].map((each) => each.status().ports[0]!.connections);
  expect(await sample.ask({ url: "http://core:3020/mine" })).toEqual(["local /mine"]);
  expect(arrived()).toEqual([1, 0]);
  await first.close();
  expect(isSwitched()).toBe(true);
  expect(await sample.ask({ url: "http://core:3020/mine" })).toEqual(["local /mine"]);
  expect(arrived()).toEqual([1, 1]);
  await second.close();
  expect(isSwitched()).toBe(false);
}, 60_000);

test("what one developer's crash left is undone without harm to another who uses the same relay", async () => {
  let trace: InterceptTrace | undefined;
  let struckOut = false;
  const alice = await intercept({
    async record(recorded) {
      expect(isSwitched(), "the record comes before anything is made").toBe(false);
      trace = recorded;
      return async () => void (struckOut = true);
    },
  });
  const bob = await intercept({ holder: "bob@desktop", match: parseMatch({ path: "/bob*" }, { user: "bob", key: "bob-1" }) });
  const signal = AbortSignal.timeout(20_000);
  expect(await endIntercept(sample.cluster, trace!, signal)).toBe(false);
  expect(isSwitched()).toBe(true);
  await alice.close();
  expect(struckOut).toBe(true);
  await bob.close();
  expect(await endIntercept(sample.cluster, trace!, signal), "nothing left: nothing to do").toBe(true);
}, 60_000);

test("with the built-in role edit, which may not create Roles, one can intercept and expose, and is told before anything starts; who may not create Deployments is told which rule", async () => {
  const rules = (verbs: string[], ...kinds: Array<[group: string, ...resources: string[]]>) =>
    kinds.map(([group, ...resources]) => ({ apiGroups: [group], resources, verbs }));
  const bind = (name: string, kind: "Role" | "ClusterRole", role: string) => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { name, namespace: NAMESPACE },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: role },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name }],
  });
  const verbs = ["get", "list", "watch", "create", "patch", "update", "delete"];
  const core: [string, ...string[]] = ["", "services", "pods", "pods/portforward", "configmaps", "secrets", "events"];
  await sample.embedded.apply([
    bind("editor", "ClusterRole", "edit"),
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: "reader", namespace: NAMESPACE },
      rules: rules(verbs, core),
    },
    bind("reader", "Role", "reader"),
  ]);
  const as = async (name: string): Promise<Cluster> => {
    const file = join(sample.embedded.node!.stateDir, `${name}.kubeconfig`);
    await writeFile(file, sample.embedded.addUser({ name }));
    return connectCluster({ kubeconfig: file, namespace: NAMESPACE });
  };
  await using reader = await as("reader");
  await expect(intercept({ cluster: reader })).rejects.toMatchObject({
    code: "KUBE_FORBIDDEN",
    hint: expect.stringContaining("deployments"),
  });
  expect(selector()).toEqual(original);

  await using editor = await as("editor");
  const relays = (): string[] => Object.keys(sample.objects()).filter((name) => name.includes("shipside"));
  let madeBefore: string[] | undefined;
  const onEvent: NonNullable<InterceptOptions["onEvent"]> = (event) => {
    if (event.kind === "notice" && event.message.startsWith("you may not create Roles here")) madeBefore = relays();
  };
  const made = await intercept({ cluster: editor, onEvent });
  expect(madeBefore, "said before anything is made").toEqual([]);
  expect(await sample.ask({ url: "http://core:3020/mine" })).toEqual(["local /mine"]);
  await made.close();
  expect((await sample.cluster.get(SERVICES, { namespace: NAMESPACE, name: "core" })).spec.selector).toEqual(original);
  await expect.poll(relays, { timeout: 10_000 }).toEqual([]);

  madeBefore = undefined;
  const ports = [{ remote: 80, local: local.port }];
  const exposed = await openExpose({ cluster: editor, name: "mine", ports, holder: "alice@laptop", onEvent });
  expect(madeBefore).toEqual([]);
  expect(await sample.ask({ url: "http://mine/x" })).toEqual(["local /x"]);
  await exposed.close();
  await expect.poll(relays, { timeout: 10_000 }).toEqual([]);
}, 90_000);
