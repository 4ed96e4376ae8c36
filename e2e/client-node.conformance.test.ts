import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AppsV1Api,
  CoreV1Api,
  Exec,
  KubeConfig,
  KubernetesObjectApi,
  Log,
  makeInformer,
  PatchStrategy,
  PortForward,
  setHeaderOptions,
  type V1ConfigMap,
  type V1Status,
  Watch,
} from "@kubernetes/client-node";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

// The official client, as it comes, against the embedded cluster or the one of `SHIPSIDE_E2E_KUBECONFIG`.
let cluster: EmbeddedCluster | undefined;
const config = new KubeConfig();
/** One for each try. */
let namespace: string;
let core: CoreV1Api;

beforeAll(async () => {
  const given = process.env["SHIPSIDE_E2E_KUBECONFIG"];
  if (!given) cluster = await startCluster();
  config.loadFromFile(given ?? cluster!.kubeconfigPath);
  core = config.makeApiClient(CoreV1Api);
});
afterAll(() => cluster?.close());

beforeEach(async () => {
  namespace = `client-node-${randomBytes(3).toString("hex")}`;
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  // A pod is refused until its service account is there.
  await until(async () => (await core.listNamespacedServiceAccount({ namespace })).items.length > 0);
});

afterEach(async () => {
  await core.deleteNamespace({ name: namespace }).catch(() => {});
});

async function until(so: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await so())) await sleep(50);
}

const labelled = (name: string, data: Record<string, string>): V1ConfigMap => ({
  metadata: { name, labels: { of: "test" } },
  data,
});

test("create, read, replace, list by label, delete", async () => {
  const body = await core.createNamespacedConfigMap({ namespace, body: labelled("one", { a: "1" }) });
  expect(body.metadata?.creationTimestamp).toBeInstanceOf(Date);
  body.data!["a"] = "2";
  await core.replaceNamespacedConfigMap({ name: "one", namespace, body });
  await expect(core.replaceNamespacedConfigMap({ name: "one", namespace, body })).rejects.toMatchObject({ code: 409 });
  const { items } = await core.listNamespacedConfigMap({ namespace, labelSelector: "of=test" });
  expect(items.map(({ metadata, data }) => [metadata?.name, data])).toEqual([["one", { a: "2" }]]);
  await core.deleteNamespacedConfigMap({ name: "one", namespace });
  await expect(core.readNamespacedConfigMap({ name: "one", namespace })).rejects.toMatchObject({ code: 404 });
});

test("pages of a list are one list", async () => {
  for (const name of ["a", "b", "c"]) await core.createNamespacedConfigMap({ namespace, body: labelled(`page-${name}`, {}) });
  const names: string[] = [];
  let next: string | undefined;
  do {
    const page = await core.listNamespacedConfigMap({
      namespace,
      labelSelector: "of=test",
      limit: 2,
      ...(next && { _continue: next }),
    });
    names.push(...page.items.map(({ metadata }) => metadata!.name!));
    next = page.metadata?._continue;
  } while (next);
  expect(names).toEqual(["page-a", "page-b", "page-c"]);
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: "of=test" });
});

test("every kind of patch", async () => {
  const apps = config.makeApiClient(AppsV1Api);
  const labels = { app: "patched" };
  const containers = [{ name: "main", image: "node:24" }];
  const template = { metadata: { labels }, spec: { containers } };
  await apps.createNamespacedDeployment({
    namespace,
    body: { metadata: { name: "patched" }, spec: { replicas: 0, selector: { matchLabels: labels }, template } },
  });
  const patch = (body: object, strategy: PatchStrategy, more: object = {}) =>
    apps.patchNamespacedDeployment({ name: "patched", namespace, body, ...more }, setHeaderOptions("Content-Type", strategy));
  const sidecar = { name: "side", image: "busybox" };
  await patch({ spec: { template: { spec: { containers: [sidecar] } } } }, PatchStrategy.StrategicMergePatch);
  await patch({ metadata: { annotations: { note: "x" } } }, PatchStrategy.MergePatch);
  await patch([{ op: "add", path: "/spec/minReadySeconds", value: 3 }], PatchStrategy.JsonPatch);
  const { spec, metadata } = await patch(
    { apiVersion: "apps/v1", kind: "Deployment", spec: { paused: true } },
    PatchStrategy.ServerSideApply,
    { fieldManager: "test" },
  );
  expect(spec?.template.spec?.containers.map(({ name }) => name).sort()).toEqual(["main", "side"]);
  expect([metadata?.annotations?.["note"], spec?.minReadySeconds, spec?.paused]).toEqual(["x", 3, true]);
});

test("objects of any kind", async () => {
  const api = KubernetesObjectApi.makeApiClient(config);
  const spec = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "any", namespace } };
  await api.create({ ...spec, data: { a: "1" } } as V1ConfigMap);
  await api.patch(
    { ...spec, data: { b: "2" } } as V1ConfigMap,
    undefined,
    undefined,
    undefined,
    undefined,
    PatchStrategy.MergePatch,
  );
  expect((await api.read<V1ConfigMap>(spec)).data).toEqual({ a: "1", b: "2" });
  await api.delete(spec);
});

test("a watch tells of each change", async () => {
  const seen: string[] = [];
  const watch = await new Watch(config).watch(
    `/api/v1/namespaces/${namespace}/configmaps`,
    { labelSelector: "of=watch" },
    (type, object: V1ConfigMap) => void seen.push(`${type} ${object.data?.["a"]}`),
    () => {},
  );
  const metadata = { name: "watched", labels: { of: "watch" } };
  await core.createNamespacedConfigMap({ namespace, body: { metadata, data: { a: "1" } } });
  await core.replaceNamespacedConfigMap({ name: "watched", namespace, body: { metadata, data: { a: "2" } } });
  await core.deleteNamespacedConfigMap({ name: "watched", namespace });
  await until(() => seen.length === 3);
  watch.abort();
  expect(seen).toEqual(["ADDED 1", "MODIFIED 2", "DELETED 2"]);
});

test("an informer holds what there is", async () => {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const informer = makeInformer(
    config,
    path,
    () => core.listNamespacedConfigMap({ namespace, labelSelector: "of=informer" }),
    "of=informer",
  );
  const seen: string[] = [];
  informer.on("add", ({ metadata }) => void seen.push(`add ${metadata?.name}`));
  informer.on("update", ({ metadata }) => void seen.push(`update ${metadata?.name}`));
  informer.on("delete", ({ metadata }) => void seen.push(`delete ${metadata?.name}`));
  const body = { metadata: { name: "held", labels: { of: "informer" } } };
  await core.createNamespacedConfigMap({ namespace, body });
  await informer.start();
  await until(() => informer.get("held", namespace) !== undefined);
  await core.replaceNamespacedConfigMap({ name: "held", namespace, body: { ...body, data: { a: "1" } } });
  await until(() => informer.get("held", namespace)?.data?.["a"] === "1");
  await core.deleteNamespacedConfigMap({ name: "held", namespace });
  await until(() => informer.list(namespace).length === 0);
  await informer.stop();
  expect(seen).toEqual(["add held", "update held", "delete held"]);
});

test("into a pod: log, exec, port-forward", { timeout: 60_000 }, async () => {
  const code = "console.log('up');require('net').createServer((s)=>s.on('data',(d)=>s.end(String(d).toUpperCase()))).listen(7000)";
  await core.createNamespacedPod({
    namespace,
    body: {
      metadata: { name: "app" },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: "main", image: "node:24", command: ["node", "-e", code] }],
      },
    },
  });
  const ready = async (): Promise<boolean> => {
    const { status } = await core.readNamespacedPodStatus({ name: "app", namespace });
    return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
  };
  await until(ready);
  await until(async () => (await core.readNamespacedPodLog({ name: "app", namespace })) === "up\n");
  const log = new PassThrough();
  const logged = text(log);
  await new Log(config).log(namespace, "app", "main", log, { tailLines: 1 });
  expect(await logged).toBe("up\n");

  const [out, err] = [new PassThrough(), new PassThrough()];
  const status = new Promise<V1Status>((resolve, reject) => {
    const command = ["sh", "-c", "echo out; echo err >&2; exit 3"];
    new Exec(config).exec(namespace, "app", "main", command, out, err, null, false, resolve).catch(reject);
  });
  expect(await Promise.all([text(out), text(err)])).toEqual(["out\n", "err\n"]);
  expect((await status).details?.causes).toContainEqual({ reason: "ExitCode", message: "3" });

  await until(async () => (await throughPort("hello")) === "HELLO");
});

/** What the pod's port answers, by a listener that client-node's port-forward stands behind. */
async function throughPort(word: string): Promise<string> {
  const forward = new PortForward(config);
  const server = createServer((socket) => {
    socket.on("error", () => {});
    forward.portForward(namespace, "app", [7000], socket, null, socket).catch(() => socket.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  try {
    socket.write(word);
    const [data] = await once(socket, "data", { signal: AbortSignal.timeout(5000) });
    return String(data);
  } catch {
    return "";
  } finally {
    socket.destroy();
    server.close();
  }
}
