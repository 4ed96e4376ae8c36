import { existsSync } from "node:fs";
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseQuantity, type VolumeDriver } from "@shipside/core";
import { type Cluster, CONFIG_MAPS, connectCluster, kubeError, PODS } from "@shipside/kube";
import { type EmbeddedCluster, SAMPLE_NAMESPACE, sampleManifests, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { snapshotDriver } from "./drivers/snapshot.ts";
import { connectViewer } from "./fixtures/viewer.ts";
import { clearVolumes, volumesLeft } from "./owned-directory.ts";
import { openVolumes } from "./volumes.ts";

const namespace = "volumes";
const object = (kind: string, name: string, fields: object) => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace },
  ...fields,
});
const CONF = { "app.json": "{}", plain: "text" };
const MOVING = { one: "1", two: "1" };
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount";

let embedded: EmbeddedCluster;
let cluster: Cluster;
let scratch: string;
let dir: string;

beforeAll(async () => {
  embedded = await startCluster();
  await embedded.apply([
    ...sampleManifests(),
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    object("ConfigMap", "conf", { data: CONF, binaryData: { "raw.bin": base64("\u0000\u0001") } }),
    object("ConfigMap", "moving", { data: MOVING }),
    object("Secret", "keys", { data: { password: base64("pa55word"), cert: base64("PEM") } }),
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "app", namespace, labels: { tier: "gold", app: "app" } },
      spec: {
        terminationGracePeriodSeconds: 0,
        volumes: [
          { name: "work", emptyDir: {} },
          { name: "conf", configMap: { name: "conf", defaultMode: 0o440 } },
          { name: "keys", secret: { secretName: "keys", items: [{ key: "password", path: "db/password", mode: 0o400 }] } },
          { name: "maybe", configMap: { name: "absent", optional: true } },
          { name: "moving", configMap: { name: "moving" } },
          { name: "about", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
          {
            name: "all",
            projected: {
              sources: [
                { secret: { name: "keys", items: [{ key: "cert", path: "tls/cert" }] } },
                { configMap: { name: "conf", items: [{ key: "plain", path: "conf/plain" }] } },
                {
                  downwardAPI: {
                    items: [
                      { path: "name", fieldRef: { fieldPath: "metadata.name" } },
                      { path: "cpu", resourceFieldRef: { containerName: "main", resource: "limits.cpu", divisor: "1m" } },
                    ],
                  },
                },
              ],
            },
          },
        ],
        containers: [
          {
            name: "main",
            image: "busybox",
            command: ["sleep", "98763"],
            resources: { limits: { cpu: "250m" } },
            volumeMounts: [
              { name: "conf", mountPath: "/etc/app" },
              { name: "work", mountPath: "/work" },
              { name: "keys", mountPath: "/work/keys" },
              { name: "conf", mountPath: "/opt/app.json", subPath: "app.json" },
              { name: "maybe", mountPath: "/etc/maybe" },
              { name: "moving", mountPath: "/moving" },
              { name: "about", mountPath: "/about" },
              { name: "all", mountPath: "/all" },
            ],
          },
        ],
      },
    },
    object("Pod", "nest", {
      spec: {
        terminationGracePeriodSeconds: 0,
        volumes: [
          { name: "work", emptyDir: {} },
          { name: "keys", secret: { secretName: "keys", items: [{ key: "password", path: "db/password" }] } },
        ],
        containers: [
          { name: "main", image: "busybox", command: ["sleep", "98764"], volumeMounts: [{ name: "work", mountPath: "/work" }] },
        ],
      },
    }),
  ]);
  cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
  for (const [where, selector] of [
    [namespace, "app=app"],
    [SAMPLE_NAMESPACE, "app.kubernetes.io/name=core"],
    [SAMPLE_NAMESPACE, "app.kubernetes.io/name=database"],
  ] as const) {
    const running = async () => (await cluster.list(PODS, { namespace: where, labelSelector: selector }))[0]?.status?.phase;
    await vi.waitFor(async () => expect(await running()).toBe("Running"), { timeout: 20_000 });
  }
}, 60_000);
afterAll(async () => {
  await cluster?.close();
  await embedded?.close();
});
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "volumes-"));
  dir = join(scratch, "made", "root");
  // What tests change, a first try too.
  const { store } = embedded;
  store.mutate("configmaps", namespace, "conf", (copy) => void (copy["data"] = { ...CONF }));
  store.mutate("configmaps", namespace, "moving", (copy) => void (copy["data"] = { ...MOVING }));
  store.mutate("pods", namespace, "app", ({ metadata }) => void (metadata.labels = { tier: "gold", app: "app" }));
  if (store.get("configmaps", namespace, "fleeting")) store.remove("configmaps", namespace, "fleeting");
  if (store.get("pods", namespace, "lacking")) store.remove("pods", namespace, "lacking");
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

const read = (path: string): Promise<string> => readFile(join(dir, path), "utf8");
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
  expect([await read(`${TOKENS}/ca.crt`), await read(`${TOKENS}/namespace`)]).toEqual([embedded.ca, namespace]);
  const kubeconfig = join(scratch, "by-token");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "pod",
    clusters: [{ name: "pod", cluster: { server: embedded.server, "certificate-authority": join(dir, TOKENS, "ca.crt") } }],
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
  await using viewer = await connectViewer(embedded, namespace);
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

describe("with the snapshot driver", () => {
  it("copies an emptyDir and a claim beside the volumes from the API, and leaves nothing", async () => {
    const where = { namespace: SAMPLE_NAMESPACE, labelSelector: "app.kubernetes.io/name=database" };
    const name = (await cluster.list(PODS, where))[0]!.metadata.name;
    await cluster.exec({ namespace: SAMPLE_NAMESPACE, name }, ["sh", "-c", "echo kept > /var/lib/database/row"]);
    const database = await openVolumes(cluster, {
      workload: "statefulset/database",
      namespace: SAMPLE_NAMESPACE,
      dir,
      driver: "snapshot",
    });
    expect(await read("var/lib/database/row")).toBe("kept\n");
    expect(database.volumes.find(({ volume }) => volume === "data")).toMatchObject({
      kind: "persistentVolumeClaim",
      readOnly: true,
    });
    await database.close();
    const live = { workload: "deployment/core", namespace: SAMPLE_NAMESPACE, from: "running" } as const;
    const core = await openVolumes(cluster, { ...live, dir, driver: "snapshot" });
    expect(JSON.parse(await read("etc/core/features.json"))).toEqual({ newCheckout: true, recommendations: false });
    expect(await readdir(join(dir, "var/cache"))).toEqual(["core"]);
    await core.close();
    expect(await readdir(scratch)).toEqual([]);
  });

  it("a volume inside another is itself, not the copy of it that came along", async () => {
    const pod = { namespace, name: "nest" };
    await vi.waitFor(async () => expect((await cluster.get(PODS, pod)).status?.phase).toBe("Running"), { timeout: 10_000 });
    const copies = "mkdir -p /work/keys/db && echo own > /work/file && echo stale > /work/keys/db/password";
    expect(await cluster.exec(pod, ["sh", "-ec", copies])).toMatchObject({ exitCode: 0 });
    const found = await cluster.get(PODS, pod);
    found.spec.containers[0]!.volumeMounts!.push({ name: "keys", mountPath: "/work/keys" });
    const nested = {
      ...cluster,
      get: async (type: never, ref: { name: string }) => (ref.name === "nest" ? found : cluster.get(type, ref)),
    };
    const volumes = await openVolumes(nested as unknown as Cluster, {
      workload: "pod/nest",
      namespace,
      dir,
      driver: "snapshot",
      from: "running",
      only: ["work", "keys"],
    });
    expect(await read("work/file")).toBe("own\n");
    expect(await readlink(join(dir, "work/keys/db"))).toBe("..data/db");
    expect(await read("work/keys/db/password")).toBe("pa55word");
    expect((await readdir(join(dir, "work/keys"))).filter((name) => /^\.\.\d/.test(name))).toHaveLength(1);
    await volumes.close();
    expect(await readdir(scratch)).toEqual([]);
  });

  it("without a driver they are left out, with a reason", async () => {
    await using core = await openVolumes(cluster, {
      workload: "deployment/core",
      namespace: SAMPLE_NAMESPACE,
      dir,
      only: ["cache"],
      from: "running",
    });
    expect(core.obstacles).toEqual([expect.objectContaining({ code: "VOLUMES_NO_DRIVER", volume: "cache" })]);
    expect(existsSync(join(dir, "var"))).toBe(false);
  });
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
  const [node] = embedded.store.list("nodes");
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

it("of several drivers, the first that brings the kind has a volume", async () => {
  const claims: VolumeDriver = {
    name: "claims",
    kinds: ["persistentVolumeClaim"],
    unavailable: async () => undefined,
    async mount({ localPath }) {
      await writeFile(join(localPath, "live"), "");
      const close = () => rm(join(localPath, "live"));
      return { localPath, close, [Symbol.asyncDispose]: close };
    },
  };
  const wanted = { workload: "pod/app", namespace, dir, only: ["work"], from: "running" } as const;
  await using copied = await openVolumes(cluster, { ...wanted, driver: [claims, snapshotDriver({ cluster })] });
  expect(copied.volumes.map(({ by }) => by)).toEqual(["snapshot"]);
  await copied.close();
  await using none = await openVolumes(cluster, { ...wanted, driver: [claims] });
  expect(none.obstacles).toEqual([
    expect.objectContaining({ code: "VOLUMES_NO_DRIVER", message: expect.stringContaining("brings persistentVolumeClaim alone") }),
  ]);
  await using database = await openVolumes(cluster, {
    ...{ workload: "statefulset/database", namespace: SAMPLE_NAMESPACE, only: ["data"] },
    ...{ dir: join(scratch, "database"), driver: [claims, snapshotDriver({ cluster })] },
  });
  expect(database.volumes.map(({ by, updates }) => [by, updates])).toEqual([["claims", "live"]]);
});

describe("with a driver that mounts", () => {
  /** Puts a file there, and takes it away. */
  const drive = (failing?: string): VolumeDriver => ({
    name: "drive",
    unavailable: async () => undefined,
    async mount({ localPath, volume, readOnly }) {
      if (volume === failing) throw Object.assign(new Error("the far end is away"), { code: "DRIVE_AWAY" });
      await writeFile(join(localPath, "from"), readOnly ? "read-only" : "writable");
      const close = () => rm(join(localPath, "from"));
      return { localPath, close, [Symbol.asyncDispose]: close };
    },
  });

  it("a volume of the API inside it is left out: its files would stand in the volume itself", async () => {
    await using volumes = await openVolumes(cluster, {
      workload: "pod/app",
      namespace,
      dir,
      driver: drive(),
      from: "running",
      only: ["work", "keys"],
    });
    expect(volumes.volumes).toEqual([
      expect.objectContaining({ mountPath: "/work", by: "drive", updates: "live", readOnly: false }),
    ]);
    expect(volumes.obstacles).toEqual([expect.objectContaining({ code: "VOLUMES_PATH_UNSAFE", mountPath: "/work/keys" })]);
    expect(await readdir(join(dir, "work"))).toEqual(["from"]);
  });

  it("is told where nothing may be written; one volume that fails keeps none of the others away", async () => {
    const wanted = { workload: "pod/app", namespace, dir, only: ["work", "conf"], from: "running" } as const;
    await using volumes = await openVolumes(cluster, { ...wanted, driver: drive(), readOnly: true });
    expect(await read("work/from")).toBe("read-only");
    expect(volumes.volumes[2]).toMatchObject({ mountPath: "/work", readOnly: true });
    await volumes.close();
    await using without = await openVolumes(cluster, { ...wanted, driver: drive("work") });
    expect(without.volumes.map(({ volume }) => volume)).toEqual(["conf", "conf"]);
    expect(without.obstacles).toEqual([{ code: "DRIVE_AWAY", message: "the far end is away", volume: "work", mountPath: "/work" }]);
  });
});

describe("the directory", () => {
  const open = () => openVolumes(cluster, { workload: "pod/app", namespace, dir, only: ["conf", "keys"] });

  it("is refused where it has something in it, and that stays", async () => {
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, "mine"), "x");
    await expect(open()).rejects.toMatchObject({ code: "VOLUMES_DIR_NOT_EMPTY", details: { names: ["mine"] } });
    expect(await readdir(dir)).toEqual(["mine"]);
  });

  it("that was there stays, and so does what somebody put in meanwhile", async () => {
    await mkdir(dir, { recursive: true });
    const volumes = await open();
    await writeFile(join(dir, "etc/app/notes"), "mine");
    await volumes.close();
    expect(await readdir(dir, { recursive: true })).toEqual(["etc", "etc/app", "etc/app/notes"]);
  });

  it("is one process's at a time, and a dead one's is cleared first", async () => {
    const volumes = await open();
    await expect(open()).rejects.toMatchObject({ code: "VOLUMES_DIR_BUSY" });
    const marker = JSON.parse(await read(".shipside-volumes"));
    await volumes.close();
    // As a process that was killed leaves it: pid 4194304 is above the kernel's greatest.
    const token = marker.token.replace(/^(\w+\.\d+)\.\d+\.\d+/, "$1.4194305.1");
    await mkdir(join(dir, "etc/app/..2026_01_01_00_00_00.abcdef"), { recursive: true });
    await writeFile(join(dir, "etc/app/..2026_01_01_00_00_00.abcdef/old"), "x");
    await writeFile(join(dir, ".shipside-volumes"), JSON.stringify({ ...marker, token }));
    const again = await open();
    expect(await read("etc/app/plain")).toBe("text");
    expect((await readdir(join(dir, "etc/app"))).filter((name) => name.includes("abcdef"))).toEqual([]);
    await again.close();
    expect(await readdir(scratch)).toEqual([]);
  });

  it("is cleared for its owner, and for nobody else", async () => {
    const volumes = await openVolumes(cluster, { workload: "pod/app", namespace, dir, only: ["conf"], owner: "me" });
    const copy = join(scratch, "copy");
    await cp(dir, copy, { recursive: true, verbatimSymlinks: true });
    await volumes.close();
    expect([await volumesLeft(copy, "me"), await volumesLeft(copy, "you"), await volumesLeft(dir, "me")]).toEqual([
      true,
      false,
      false,
    ]);
    await clearVolumes(copy, "you");
    expect(await readdir(copy)).toContain(".shipside-volumes");
    await writeFile(join(copy, "mine"), "x");
    await clearVolumes(copy, "me");
    expect(await readdir(copy)).toEqual(["mine"]);
    await clearVolumes(copy, "me");
  });

  it("may be a link to one; a file, and a link that leads nowhere, are refused as what they are", async () => {
    await mkdir(join(scratch, "real"));
    await symlink(join(scratch, "real"), join(scratch, "link"));
    await symlink(join(scratch, "nowhere"), join(scratch, "broken"));
    await writeFile(join(scratch, "file"), "x");
    const at = (name: string) => openVolumes(cluster, { workload: "pod/app", namespace, dir: join(scratch, name), only: ["conf"] });
    await using volumes = await at("link");
    expect(await readFile(join(scratch, "real/etc/app/plain"), "utf8")).toBe("text");
    await expect(at("real")).rejects.toMatchObject({ code: "VOLUMES_DIR_BUSY" });
    await expect(at("file")).rejects.toMatchObject({
      code: "VOLUMES_UNWRITABLE",
      message: expect.stringContaining("no directory"),
    });
    await expect(at("broken")).rejects.toMatchObject({ code: "VOLUMES_UNWRITABLE" });
    await volumes.close();
    expect(await readdir(scratch)).toEqual(["broken", "file", "link", "real"]);
  });

  it("holds nothing after a failure on the way", async () => {
    await cluster.create(PODS, {
      metadata: { name: "lacking", namespace },
      spec: {
        volumes: [
          { name: "conf", configMap: { name: "conf" } },
          { name: "gone", secret: { secretName: "gone" } },
        ],
        containers: [
          {
            name: "main",
            image: "busybox",
            volumeMounts: [
              { name: "conf", mountPath: "/a" },
              { name: "gone", mountPath: "/b" },
            ],
          },
        ],
      },
    });
    await expect(openVolumes(cluster, { workload: "pod/lacking", namespace, dir })).rejects.toMatchObject({
      code: "VOLUMES_REFERENCE_MISSING",
      message: expect.stringContaining("Secret gone"),
    });
    expect(await readdir(scratch)).toEqual([]);
  });

  it("isn't touched for options that are wrong", async () => {
    await expect(openVolumes(cluster, { workload: "pod/app", namespace, dir: "" })).rejects.toMatchObject({
      code: "VOLUMES_OPTION_INVALID",
    });
    await expect(openVolumes(cluster, { workload: "pod/app", namespace, dir, only: ["nope"] })).rejects.toMatchObject({
      code: "VOLUMES_NOT_MOUNTED",
    });
    expect(await readdir(scratch)).toEqual([]);
  });
});
