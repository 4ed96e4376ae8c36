import { setTimeout as sleep } from "node:timers/promises";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { describe, expect, test, vi } from "vitest";
import { connectCluster } from "./client.ts";
import type { Cluster, ConnectOptions } from "./cluster.ts";
import { eventually } from "./fixtures/eventually.ts";
import { tempDir } from "./fixtures/fake-api.ts";
import { isReady, livePod } from "./live-pod.ts";
import { CONFIG_MAPS, type ConfigMap, ENDPOINT_SLICES, type KubeObject, NAMESPACES, PODS, type Pod, SERVICES } from "./objects.ts";
import type { Watch } from "./watch.ts";
import { resolveWorkload } from "./workload.ts";

interface World extends AsyncDisposable {
  server: EmbeddedCluster;
  cluster: Cluster;
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - name: web
        image: node:24
        command: [node, -e, 'require("node:http").createServer((q, r) => r.end("hello")).listen(8080)']
        readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 }
`;

/** What gives jane a rule, which is one entry of `rules:`. */
const granted = (rule: string): string => `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: jane, namespace: default }
rules:
${rule}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: jane, namespace: default }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: jane }
subjects: [{ kind: User, name: jane, apiGroup: rbac.authorization.k8s.io }]
`;

const DANGLING = `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: dangling, namespace: default }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: gone }
subjects: [{ kind: User, name: jane, apiGroup: rbac.authorization.k8s.io }]
`;

async function embedded(
  options: Parameters<typeof startCluster>[0] = { node: false, controllers: false },
  more: ConnectOptions = {},
): Promise<World> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await startCluster(options));
  const cluster = stack.use(await connectCluster({ kubeconfig: server.kubeconfigPath, ...more }));
  return { server, cluster, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({ metadata: { name }, data });
const snapshot = (objects: Iterable<KubeObject>): string[] =>
  [...objects].map(({ metadata }) => `${metadata.namespace}/${metadata.name} ${metadata.uid}@${metadata.resourceVersion}`).sort();

/** What has been emitted must be a history: nothing twice, nothing out of place. */
function audit<T extends KubeObject>(watch: Watch<T>): { wrong: string[]; model: Map<string, T> } {
  const model = new Map<string, T>();
  const seen = new Set<string>();
  const wrong: string[] = [];
  watch.events.on("change", ({ type, object }) => {
    const key = `${object.metadata.namespace}/${object.metadata.name}`;
    const version = `${object.metadata.uid}@${object.metadata.resourceVersion}`;
    if ((type === "added") === model.has(key)) wrong.push(`${type} ${key}`);
    if (type !== "deleted" && seen.has(version)) wrong.push(`${version} twice`);
    seen.add(version);
    if (type === "deleted") model.delete(key);
    else model.set(key, object);
  });
  return { wrong, model };
}

describe("against the embedded cluster", () => {
  test("objects from cradle to grave", async () => {
    await using w = await embedded();
    expect((await w.cluster.version()).gitVersion).toMatch(/^v1\./);
    expect(w.cluster.info.server).toBe(w.server.server);
    const made = await w.cluster.create(CONFIG_MAPS, configMap("m", { a: "1" }));
    expect(made.metadata.uid).toBeTruthy();
    await expect(w.cluster.create(CONFIG_MAPS, configMap("m"))).rejects.toMatchObject({
      code: "KUBE_CONFLICT",
      details: { reason: "AlreadyExists" },
    });
    expect((await w.cluster.patch(CONFIG_MAPS, { name: "m" }, { data: { b: "2" } }, { kind: "merge" })).data).toEqual({
      a: "1",
      b: "2",
    });
    expect((await w.cluster.patch(CONFIG_MAPS, { name: "m" }, [{ op: "remove", path: "/data/a" }], { kind: "json" })).data).toEqual(
      { b: "2" },
    );
    expect(
      (await w.cluster.patch(CONFIG_MAPS, { name: "m" }, { data: { c: "3" } }, { kind: "strategic", dryRun: true })).data,
    ).toEqual({ b: "2", c: "3" });
    expect((await w.cluster.get(CONFIG_MAPS, { name: "m" })).data).toEqual({ b: "2" });
    const applied = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "m" }, data: { d: "4" } };
    expect((await w.cluster.patch(CONFIG_MAPS, { name: "m" }, applied, { kind: "apply", force: true })).data).toMatchObject({
      d: "4",
    });
    await expect(w.cluster.delete(CONFIG_MAPS, { name: "m" }, { uid: "another" })).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
    await w.cluster.delete(CONFIG_MAPS, { name: "m" });
    await w.cluster.delete(CONFIG_MAPS, { name: "m" });
    await expect(w.cluster.get(CONFIG_MAPS, { name: "m" })).rejects.toMatchObject({ code: "KUBE_NOT_FOUND" });
    await expect(w.cluster.create(CONFIG_MAPS, configMap("Not A Name"))).rejects.toMatchObject({ code: "KUBE_INVALID" });
    await expect(w.cluster.list({ ...PODS, group: "no.such.group" })).rejects.toMatchObject({ code: "KUBE_KIND_UNKNOWN" });
  });

  test("more objects than a page holds", async () => {
    await using w = await embedded();
    for (let i = 0; i < 1_201; i++)
      w.server.store.create("configmaps", {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: `m${i}`, namespace: "default" },
      });
    const listed = await w.cluster.list(CONFIG_MAPS, { namespace: "default" });
    expect(new Set(listed.map(({ metadata }) => metadata.name)).size).toBe(listed.length);
    expect(listed.filter(({ metadata }) => /^m\d+$/.test(metadata.name))).toHaveLength(1_201);
  });

  test("a user without rights learns which; the rule given, it works", async () => {
    await using w = await embedded();
    await using dir = await tempDir();
    const kubeconfig = await dir.write("jane", w.server.addUser({ name: "jane", token: true }));
    await using jane = await connectCluster({ kubeconfig });
    const failure = await jane.list(ENDPOINT_SLICES, { namespace: "default" }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "KUBE_FORBIDDEN",
      details: { user: "jane", verb: "list", resource: "endpointslices", group: "discovery.k8s.io", namespace: "default" },
    });
    const { rule } = (failure as { details: { rule: string } }).details;
    await w.server.apply(granted(rule));
    expect(await jane.list(ENDPOINT_SLICES, { namespace: "default" })).toBeInstanceOf(Array);
    w.server.expireUser("jane");
    await expect(jane.list(ENDPOINT_SLICES, { namespace: "default" })).rejects.toMatchObject({ code: "KUBE_UNAUTHORIZED" });
  });

  test("exec takes two rights, and who follows the hints has them: what refuses the second says nothing of its own", async () => {
    await using w = await embedded();
    await using dir = await tempDir();
    const kubeconfig = await dir.write("jane", w.server.addUser({ name: "jane", token: true }));
    await using jane = await connectCluster({ kubeconfig });
    const refusal = (): Promise<unknown> =>
      jane.exec({ namespace: "default", name: "nobody" }, ["true"]).catch((error: unknown) => error);
    const names = (verb: string): object => ({
      code: "KUBE_FORBIDDEN",
      message: expect.stringContaining(`(verb ${verb} on pods/exec)`),
      hint: expect.stringContaining(`verbs: ["${verb}"]`),
      details: { verb, resource: "pods/exec", namespace: "default" },
    });
    const first = await refusal();
    expect(first).toMatchObject(names("get"));
    const { rule } = (first as { details: { rule: string } }).details;
    await w.server.apply(granted(rule));
    const second = await refusal();
    expect(second).toMatchObject(names("create"));
    expect(second).not.toHaveProperty("details.user");
    // RBAC's only words are of bindings that it could not follow.
    await w.server.apply(DANGLING);
    expect(await refusal()).toMatchObject(names("create"));
    await w.server.apply(granted(`${rule}\n${(second as { details: { rule: string } }).details.rule}`));
    expect(await refusal()).toMatchObject({ code: "KUBE_NOT_FOUND" });
  });

  test("a workload's live pod; exec in it; a stream to its port", async () => {
    await using w = await embedded({});
    await w.server.apply(deployment);
    const workload = await resolveWorkload(w.cluster, "deploy/web");
    let pod: Pod | undefined;
    await vi.waitFor(async () => {
      pod = await livePod(w.cluster, workload);
      expect(isReady(pod)).toBe(true);
    }, 15_000);
    const ref = { namespace: "default", name: pod!.metadata.name };
    expect(await w.cluster.exec(ref, ["sh", "-c", "echo out; echo err >&2; exit 7"])).toEqual({
      stdout: Buffer.from("out\n"),
      stderr: Buffer.from("err\n"),
      exitCode: 7,
    });
    const big = Buffer.alloc(300_000, "x");
    expect((await w.cluster.exec(ref, ["cat"], { stdin: big })).stdout.equals(big)).toBe(true);
    const stream = await w.cluster.portForward(ref, 8080);
    stream.on("error", () => {});
    stream.write("GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
    let answer = "";
    for await (const chunk of stream) answer += String(chunk);
    expect(answer).toContain("200 OK");
    await expect(w.cluster.portForward({ namespace: "default", name: "nobody" }, 1)).rejects.toMatchObject({ code: "DIAL_GONE" });
    await expect(w.cluster.exec({ namespace: "default", name: "nobody" }, ["true"])).rejects.toMatchObject({
      code: "KUBE_NOT_FOUND",
    });
  });

  test("300 services and what is added to them arrive", async () => {
    await using w = await embedded();
    const service = (i: number) => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: `s${i}`, namespace: "default" },
      spec: { selector: { app: `s${i}` }, ports: [{ port: 80 }] },
    });
    for (let i = 0; i < 300; i++) w.server.store.create("services", service(i));
    await using services = w.cluster.watch(SERVICES);
    await using slices = w.cluster.watch(ENDPOINT_SLICES);
    await Promise.all([services.synced, slices.synced]);
    expect([...services.items.keys()].filter((key) => key.startsWith("default/s"))).toHaveLength(300);
    for (let i = 300; i < 320; i++) w.server.store.create("services", service(i));
    await eventually(() => expect(services.items.has("default/s319")).toBe(true));
  });

  test("soak: 20 times something breaks while objects churn; it ends with the server's state and has emitted no version twice", async () => {
    await using w = await embedded(
      { node: false, controllers: false, history: 40, bookmarkIntervalMs: 200 },
      { watchInactivityMs: 1_000, requestTimeoutMs: 2_000 },
    );
    const { store, faults } = w.server;
    await w.cluster.create(NAMESPACES, { metadata: { name: "churn" } });
    await using watch = w.cluster.watch(CONFIG_MAPS, { namespace: "churn" });
    const { wrong, model } = audit(watch);
    await watch.synced;

    let round = 0;
    let churning = true;
    const churn = async (): Promise<void> => {
      while (churning) {
        round++;
        const name = `m${round % 15}`;
        const metadata = { name, namespace: "churn" };
        if (!store.get("configmaps", "churn", name))
          store.create("configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata, data: {} });
        else if (round % 7 === 0) store.remove("configmaps", "churn", name);
        else store.mutate("configmaps", "churn", name, (copy) => (copy["data"] = { round: String(round) }));
        await sleep(5);
      }
    };
    const during = async (undo: () => void, ms: number): Promise<void> => {
      await sleep(ms);
      undo();
    };
    const restart = (): unknown => faults.restartApiServer();
    const drop = (): unknown => faults.dropConnections("watch");
    /** Long enough for the history to be compacted: 410. */
    const outage = async (): Promise<void> => {
      await w.server.stop();
      await sleep(300);
      await w.server.start();
    };
    const expire = (): unknown => faults.expireVersions({ resource: "configmaps" }) && drop();
    const throttle = (): unknown => faults.throttle({ times: 1, retryAfterSeconds: 0 }) && faults.dropConnections();
    const fail = (): unknown => faults.fail({ times: 1, status: 503 }) && drop();
    const freeze = (): unknown => during(faults.freeze("watch"), 1_300);
    const troubles = [
      restart,
      drop,
      expire,
      drop,
      drop,
      outage,
      restart,
      drop,
      freeze,
      drop,
      throttle,
      restart,
      drop,
      fail,
      outage,
      drop,
      expire,
      restart,
      drop,
      restart,
    ];
    const churned = churn();
    const rounds = process.env["SHIPSIDE_SOAK"] === "1" ? 20 : 1;
    for (const [i, trouble] of Array.from({ length: rounds }, () => troubles)
      .flat()
      .entries()) {
      await trouble();
      await sleep(100);
      if (i % 4 === 3) await eventually(() => expect(watch.state.status).toBe("live"), 20_000);
    }
    churning = false;
    await churned;
    const held = (): string[] => snapshot(watch.items.values());
    await eventually(() => expect(held()).toEqual(snapshot(store.list("configmaps", "churn") as unknown as KubeObject[])), 20_000);
    expect(snapshot(model.values())).toEqual(held());
    expect(wrong).toEqual([]);
    expect(round).toBeGreaterThan(100);
  }, 1_200_000);
});
