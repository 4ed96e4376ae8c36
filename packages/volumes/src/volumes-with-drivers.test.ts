import { existsSync } from "node:fs";
import { readdir, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { VolumeDriver } from "@shipside/core";
import { type Cluster, PODS } from "@shipside/kube";
import { SAMPLE_NAMESPACE, sampleManifests } from "@shipside/testkit";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { snapshotDriver } from "./drivers/snapshot.ts";
import { cluster, dir, namespace, object, read, scratch, untilRunning, useWorld, world } from "./fixtures/world.ts";
import { openVolumes } from "./volumes.ts";

useWorld();
beforeAll(async () => {
  await world.embedded.apply([
    ...sampleManifests(),
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
  await untilRunning(cluster, SAMPLE_NAMESPACE, "app.kubernetes.io/name=core");
  await untilRunning(cluster, SAMPLE_NAMESPACE, "app.kubernetes.io/name=database");
}, 60_000);

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
    expect.objectContaining({ code: "VOLUMES_NO_DRIVER", message: expect.stringContaining("brings only persistentVolumeClaim") }),
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
