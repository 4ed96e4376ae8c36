import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { createCloser, type ErrorJson, errorToJson } from "@shipside/core";
import {
  type JsonPatch,
  makeClusterObject,
  makeClusterPatch,
  openJournal,
  openStrayRelays,
  recover,
  rightsToUndo,
} from "@shipside/daemon";
import { runDoctor } from "@shipside/daemon/doctor";
import { describeRight, doctorRules, type Right, type Rule, rightsOf, rolesFor, strayRelayRules } from "@shipside/daemon/rbac";
import { type Cluster, CONFIG_MAPS, connectCluster, DEPLOYMENTS, PODS, SECRETS, SERVICES } from "@shipside/kube";
import { relayFilesName, relayPodSelector } from "@shipside/relay";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

const NAMESPACE = "shop";
const RBAC = "rbac.authorization.k8s.io";
const USER = "developer";
const closer = createCloser();
let embedded: EmbeddedCluster;
let admin: Cluster;
let dir: string;
let kubeconfig: string;
let scenes = 0;

beforeAll(async () => {
  embedded = closer.use(await startCluster({ node: false }));
  admin = closer.use(await connectCluster({ kubeconfig: embedded.kubeconfigPath, namespace: NAMESPACE }));
  dir = await mkdtemp(join(tmpdir(), "shipside-rbac-undo-"));
  closer.defer(() => rm(dir, { recursive: true }));
  kubeconfig = join(dir, "kubeconfig");
  await writeFile(kubeconfig, embedded.addUser({ name: USER }));
  await embedded.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } }]);
});
afterAll(() => closer.close());
afterEach(() => clear());

/** Exactly these rights. */
async function grant(rights: readonly Right[]): Promise<void> {
  const rules: Rule[] = rights.map(({ verb, name, ...right }) => ({ ...right, verbs: [verb], ...(name && { names: [name] }) }));
  const metadata = { name: "given", namespace: NAMESPACE };
  const [role] = rolesFor(rules, metadata.name);
  await embedded.apply([
    role ?? { apiVersion: `${RBAC}/v1`, kind: "Role", metadata, rules: [] },
    {
      apiVersion: `${RBAC}/v1`,
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: RBAC, kind: "Role", name: metadata.name },
      subjects: [{ kind: "User", name: USER, apiGroup: RBAC }],
    },
  ]);
}

const required = (rules: readonly Rule[]): Right[] => rightsOf(rules).filter(({ optional }) => optional === undefined);
const without = (rights: readonly Right[], one: Right): Right[] =>
  rights.filter((right) => describeRight(right) !== describeRight(one));

const all = (error: ErrorJson): ErrorJson[] => [error, ...(error.causes ?? []).flatMap(all)];
const names = (error: unknown, { verb, resource }: Right): boolean =>
  all(errorToJson(error)).some(({ details }) => details?.["verb"] === verb && details["resource"] === resource);

const holder = `${userInfo().username}@${hostname().split(".")[0]}`;

const RELAY = "shipside-core-1";

/** A relay of ours without a pod, of which no journal knows. */
const deployment = (name: string): Promise<unknown> =>
  admin.create(DEPLOYMENTS, {
    metadata: {
      name,
      labels: { "app.kubernetes.io/managed-by": "shipside", "shipside.dev/relay": name },
      annotations: { "shipside.dev/owner": holder },
    },
    spec: {
      replicas: 0,
      selector: { matchLabels: { r: name } },
      template: { metadata: { labels: { r: name } }, spec: { containers: [{ name: "relay", image: "node:24" }] } },
    },
  } as never);

/** A Service that leads to a relay, as an intercept leaves it. */
async function intercepted(): Promise<{ relay: string; uid: string }> {
  await deployment(RELAY);
  // What its relay is asked with.
  const { metadata: of } = await admin.get(DEPLOYMENTS, { name: RELAY });
  await admin.create(SECRETS, { metadata: { name: relayFilesName({ name: RELAY, uid: of.uid! }) }, data: { secret: "eA==" } });
  const record = { relay: RELAY, original: { app: "core" }, switched: { app: RELAY }, by: holder, since: "2026" };
  const annotations = { "shipside.dev/intercept": JSON.stringify(record) };
  const spec = { selector: record.switched, ports: [{ port: 80 }] };
  const { metadata } = await admin.create(SERVICES, { metadata: { name: "core", annotations }, spec });
  return { relay: RELAY, uid: metadata.uid! };
}

const objects = (): string[] =>
  ["deployments.apps", "services", "configmaps", "pods"].flatMap((kind) =>
    embedded.store
      .list(kind, NAMESPACE)
      .map(({ metadata }) => `${kind} ${metadata.name}`)
      .filter((each) => !each.includes("kube-root-ca")),
  );
const selector = (name: string): unknown => embedded.store.get("services", NAMESPACE, name)?.["spec"].selector;

/** What a session that is gone has on record: an object, a change and an intercept. Resolves to the folder of its journal. */
async function left(): Promise<string> {
  const stateDir = join(dir, `state-${scenes++}`);
  const journal = openJournal(stateDir);
  // Undone by whoever the kubeconfig is of, whoever made it.
  const place = { cluster: admin, kubeconfig };
  await makeClusterObject(journal, place, CONFIG_MAPS, { metadata: { name: "made" } });
  const spec = { selector: { app: "a" }, ports: [{ port: 1 }] };
  const { metadata } = await admin.create(SERVICES, { metadata: { name: "changed" }, spec });
  const patch = (from: string, to: string): JsonPatch => [
    { op: "test", path: "/spec/selector/app", value: from },
    { op: "replace", path: "/spec/selector/app", value: to },
  ];
  const change = { ref: { name: "changed" }, uid: metadata.uid!, change: patch("a", "b"), undo: patch("b", "a") };
  await makeClusterPatch(journal, place, SERVICES, change);
  const { relay, uid } = await intercepted();
  const { context, server } = admin.info;
  const trace = { namespace: NAMESPACE, service: "core", uid, relay, lease: "x" };
  await journal.record({ kind: "intercept", data: { kubeconfig, context, server: new URL(server).href, ...trace } });
  await journal.close();
  expect([selector("changed"), selector("core")]).toEqual([{ app: "b" }, { app: RELAY }]);
  return stateDir;
}

function expectUndone(): void {
  expect(objects()).toEqual(["services changed", "services core"]);
  expect([selector("changed"), selector("core")]).toEqual([{ app: "a" }, { app: "core" }]);
}
const clear = (): void => {
  for (const each of objects()) embedded.store.remove(each.split(" ")[0]!, NAMESPACE, each.split(" ")[1]!);
};

/** Each is proved once by itself: with all of them, and without one. */
describe("what a journal names", () => {
  test("is undone with exactly the rights that are told, and each that is missing is named", async () => {
    const rights = required((await rightsToUndo(await left())).flatMap(({ rules }) => rules));
    expect(rights.map(describeRight)).toEqual(
      expect.arrayContaining([
        `delete configmaps "made" in namespace ${NAMESPACE}`,
        `patch services "core" in namespace ${NAMESPACE}`,
      ]),
    );
    clear();
    for (const missing of rights) {
      const stateDir = await left();
      await grant(without(rights, missing));
      const { failed } = await recover({ stateDir });
      expect(failed.filter(({ error }) => names(error, missing)).length, describeRight(missing)).toBeGreaterThan(0);
      // What could not be undone is on record, for the next try.
      await grant(rights);
      expect((await recover({ stateDir })).failed).toEqual([]);
      expectUndone();
      expect(await rightsToUndo(stateDir)).toEqual([]);
      clear();
    }
  });
});

test("a relay that runs and can't be asked who else uses it is left as it is, and so is its Service", async () => {
  const stateDir = await left();
  const { metadata } = await admin.get(DEPLOYMENTS, { name: RELAY });
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "relay-0", namespace: NAMESPACE, labels: {} as Record<string, string> },
  };
  for (const label of relayPodSelector({ name: RELAY, uid: metadata.uid! }).split(",")) {
    const [key, value] = label.split("=");
    pod.metadata.labels[key!] = value!;
  }
  await admin.create(PODS, { ...pod, spec: { containers: [{ name: "relay", image: "node:24" }] } } as never);
  const status = { phase: "Running", podIP: "10.244.0.9", conditions: [{ type: "Ready", status: "True" }] };
  embedded.store.mutate("pods", NAMESPACE, "relay-0", (copy) => void (copy["status"] = status));
  const rights = required((await rightsToUndo(stateDir)).flatMap(({ rules }) => rules));
  await grant(rights);
  const { failed } = await recover({ stateDir });
  expect(failed.map(({ error }) => errorToJson(error).code)).toEqual(["PROXY_RELAY_SILENT"]);
  expect(failed.some(({ error }) => names(error, { verb: "create", resource: "pods/portforward" } as Right))).toBe(true);
  expect(selector("core")).toEqual({ app: RELAY });
  expect(embedded.store.get("deployments.apps", NAMESPACE, RELAY)).toBeDefined();

  // Once it runs no longer, nobody uses it.
  embedded.store.remove("pods", NAMESPACE, "relay-0");
  expect((await recover({ stateDir })).failed).toEqual([]);
  expectUndone();
});

describe("what no journal knows", () => {
  const find = () => openStrayRelays({ kubeconfig, namespace: NAMESPACE, stateDir: dir, signal: AbortSignal.timeout(30_000) });
  async function undo(): Promise<void> {
    await using strays = await find();
    for (const { undo } of strays.relays) await undo(AbortSignal.timeout(30_000));
  }

  test("is undone with exactly the rights that are told, and each that is missing is named", async () => {
    const rules = strayRelayRules(NAMESPACE);
    const [list] = rightsOf(rules).filter(({ optional }) => optional === "those are not found");
    const rights = [...required(rules), list!];
    for (const missing of rights) {
      await intercepted();
      await deployment("shipside-dial-lost");
      await grant(without(rights, missing));
      // Without a list of Services there are no intercepts to be seen.
      if (missing === list) {
        await undo();
        expect(objects()).toEqual(["services core"]);
        expect(selector("core")).toEqual({ app: RELAY });
      } else {
        const error = await undo().catch((reason: unknown) => reason);
        expect(names(error, missing), `${describeRight(missing)}: ${error}`).toBe(true);
        await grant(rights);
        await undo();
        expect(objects()).toEqual(["services core"]);
        expect(selector("core")).toEqual({ app: "core" });
      }
      clear();
    }
  });
});

describe("doctor", () => {
  const told = async (): Promise<string[]> => {
    const { lines } = await runDoctor({ kubeconfig, namespace: NAMESPACE, stateDir: dir, runtimeDir: join(dir, "run") });
    return lines.filter(({ check }) => check !== "rights").map(({ text }) => text);
  };
  const LACKING = /may not/;

  test("looks at everything with exactly the rights that are told, and says what it could not look at", async () => {
    await intercepted();
    const rights = rightsOf(doctorRules(NAMESPACE)).filter(({ resource }) => resource !== "pods/portforward");
    await grant(rights);
    expect((await told()).filter((text) => LACKING.test(text))).toEqual([]);
    for (const missing of rights) {
      await grant(without(rights, missing));
      const lacking = (await told()).filter((text) => LACKING.test(text));
      expect(lacking.length, describeRight(missing)).toBeGreaterThan(0);
      for (const text of lacking) expect(text).toContain(`${missing.resource} of namespace ${NAMESPACE} may not be listed`);
    }
    clear();
  });
});
