import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errorToJson } from "@shipside/core";
import { teleport } from "@shipside/daemon";
import { describeRight, type Right, type Rule, rightsOf, rolesFor, sessionRules } from "@shipside/daemon/rbac";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canHaveDrives } from "./mount.drives.ts";

const NAMESPACE = "shop";
const RBAC = "rbac.authorization.k8s.io";
const USER = "developer";
const object = (apiVersion: string, kind: string, name: string, fields: object) => ({
  apiVersion,
  kind,
  metadata: { name, namespace: NAMESPACE },
  ...fields,
});
const labels = { app: "db" };
/** Which isn't set: the node has it. */
const LIMIT = { containerName: "db", resource: "limits.memory" };

/** A volume for each right. */
const manifests = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
  object("v1", "ConfigMap", "settings", { data: { mode: "first" } }),
  object("v1", "Secret", "keys", { stringData: { key: "s3cret" } }),
  {
    ...{ apiVersion: "certificates.k8s.io/v1beta1", kind: "ClusterTrustBundle", metadata: { name: "corporate" } },
    spec: { trustBundle: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" },
  },
  object("v1", "PersistentVolumeClaim", "data", {
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
  }),
  object("apps/v1", "Deployment", "db", {
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 0,
          volumes: [
            { name: "data", persistentVolumeClaim: { claimName: "data" } },
            { name: "settings", configMap: { name: "settings" } },
            { name: "keys", secret: { secretName: "keys" } },
            { name: "trust", projected: { sources: [{ clusterTrustBundle: { name: "corporate", path: "ca" } }] } },
            { name: "about", downwardAPI: { items: [{ path: "memory", resourceFieldRef: LIMIT }] } },
          ],
          containers: [
            {
              name: "db",
              image: "busybox",
              command: ["sleep", "98772"],
              securityContext: { runAsUser: 1000, runAsGroup: 1000 },
              volumeMounts: [
                { name: "data", mountPath: "/data" },
                { name: "settings", mountPath: "/etc/db" },
                { name: "keys", mountPath: "/etc/keys" },
                { name: "trust", mountPath: "/etc/trust" },
                { name: "about", mountPath: "/etc/about" },
              ],
            },
          ],
        },
      },
    },
  }),
];

let cluster: EmbeddedCluster;
let dir: string;
let runs = 0;

beforeAll(async () => {
  cluster = await startCluster();
  dir = await mkdtemp(join(tmpdir(), "shipside-mount-rbac-"));
  await writeFile(join(dir, "kubeconfig"), cluster.addUser({ name: USER }));
  await cluster.apply(manifests);
  while (cluster.store.get("deployments.apps", NAMESPACE, "db")?.["status"]?.readyReplicas !== 1) await delay(50);
}, 120_000);
afterAll(async () => {
  await cluster?.close();
  await rm(dir, { recursive: true });
});

/** The user has these rules in the namespace, and no others. */
async function grant(rules: readonly Rule[]): Promise<void> {
  const subjects = [{ kind: "User", name: USER, apiGroup: RBAC }];
  for (const role of rolesFor(rules, "given")) {
    const { kind, metadata } = role;
    const roleRef = { apiGroup: RBAC, kind, name: metadata.name };
    await cluster.apply([role, { apiVersion: `${RBAC}/v1`, kind: `${kind}Binding`, metadata, roleRef, subjects }]);
  }
}

const without = (rules: readonly Rule[], { verb, resource, name }: Right): Rule[] =>
  rules
    .map((rule) => ({
      ...rule,
      verbs: rule.verbs.filter((each) => rule.resource !== resource || rule.names?.[0] !== name || each !== verb),
    }))
    .filter(({ verbs }) => verbs.length > 0);

/** All that a mount told: volumes that aren't there, those that aren't kept current, and why it could not be at all. */
async function mount(driver: string): Promise<string[]> {
  const told: string[] = [];
  try {
    await using session = await teleport({
      ...{ kind: "mount", namespace: NAMESPACE, workload: "deployment/db", kubeconfig: join(dir, "kubeconfig") },
      mount: { dir: join(dir, `root-${runs}`), driver },
      hosts: false,
      stateDir: join(dir, `state-${runs++}`),
      onEvent: (event) => void (event.step === "warning" && told.push(JSON.stringify(event.error))),
    });
    // A watch that is refused says so a moment later.
    await delay(300);
    const { mount: mounted, stale } = session.info();
    told.push(...[...mounted!.obstacles, ...stale].map((each) => JSON.stringify(each)));
  } catch (error) {
    told.push(JSON.stringify(errorToJson(error)));
  }
  for (const { metadata } of cluster.store.list("deployments.apps", NAMESPACE))
    if (metadata.name.startsWith("shipside-")) cluster.store.remove("deployments.apps", NAMESPACE, metadata.name);
  return told;
}

interface Case {
  driver: string;
  /** Rights without which it is all the same here: a deployment's pods have its labels, which nobody changes. */
  same: string[];
  /** Those to take away: of a relay's the rest is tested with what else is built on one. */
  which(right: Right): boolean;
}
const same = ["list replicasets.apps", "watch pods in"];
const cases: Case[] = [
  // SPDY gets through; a cluster that is far away would be asked by WebSocket.
  { driver: "snapshot", same: [...same, "get pods/exec"], which: () => true },
  {
    driver: "sshfs",
    // SPDY gets through; who makes a relay may get every Deployment.
    same: [...same, "get pods/portforward", 'get deployments.apps "db"'],
    which: ({ resource, verb }) =>
      /^persistentvolumeclaims|^pods$|^deployments|^pods\/portforward/.test(resource) && verb !== "watch" && verb !== "delete",
  },
];

describe.each(cases.filter(({ driver }) => driver !== "sshfs" || (canHaveDrives && process.platform === "linux")))(
  "mount --driver $driver",
  ({ driver, same: unneeded, which }) => {
    const rules = sessionRules(
      { kind: "mount", workload: "deployment/db", namespace: NAMESPACE, mount: { dir: "/x", driver } },
      NAMESPACE,
    );

    test("works with exactly its Roles, and says nothing of rights", async () => {
      await grant(rules);
      expect(await mount(driver)).toEqual([]);
    }, 30_000);

    test.each(
      rightsOf(rules)
        .filter(which)
        .map((right) => [describeRight(right), right] as const),
    )(
      "without %s",
      async (what, right) => {
        await grant(without(rules, right));
        const told = await mount(driver);
        if (unneeded.some((each) => what.startsWith(each))) expect(told).toEqual([]);
        else
          expect(
            told.some((each) => each.includes(right.resource) && each.includes(right.verb)),
            told.join("\n"),
          ).toBe(true);
        await grant(rules);
      },
      30_000,
    );
  },
);
