import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type ErrorJson, errorToJson } from "@shipside/core";
import { type SessionOptions, teleport } from "@shipside/daemon";
import { readEnv } from "@shipside/daemon/env";
import { describeRight, type Right, type RoleObject, type Rule, rightsOf, rolesFor, sessionRules } from "@shipside/daemon/rbac";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startFront, type Way } from "./portforward/front.ts";

const NAMESPACE = "shop";
const RBAC = "rbac.authorization.k8s.io";
const USER = "developer";
const PORT = 7100;
let cluster: EmbeddedCluster;
let dir: string;
let kubeconfig: string;
let runs = 0;

/** A workload whose env is of every kind: what each right is for has an effect. */
const manifests = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
  { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings", namespace: NAMESPACE }, data: { GREETING: "hello" } },
  { apiVersion: "v1", kind: "Secret", metadata: { name: "keys", namespace: NAMESPACE }, stringData: { KEY: "s3cret" } },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "core", namespace: NAMESPACE },
    spec: { selector: { app: "core" }, ports: [{ port: PORT }] },
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "core", namespace: NAMESPACE },
    spec: {
      selector: { matchLabels: { app: "core" } },
      template: {
        metadata: { labels: { app: "core" } },
        spec: {
          containers: [
            {
              name: "core",
              image: "node:24",
              command: ["node", "-e", `require('http').createServer((_, a) => a.end('well')).listen(${PORT})`],
              readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
              envFrom: [{ configMapRef: { name: "settings" } }],
              env: [
                { name: "KEY", valueFrom: { secretKeyRef: { name: "keys", key: "KEY" } } },
                { name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
                { name: "MEMORY", valueFrom: { resourceFieldRef: { resource: "limits.memory" } } },
              ],
            },
          ],
        },
      },
    },
  },
];

beforeAll(async () => {
  cluster = await startCluster();
  dir = await mkdtemp(join(tmpdir(), "shipside-rbac-"));
  kubeconfig = join(dir, "kubeconfig");
  await writeFile(kubeconfig, cluster.addUser({ name: USER }));
  await cluster.apply(manifests);
  while (cluster.store.get("deployments.apps", NAMESPACE, "core")?.["status"]?.readyReplicas !== 1) await delay(50);
});
afterAll(async () => {
  await cluster.close();
  await rm(dir, { recursive: true });
});

/** The places that a command's Roles are of; one that has lost its last rule stays, empty. */
async function grant(rules: readonly Rule[], all: readonly Rule[]): Promise<void> {
  const given = rolesFor(rules, "given");
  const keyOf = ({ kind, metadata }: RoleObject): string => `${kind}/${metadata.namespace}`;
  for (const role of rolesFor(all, "given")) {
    const now = given.find((each) => keyOf(each) === keyOf(role)) ?? { ...role, rules: [] };
    const binding = {
      apiVersion: `${RBAC}/v1`,
      kind: `${role.kind}Binding`,
      metadata: role.metadata,
      roleRef: { apiGroup: RBAC, kind: role.kind, name: "given" },
      subjects: [{ kind: "User", name: USER, apiGroup: RBAC }],
    };
    await cluster.apply([now, binding]);
  }
}

const without = (rules: readonly Rule[], { verb, resource, group, namespace, name }: Right): Rule[] =>
  rules
    .map((rule) =>
      rule.resource === resource && rule.group === group && rule.namespace === namespace && rule.names?.[0] === name
        ? { ...rule, verbs: rule.verbs.filter((each) => each !== verb) }
        : rule,
    )
    .filter(({ verbs }) => verbs.length > 0);

/** What a command told: nothing where all went well. */
interface Told {
  errors: ErrorJson[];
  notices: string[];
  /** Ends it. */
  end(): Promise<void>;
}

const all = (error: ErrorJson): ErrorJson[] => [error, ...(error.causes ?? []).flatMap(all)];

const names = ({ errors }: Told, { verb, resource }: Right): boolean =>
  errors.flatMap(all).some(({ details }) => details?.["verb"] === verb && details["resource"] === resource);

async function open(options: SessionOptions, config = kubeconfig): Promise<Told> {
  const told: Told = { errors: [], notices: [], end: async () => {} };
  try {
    const session = await teleport({
      ...options,
      kubeconfig: config,
      hosts: false,
      holdMs: 1_000,
      stateDir: join(dir, `state-${runs++}`),
      pool: { cidr: "127.113.0.0/16", stateFile: false },
      onEvent(event) {
        if (event.step === "warning") told.errors.push(event.error);
        if (event.step === "notice") told.notices.push(event.message);
      },
    });
    told.end = () => session.close();
    const hosts = (options.remoteHosts ?? []).map((host) => host.split(":") as [string, string]);
    if (options.kind === "teleport")
      for (const address of [session.address("core", PORT), ...hosts.map(([host, port]) => session.address(host, port))])
        await fetch(`http://${address}`, { headers: { Connection: "close" }, signal: AbortSignal.timeout(5_000) }).then(
          (answer) => answer.text(),
          () => {},
        );
  } catch (error) {
    told.errors.push(errorToJson(error));
  }
  return told;
}

async function show(workload: string, from: "spec" | "running"): Promise<Told> {
  const told: Told = { errors: [], notices: [], end: async () => {} };
  try {
    const { refusals } = await readEnv({ kubeconfig, namespace: NAMESPACE, workload, from });
    told.errors.push(...refusals.map((error) => errorToJson(error)));
  } catch (error) {
    told.errors.push(errorToJson(error));
  }
  return told;
}

/** What a session without the right to remove it has left; a Service that still leads there is not as it was. */
function cleanUp(): void {
  const relays = cluster.store.list("deployments.apps", NAMESPACE).filter(({ metadata }) => metadata.name.startsWith("shipside-"));
  for (const { metadata } of relays) cluster.store.remove("deployments.apps", NAMESPACE, metadata.name);
  cluster.store.remove("services", NAMESPACE, "mine");
  const left = cluster.store.get("services", NAMESPACE, "core")?.["spec"].selector;
  cluster.store.mutate("services", NAMESPACE, "core", ({ metadata, ...core }) => {
    core["spec"].selector = { app: "core" };
    metadata.annotations = {};
  });
  expect(left).toEqual({ app: "core" });
}

interface Case {
  command: string;
  rules: Rule[];
  run(): Promise<Told>;
  /** Rights without which it is all the same, here: the rule says what else they are for. */
  same: string[];
}

const sessionCase = (command: string, options: SessionOptions, same: string[] = []): Case => ({
  command,
  rules: sessionRules({ ...options, namespace: NAMESPACE }, NAMESPACE),
  run: () => open({ ...options, namespace: NAMESPACE }),
  same,
});
const file = (): { path: string } => ({ path: join(dir, `env-${runs++}`) });

/** SPDY gets through, the pods live and the namespace has services; a deployment's pods have its labels. */
const TUNNEL = ["get pods/portforward in", "get pods in", "get namespaces"];
const PODS = ["list replicasets.apps"];

const cases: Case[] = [
  sessionCase("teleport namespace", { kind: "teleport" }, TUNNEL),
  sessionCase("teleport", { kind: "teleport", workload: "deployment/core" }, [...TUNNEL, ...PODS]),
  sessionCase("env into a file", { kind: "env", workload: "deployment/core", envFile: { path: "/" } }, PODS),
  {
    command: "env",
    rules: sessionRules({ kind: "env", workload: "deployment/core", namespace: NAMESPACE }, NAMESPACE),
    run: () => show("deployment/core", "spec"),
    same: PODS,
  },
  {
    command: "env, a name alone",
    rules: sessionRules({ kind: "env", workload: "core", namespace: NAMESPACE }, NAMESPACE),
    run: () => show("core", "spec"),
    // It is a deployment: what it isn't need not be looked at.
    same: [
      ...PODS,
      ...["statefulsets.apps", "daemonsets.apps", "cronjobs.batch", "jobs.batch", "replicasets.apps", "pods"].map(
        (kind) => `get ${kind} "core"`,
      ),
    ],
  },
  {
    command: "env --from running",
    rules: sessionRules({ kind: "env", workload: "deployment/core", namespace: NAMESPACE, env: { from: "running" } }, NAMESPACE),
    run: () => show("deployment/core", "running"),
    same: PODS,
  },
];
/** Rights that only what is there already takes, or another's: without them these go on as with them. */
const ON_OTHERS = ["get configmaps in", "get secrets in", "delete services in"];

/** What is built on a relay. */
describe.each([
  { kind: "expose" as const, expose: { service: "mine", ports: ["8080:9"] } },
  { kind: "intercept" as const, intercept: { service: "core", ports: [`${PORT}:9`] } },
  { kind: "teleport" as const, via: "relay" as const },
  // Nothing answers there: a relay is made all the same.
  { kind: "teleport" as const, remoteHosts: ["nowhere.invalid:5432"] },
])("$kind on a relay ($#)", (options) => {
  const rules = sessionRules({ ...options, namespace: NAMESPACE }, NAMESPACE);
  afterEach(cleanUp);

  test("works with exactly its Roles, and says nothing of rights", async () => {
    await grant(rules, rules);
    const told = await open({ ...options, namespace: NAMESPACE });
    await told.end();
    expect(told.errors).toEqual([]);
    // Who creates a Role must hold its rules: with these the relay has got its own.
    expect(told.notices.filter((notice) => notice.includes("may not create Roles"))).toEqual([]);
  });

  const required = rightsOf(rules).filter(({ optional }) => optional === undefined);
  const needed = required.filter((right) => !ON_OTHERS.some((each) => describeRight(right).startsWith(each)));
  test.each(needed.map((right) => [describeRight(right), right] as const))("without %s", async (_what, right) => {
    await grant(without(rules, right), rules);
    const began = performance.now();
    const told = await open({ ...options, namespace: NAMESPACE });
    await told.end().catch((error: unknown) => told.errors.push(errorToJson(error)));
    expect(names(told, right), JSON.stringify(told.errors)).toBe(true);
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});

for (const each of cases)
  if (each.command === "env into a file")
    each.run = () => open({ kind: "env", workload: "deployment/core", namespace: NAMESPACE, envFile: file() });

describe.each(cases)("$command", ({ rules, run, same }) => {
  test("works with exactly its Roles, and says nothing of rights", async () => {
    await grant(rules, rules);
    const told = await run();
    await delay(300);
    await told.end();
    expect(told.errors).toEqual([]);
  });

  const isSame = (right: Right): boolean => same.some((each) => describeRight(right).startsWith(each));

  test.each(rightsOf(rules).map((right) => [describeRight(right), right] as const))("without %s", async (_what, right) => {
    await grant(without(rules, right), rules);
    const began = performance.now();
    const told = await run();
    try {
      if (isSame(right)) expect(told.errors).toEqual([]);
      else await expect.poll(() => (names(told, right) ? "named" : told.errors), { timeout: 5_000 }).toBe("named");
    } finally {
      await told.end();
    }
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

describe.each<[Way, string[]]>([
  ["spdy", ["create"]],
  ["websocket", ["get", "create"]],
  ["channel", ["get", "create"]],
])("connections by %s", (way, verbs) => {
  const rules = sessionRules({ kind: "teleport", namespace: NAMESPACE }, NAMESPACE);
  const over = async (): Promise<Told> => {
    await using front = await startFront(kubeconfig, way);
    const told = await open({ kind: "teleport", namespace: NAMESPACE }, front.kubeconfig);
    await delay(200);
    await told.end();
    return told;
  };

  test("the rules are enough", async () => {
    await grant(rules, rules);
    expect((await over()).errors).toEqual([]);
  });

  test.each(verbs)("%s is needed, and named", async (verb) => {
    const right: Right = { namespace: NAMESPACE, group: "", resource: "pods/portforward", verb, why: "" };
    await grant(without(rules, right), rules);
    expect(names(await over(), right)).toBe(true);
  });
});
