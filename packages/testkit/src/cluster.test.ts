import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { expect, test } from "vitest";
import { apiClient } from "./api/fixtures/client.ts";
import { configMap, NS, world } from "./api/fixtures/world.ts";
import { startCluster } from "./cluster.ts";

test("who may not is told so: no credentials, wrong ones, expired ones, and no right", async () => {
  await using w = await world();
  const jane = w.as("jane");
  expect((await jane.get(`${NS}/pods`)).body).toMatchObject({
    code: 403,
    message: 'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
  });
  expect((await jane.get("/apis")).status).toBe(200);
  const nobody = apiClient({ server: w.cluster.server, ca: w.cluster.ca, token: "wrong" });
  expect((await nobody.get("/api")).body).toMatchObject({ code: 401, message: "Unauthorized", reason: "Unauthorized" });
  nobody.close();
  w.cluster.expireUser("jane");
  expect((await jane.get("/apis")).status).toBe(401);
  w.cluster.expireUser("jane", false);
  expect((await jane.get("/apis")).status).toBe(200);
});

test("access reviews say what the authorizer says; impersonation needs the right to", async () => {
  await using w = await world();
  const jane = w.as("jane", ["dev"]);
  await w.cluster.apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: Group, name: dev}]
`);
  const review = async (verb: string) =>
    (
      await jane.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
        spec: { resourceAttributes: { namespace: "default", verb, resource: "pods" } },
      })
    ).body.status;
  expect(await review("get")).toEqual({
    allowed: true,
    reason: 'RBAC: allowed by RoleBinding "readers/default" of Role "reader" to Group "dev"',
  });
  expect(await review("delete")).toEqual({ allowed: false });
  const rules = await jane.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {
    spec: { namespace: "default" },
  });
  expect(rules.body.status.resourceRules).toContainEqual({ apiGroups: [""], resources: ["pods"], verbs: ["get"] });
  const as = (client: typeof jane) =>
    client.call(
      "POST",
      "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      {},
      { "impersonate-user": "joe", "impersonate-group": "ops" },
    );
  expect((await as(w.api)).body.status.userInfo).toEqual({ username: "joe", groups: ["ops", "system:authenticated"] });
  expect((await as(jane)).body.message).toContain('cannot impersonate resource "users"');
});

test("nobody grants what they don't hold", async () => {
  await using w = await world();
  const jane = w.as("jane");
  await w.cluster.apply([
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: "jane" },
      rules: [
        { apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles", "rolebindings"], verbs: ["*"] },
        { apiGroups: [""], resources: ["services"], resourceNames: ["web"], verbs: ["get", "patch"] },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: "jane" },
      roleRef: { kind: "Role", name: "jane" },
      subjects: [{ kind: "User", name: "jane" }],
    },
  ]);
  // `*` on roles is also `escalate` and `bind`; take those two away.
  await w.cluster.apply([
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: "jane" },
      rules: [
        { apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles", "rolebindings"], verbs: ["get", "create"] },
        { apiGroups: [""], resources: ["services"], resourceNames: ["web"], verbs: ["get", "patch"] },
      ],
    },
  ]);
  const roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
  const grant = (name: string, resourceNames: string[], verbs: string[]) =>
    jane.call("POST", roles, { metadata: { name }, rules: [{ apiGroups: [""], resources: ["services"], resourceNames, verbs }] });
  expect((await grant("fine", ["web"], ["patch"])).status).toBe(201);
  const refused = await grant("more", ["web", "api"], ["get", "delete"]);
  expect(refused.status).toBe(403);
  expect(refused.body.message).toBe(
    'roles.rbac.authorization.k8s.io "more" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not ' +
      'currently held:\n{APIGroups:[""], Resources:["services"], ResourceNames:["api"], Verbs:["get" "delete"]}\n' +
      '{APIGroups:[""], Resources:["services"], ResourceNames:["web"], Verbs:["delete"]}',
  );
});

test("a service account's token: requested, reviewed, and void with its pod", async () => {
  await using w = await world();
  await w.api.call("POST", `${NS}/pods`, { metadata: { name: "p" }, spec: { containers: [{ name: "a", image: "i" }] } });
  const { body } = await w.api.call("POST", `${NS}/serviceaccounts/default/token`, {
    spec: {
      audiences: ["https://kubernetes.default.svc.cluster.local"],
      boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "p" },
    },
  });
  const review = async () =>
    (await w.api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { spec: { token: body.status.token } })).body.status;
  expect(await review()).toMatchObject({ authenticated: true, user: { username: "system:serviceaccount:default:default" } });
  const client = apiClient({ server: w.cluster.server, ca: w.cluster.ca, token: body.status.token });
  expect((await client.get(`${NS}/pods`)).body.message).toContain(
    'User "system:serviceaccount:default:default" cannot list resource "pods"',
  );
  await w.api.call("DELETE", `${NS}/pods/p`);
  expect((await review()).authenticated).toBeUndefined();
  expect((await client.get(`${NS}/pods`)).status).toBe(401);
  client.close();
  const tampered = body.status.token.replace(/.$/, (last: string) => (last === "A" ? "B" : "A"));
  expect(
    (await w.api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { spec: { token: tampered } })).body.status
      .authenticated,
  ).toBeUndefined();
});

test("a WebSocket's GET needs `create` besides `get`; what SPDY posts needs `create` alone", async () => {
  await using w = await world();
  await w.api.call("POST", `${NS}/pods`, { metadata: { name: "p" }, spec: { containers: [{ name: "a", image: "i" }] } });
  const may = (user: string, verbs: string[]) =>
    w.cluster.apply([
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        metadata: { name: user },
        rules: [{ apiGroups: [""], resources: ["pods/portforward"], verbs }],
      },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "RoleBinding",
        metadata: { name: user },
        roleRef: { kind: "Role", name: user },
        subjects: [{ kind: "User", name: user }],
      },
    ]);
  await may("getter", ["get"]);
  await may("creator", ["create"]);
  await may("both", ["get", "create"]);
  const upgrade = (user: string, method: string, protocol: string): Promise<string> => {
    w.as(user);
    return new Promise((resolve, reject) => {
      const socket = tlsConnect({ port: Number(new URL(w.cluster.server).port), host: "127.0.0.1", ca: w.cluster.ca });
      let text = "";
      socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      socket.on("error", reject).on("close", () => resolve(text));
      socket.write(
        `${method} ${NS}/pods/p/portforward?ports=80 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n` +
          `Authorization: Bearer token-of-${user}\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
      );
    });
  };
  const refused = 'cannot create resource \\"pods/portforward\\" in API group \\"\\" in the namespace \\"default\\"';
  // The handler asks the second time, and has no words of its own.
  expect(await upgrade("getter", "GET", "websocket")).toContain('"pods \\"p\\" is forbidden: "');
  expect(await upgrade("creator", "GET", "websocket")).toContain('cannot get resource \\"pods/portforward\\"');
  expect(await upgrade("getter", "POST", "SPDY/3.1")).toContain(refused);
  // Past authorisation: the pod runs nowhere.
  expect(await upgrade("both", "GET", "websocket")).toContain("pod p does not have a host assigned");
  expect(await upgrade("creator", "POST", "SPDY/3.1")).toContain("pod p does not have a host assigned");
});

test("faults reach connections and requests", async () => {
  await using w = await world();
  const { faults } = w.cluster;
  const undo = faults.throttle({ resource: "configmaps", retryAfterSeconds: 7 });
  const limited = await w.api.get(`${NS}/configmaps`);
  expect([limited.status, limited.headers["retry-after"]]).toEqual([429, "7"]);
  expect((await w.api.get(`${NS}/pods`)).status).toBe(200);
  undo();
  expect((await w.api.get(`${NS}/configmaps`)).status).toBe(200);
  const watch = w.api.watch(`${NS}/configmaps?watch=1`);
  await watch.reach(1);
  expect(faults.dropConnections("watch")).toBe(1);
  await watch.ended;
  const thaw = faults.freeze();
  const frozen = w.api.get("/readyz").then(
    () => "answered",
    () => "cut",
  );
  expect(await Promise.race([frozen, new Promise((resolve) => setTimeout(resolve, 200, "silent"))])).toBe("silent");
  thaw();
  await faults.restartApiServer();
  expect((await w.api.get("/readyz")).status).toBe(200);
  await frozen;
});

test("a restart cuts connections and keeps address and state", async () => {
  await using w = await world();
  await w.api.call("POST", `${NS}/configmaps`, configMap("kept"));
  const watch = w.api.watch(`${NS}/configmaps?watch=1`);
  await watch.reach(1);
  await w.cluster.stop();
  await watch.ended;
  await expect(w.api.get("/readyz")).rejects.toThrow("ECONNREFUSED");
  await w.cluster.start();
  expect((await w.api.get(`${NS}/configmaps/kept`)).status).toBe(200);
});

test("a CronJob runs when it's told to", async () => {
  await using w = await world({ controllers: true });
  await w.cluster.apply(`
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {schedule: "0 3 * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: "node:24"}]}}}}}
`);
  const { metadata } = w.cluster.triggerCronJob("default", "nightly");
  expect(w.cluster.store.get("jobs.batch", "default", metadata.name)).toBeDefined();
  expect(() => w.cluster.triggerCronJob("default", "none")).toThrow(/not found/);
  await using without = await startCluster({ node: false, controllers: false });
  expect(() => without.triggerCronJob("default", "nightly")).toThrow(expect.objectContaining({ code: "TESTKIT_OPTIONS_INVALID" }));
});

test("close leaves nothing, and is the same the second time", async () => {
  const cluster = await startCluster({ node: false });
  const { kubeconfigPath, server } = cluster;
  expect(existsSync(kubeconfigPath)).toBe(true);
  await Promise.all([cluster.close(), cluster.close()]);
  expect(existsSync(kubeconfigPath)).toBe(false);
  await expect(cluster.start()).rejects.toMatchObject({ code: "TESTKIT_CLOSED" });
  const socket = connect(Number(new URL(server).port), "127.0.0.1");
  await expect(new Promise((_resolve, reject) => socket.on("error", reject))).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test.each([
  [{ port: 70_000 }, "TESTKIT_OPTIONS_INVALID"],
  [{ host: "0.0.0.0" }, "TESTKIT_OPTIONS_INVALID"],
  [{ bookmarkIntervalMs: 0 }, "TESTKIT_OPTIONS_INVALID"],
  [{ history: -1 }, "TESTKIT_OPTIONS_INVALID"],
])("bad option %j", async (options, code) => {
  await expect(startCluster(options)).rejects.toMatchObject({ code, hint: expect.any(String) });
});

test.each([false, true])("a port that is taken is said to be, with nothing left behind (node: %s)", async (withNode) => {
  await using w = await world();
  const port = Number(new URL(w.cluster.server).port);
  const stateDir = mkdtempSync(join(tmpdir(), "shipside-test-"));
  await expect(startCluster({ port, node: withNode && { stateDir } })).rejects.toMatchObject({ code: "TESTKIT_PORT_IN_USE" });
  const processes = (existsSync("/proc") ? readdirSync("/proc") : []).flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`) === stateDir ? [pid] : [];
    } catch {
      return [];
    }
  });
  expect(processes).toEqual([]);
  rmSync(stateDir, { recursive: true });
});

test("starts at once", async () => {
  // The fastest of some: what the machine does besides is not ours.
  let fastest = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 10 && fastest >= 300; tries++) {
    const began = performance.now();
    await using cluster = await startCluster({ node: false });
    fastest = Math.min(fastest, performance.now() - began);
    expect(cluster.server).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  }
  expect(fastest).toBeLessThan(300);
});

test("2,000 services and 5,000 pods: lists are quick and small to hold", async () => {
  await using w = await world();
  const { store } = w.cluster;
  for (let i = 0; i < 2000; i++) {
    store.create("services", {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: `s${i}`, namespace: "default" },
      spec: { selector: { app: `a${i}` }, ports: [{ port: 80 }] },
    });
  }
  for (let i = 0; i < 5000; i++) {
    store.create("pods", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `p${i}`, namespace: "default", labels: { app: `a${i % 2000}` } },
      spec: { containers: [{ name: "main", image: "node:24", ports: [{ containerPort: 80 }] }] },
      status: { phase: "Running" },
    });
  }
  // Processor time: what the machine does besides is not ours.
  const began = process.cpuUsage();
  const services = await w.api.get("/api/v1/services");
  const pods = await w.api.get("/api/v1/pods");
  const { user, system } = process.cpuUsage(began);
  expect([services.body.items.length, pods.body.items.length]).toEqual([2001, 5000]);
  expect((user + system) / 1000).toBeLessThan(1500);
  expect(process.memoryUsage().heapUsed / 2 ** 20).toBeLessThan(400);
});
