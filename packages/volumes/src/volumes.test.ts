import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, readlink, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseQuantity } from "@shipside/core";
import { type Cluster, CONFIG_MAPS, connectCluster, kubeError, PODS } from "@shipside/kube";
import { beforeEach, describe, expect, it } from "vitest";
import { connectViewer } from "./fixtures/viewer.ts";
import { cluster, dir, namespace, read, scratch, useWorld, world } from "./fixtures/world.ts";
import { openVolumes } from "./volumes.ts";

const TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount";

useWorld();
beforeEach(() => {
  world.reset();
  const { store } = world.embedded;
  if (store.get("configmaps", namespace, "fleeting")) store.remove("configmaps", namespace, "fleeting");
});
const modeOf = async (path: string): Promise<number> => (await stat(join(dir, path))).mode & 0o777;

it("writes what the pod's container has, as the kubelet lays it out, and leaves nothing", async () => {
  const volumes = await openVolumes(cluster, { workload: "pod/app", namespace, dir });
  expect(await readlink(join(dir, "etc/app/plain"))).toBe("..data/plain");
  expect([await read("etc/app/plain"), await read("etc/app/raw.bin")]).toEqual(["text", "\u0000\u0001"]);
  expect(await modeOf("etc/app/plain")).toBe(0o440);
  expect([await read("work/keys/db/password"), await modeOf("work/keys/db/password")]).toEqual(["pa55word", 0o400]);
  expect([await read("opt/app.json"), (await lstat(join(dir, "opt/app.json"))).isFile()]).toEqual(["{}", true]);
  expect((await readdir(join(dir, "etc/maybe"))).filter((name) => !name.startsWith(".."))).toEqual([]);
  expect(await read("about/labels")).toBe('app="app"\ntier="gold"');
  expect(await Promise.all(["tls/cert", "conf/plain", "name", "cpu"].map((path) => read(`all/${path}`)))).toEqual([
    "PEM",
    "text",
    "app",
    "250",
  ]);
  await volumes.close();
  expect(await readdir(scratch)).toEqual([]);
});

it("has what was optional and absent as soon as it is there, and no longer than it is", async () => {
  await using _volumes = await openVolumes(cluster, { workload: "pod/app", namespace, dir, only: ["maybe"] });
  expect(await read("etc/maybe/late").catch(() => "absent")).toBe("absent");
  await cluster.create(CONFIG_MAPS, { metadata: { name: "absent", namespace }, data: { late: "here" } });
  await expect.poll(() => read("etc/maybe/late").catch(() => ""), { timeout: 5_000 }).toBe("here");
  await cluster.delete(CONFIG_MAPS, { namespace, name: "absent" });
  await expect.poll(() => existsSync(join(dir, "etc/maybe/late")), { timeout: 5_000 }).toBe(false);
});

it("brings the service account's token, certificate and namespace: the API server knows by it who asks", async () => {
  await using volumes = await openVolumes(cluster, { workload: "pod/app", namespace, dir, only: [TOKENS] });
  expect(volumes.obstacles).toEqual([]);
  expect((await readdir(join(dir, TOKENS))).filter((name) => !name.startsWith(".."))).toEqual(["ca.crt", "namespace", "token"]);
  expect([await read(`${TOKENS}/ca.crt`), await read(`${TOKENS}/namespace`)]).toEqual([world.embedded.ca, namespace]);
  const kubeconfig = join(scratch, "by-token");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "pod",
    clusters: [{ name: "pod", cluster: { server: world.embedded.server, "certificate-authority": join(dir, TOKENS, "ca.crt") } }],
    users: [{ name: "pod", user: { tokenFile: join(dir, TOKENS, "token") } }],
    contexts: [{ name: "pod", context: { cluster: "pod", user: "pod" } }],
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  await using asPod = await connectCluster({ kubeconfig });
  await expect(asPod.list(PODS, { namespace })).rejects.toMatchObject({
    code: "KUBE_FORBIDDEN",
    message: expect.stringContaining(`system:serviceaccount:${namespace}:default`),
  });
});

it("says why there is no token, and what else somebody may not do", async () => {
  await using viewer = await connectViewer(world.embedded, namespace);
  await using volumes = await openVolumes(viewer, { workload: "pod/app", namespace, dir, only: [TOKENS] });
  expect((await readdir(join(dir, TOKENS))).filter((name) => !name.startsWith(".."))).toEqual(["ca.crt", "namespace"]);
  expect(volumes.obstacles).toEqual([
    expect.objectContaining({
      code: "VOLUMES_TOKEN_REFUSED",
      mountPath: TOKENS,
      hint: expect.stringContaining("serviceaccounts/token"),
    }),
  ]);
  await using others = await openVolumes(viewer, {
    workload: "pod/app",
    namespace,
    dir: join(scratch, "x"),
    only: ["keys", "conf"],
  });
  expect(others.obstacles).toEqual([expect.objectContaining({ code: "KUBE_FORBIDDEN", volume: "keys", hint: expect.any(String) })]);
  expect(others.volumes.map(({ mountPath }) => mountPath)).toEqual(["/etc/app", "/opt/app.json"]);
});

it("follows a ConfigMap, all its keys at once; a subPath stays as it was", async () => {
  const changed: string[] = [];
  await using volumes = await openVolumes(cluster, {
    workload: "pod/app",
    namespace,
    dir,
    only: ["moving", "/opt/app.json", "about"],
    onChange: ({ volume }) => changed.push(volume),
  });
  expect(volumes.volumes.map(({ mountPath }) => mountPath)).toEqual(["/about", "/moving", "/opt/app.json"]);
  const set = (name: string, data: object) => cluster.patch(CONFIG_MAPS, { namespace, name }, { data }, { kind: "merge" });
  await set("moving", { one: "2", two: "2", three: "3" });
  await expect.poll(() => read("moving/three").catch(() => ""), { timeout: 5_000 }).toBe("3");
  expect([await read("moving/one"), await read("moving/two")]).toEqual(["2", "2"]);
  await set("moving", { one: null });
  await expect.poll(() => existsSync(join(dir, "moving/one")), { timeout: 5_000 }).toBe(false);
  await set("conf", { "app.json": "changed" });
  await cluster.patch(PODS, { namespace, name: "app" }, { metadata: { labels: { tier: "silver" } } }, { kind: "merge" });
  await expect.poll(() => read("about/labels"), { timeout: 5_000 }).toContain('tier="silver"');
  expect(await read("opt/app.json")).toBe("{}");
  await expect.poll(() => new Set(changed)).toEqual(new Set(["moving", "about"]));
});

it("a limit that isn't set is what the node has to give, for who may look", async () => {
  const pod = await cluster.get(PODS, { namespace, name: "app" });
  const ref = { containerName: "main", resource: "limits.memory", divisor: "1Mi" };
  pod.spec.volumes!.push({ name: "limits", downwardAPI: { items: [{ path: "memory", resourceFieldRef: ref }] } });
  pod.spec.containers[0]!.volumeMounts!.push({ name: "limits", mountPath: "/limits" });
  let mayLook = true;
  const changed = {
    ...cluster,
    async get(kind: { plural: string }, ref: { name: string }) {
      if (kind.plural === "nodes" && !mayLook) throw kubeError("KUBE_FORBIDDEN", "may not get nodes");
      return ref.name === "app" ? pod : cluster.get(kind as never, ref);
    },
  } as unknown as Cluster;
  const wanted = { workload: "pod/app", namespace, only: ["limits"] };
  await using _volumes = await openVolumes(changed, { ...wanted, dir });
  const [node] = world.embedded.store.list("nodes");
  const allocatable = parseQuantity(node!["status"].allocatable.memory)!;
  expect(Number(await read("limits/memory"))).toBe(Math.ceil(allocatable / 2 ** 20));
  mayLook = false;
  await using others = await openVolumes(changed, { ...wanted, dir: join(scratch, "x") });
  expect(others.obstacles).toEqual([expect.objectContaining({ code: "VOLUMES_NEEDS_POD", volume: "limits" })]);
});

it("says what isn't current: a ConfigMap that is gone, until it is back", async () => {
  const type = CONFIG_MAPS;
  await cluster.create(type, { metadata: { name: "fleeting", namespace }, data: { a: "1" } });
  const pod = await cluster.get(PODS, { namespace, name: "app" });
  pod.spec.volumes!.push({ name: "fleeting", configMap: { name: "fleeting" } });
  pod.spec.containers[0]!.volumeMounts!.push({ name: "fleeting", mountPath: "/fleeting" });
  const changed = {
    ...cluster,
    get: async (kind: never, ref: { name: string }) => (ref.name === "app" ? pod : cluster.get(kind, ref)),
  };
  await using volumes = await openVolumes(changed as unknown as Cluster, {
    ...{ workload: "pod/app", namespace, dir },
    only: ["fleeting", "moving"],
  });
  expect(volumes.volumes.map(({ by, updates }) => [by, updates])).toEqual([
    ["api", "followed"],
    ["api", "followed"],
  ]);
  expect(volumes.stale).toEqual([]);
  await cluster.delete(type, { namespace, name: "fleeting" });
  await expect
    .poll(() => volumes.stale, { timeout: 5_000 })
    .toEqual([expect.objectContaining({ code: "VOLUMES_NOT_FOLLOWED", message: expect.stringContaining("ConfigMap fleeting") })]);
  await cluster.patch(type, { namespace, name: "moving" }, { data: { late: "1" } }, { kind: "merge" });
  await expect.poll(() => read("moving/late").catch(() => ""), { timeout: 5_000 }).toBe("1");
  expect(await read("fleeting/a")).toBe("1");
  await cluster.create(type, { metadata: { name: "fleeting", namespace }, data: { a: "2" } });
  await expect.poll(() => read("fleeting/a"), { timeout: 10_000 }).toBe("2");
  await expect.poll(() => volumes.stale, { timeout: 5_000 }).toEqual([]);
});

describe("an emptyDir", () => {
  it("is one's own: empty, writable, with the volumes that are mounted inside; it goes with what was put in", async () => {
    const only = ["work", "keys"];
    const volumes = await openVolumes(cluster, { workload: "pod/app", namespace, dir, driver: "snapshot", only });
    expect(volumes.obstacles).toEqual([]);
    expect(volumes.volumes.map(({ mountPath, by, updates, readOnly }) => [mountPath, by, updates, readOnly])).toEqual([
      ["/work", "here", "own", false],
      ["/work/keys", "api", "followed", true],
    ]);
    expect(await readdir(join(dir, "work"))).toEqual(["keys"]);
    expect(await read("work/keys/db/password")).toBe("pa55word");
    await mkdir(join(dir, "work/deep/er"), { recursive: true });
    await writeFile(join(dir, "work/deep/er/file"), "x");
    await volumes.close();
    expect(await readdir(scratch)).toEqual([]);
  });

  it("that several mounts show is one folder", async () => {
    const pod = await cluster.get(PODS, { namespace, name: "app" });
    pod.spec.containers[0]!.volumeMounts!.push(
      { name: "work", mountPath: "/again" },
      { name: "work", mountPath: "/x/part", subPath: "part" },
    );
    const get = async (kind: never, ref: { name: string }) => (ref.name === "app" ? pod : cluster.get(kind, ref));
    const twice = { ...cluster, get } as unknown as Cluster;
    const volumes = await openVolumes(twice, { workload: "pod/app", namespace, dir, only: ["work"] });
    await writeFile(join(dir, "again/a"), "1");
    await writeFile(join(dir, "x/part/b"), "2");
    expect([await read("work/a"), await read("work/part/b"), await read("again/part/b")]).toEqual(["1", "2", "2"]);
    await volumes.close();
    expect(await readdir(scratch)).toEqual([]);
  });
});
