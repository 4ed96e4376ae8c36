import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCloser, type MountedVolume, silentLogger, type VolumeDriver } from "@shipside/core";
import { PODS, type Pod } from "@shipside/kube";
import { RELAY_LABEL } from "@shipside/relay";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { claim, claimed, cluster, namespace, pod, podWith, relays, useHolder } from "./fixtures/holder.ts";
import { makeStillVolume, type StillVolume } from "./fixtures/still-volume.ts";
import { fuseDriver, missingForFuse } from "./fuse/driver.ts";
import { mountAt } from "./mount-table.ts";
import { sshfsDriver } from "./sshfs/driver.ts";
import { missingForSshfs } from "./sshfs/mount.ts";
import { unmount } from "./unmount.ts";

const missing = (await missingForFuse()) ?? (await missingForSshfs());
/** From the first that nothing answers. */
const BOUND_MS = 15_000;
let still: StillVolume;

describe.skipIf(missing !== undefined)("a volume in the cluster that itself stands still", () => {
  beforeAll(async () => {
    still = await makeStillVolume();
  });
  // The last of these goes first: what waits for the volume would not end, and the cluster's relays would wait with it.
  afterAll(() => still?.[Symbol.asyncDispose]());
  useHolder(() => [
    {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: "far" },
      spec: {
        ...{ accessModes: ["ReadWriteMany"], capacity: { storage: "1Gi" }, storageClassName: "far" },
        hostPath: { path: still.path },
      },
    },
    claim("still", "ReadWriteMany", { storageClassName: "far" }),
    claim("well", "ReadWriteMany"),
    podWith(pod.name, { still: claimed("still"), well: claimed("well") }),
  ]);
  afterAll(() => still?.thaw());

  /** Both volumes by both drivers; `at(of, file)` is a path in each driver's mount of one. */
  const mountAll = async () => {
    const closer = createCloser();
    const base = await mkdtemp(join(tmpdir(), "standstill-"));
    closer.defer(() => rm(base, { recursive: true, force: true }));
    // Else what waits for it would not end.
    closer.defer(() => still.thaw());
    const drivers = [sshfsDriver, fuseDriver].map((make) =>
      make({ cluster, owner: "ann@desk", cacheSeconds: 0, silenceMs: 3_000 }),
    );
    const mount = async (driver: VolumeDriver, volume: string, place = `${driver.name}-${volume}`): Promise<MountedVolume> => {
      const localPath = join(base, place);
      await mkdir(localPath);
      const { signal } = new AbortController();
      const request = { volume, remotePath: `/${volume}`, pod, container: "main", localPath, readOnly: false, signal };
      return closer.use(await driver.mount(request, { logger: silentLogger }));
    };
    const mounts = await Promise.all(drivers.flatMap((driver) => ["still", "well"].map((volume) => mount(driver, volume))));
    const at = (volume: string, file = ""): string[] => drivers.map(({ name }) => join(base, `${name}-${volume}`, file));
    return { drivers, mount, mounts, at, [Symbol.asyncDispose]: () => closer.close() };
  };
  /** Of those that mount the volume which stands still. */
  const relayPods = async (): Promise<Pod[]> => {
    const all = await cluster.list(PODS, { namespace, labelSelector: RELAY_LABEL });
    return all.filter(({ spec }) => JSON.stringify(spec.volumes).includes('"claimName":"still"'));
  };
  const failing = async (operation: Promise<unknown>): Promise<void> => {
    const began = performance.now();
    await expect(operation).rejects.toMatchObject({ code: "EIO" });
    expect(performance.now() - began).toBeLessThan(BOUND_MS);
  };

  it("operations fail within 15 s, those on other volumes don't, and all work again when it does", async () => {
    await using all = await mountAll();
    const files = await Promise.all(all.at("still", "f").map((path) => open(path, "w")));
    try {
      await Promise.all(files.map((file) => file.write("x")));
      still.freeze();
      // By a thread of the file server's, which then waits alone.
      await Promise.all(files.map((file) => failing(file.sync())));
      // By the file server itself.
      await Promise.all(all.at("still").map((path) => failing(readdir(path))));
      // Or a program that is begun here would wait for what it inherits.
      await Promise.allSettled(files.map((file) => file.close()));
      const hint = `look whether the volume itself answers: kubectl exec -n ${namespace} holder -c main -- ls /still`;
      const again = all.mount(all.drivers[1]!, "still", "again");
      await expect(again).rejects.toMatchObject({ code: "VOLUMES_MOUNT_FAILED", hint });
      for (const path of all.at("well", "f")) {
        await writeFile(path, "well");
        expect(await readFile(path, "utf8")).toBe("well");
      }
      still.thaw();
      for (const path of all.at("still", "g")) {
        await vi.waitFor(() => writeFile(path, path), { timeout: BOUND_MS });
        // Not synced, and so it may still be on its way from the relay.
        await vi.waitFor(async () => expect(await readFile(join(still.behind, "g"), "utf8")).toBe(path), { timeout: BOUND_MS });
      }
    } finally {
      still.thaw();
      await Promise.allSettled(files.map((file) => file.close()));
    }
  }, 90_000);

  it("whoever unmounts it doesn't look at it", async () => {
    await using other = await makeStillVolume();
    const user = spawn("sleep", ["98760"], { cwd: other.path, stdio: "ignore" });
    try {
      await once(user, "spawn");
      other.freeze();
      await expect(unmount(other.path)).rejects.toMatchObject({ code: "VOLUMES_BUSY" });
      await unmount(other.path, { force: true });
      expect(await mountAt(other.path)).toBeUndefined();
    } finally {
      other.thaw();
      user.kill("SIGKILL");
    }
  });

  it("its mounts are closed in time all the same, and its relay's pods go when it lives again", async () => {
    const left = async () => expect(await relayPods()).toEqual([]);
    await vi.waitFor(left, { timeout: 30_000 });
    await using all = await mountAll();
    still.freeze();
    const waiting = all.at("still").map((path) => readdir(path));
    for (const each of waiting) each.catch(() => {});
    const began = performance.now();
    await Promise.all(all.mounts.map((mount) => mount.close()));
    expect(performance.now() - began).toBeLessThan(BOUND_MS);
    for (const path of [...all.at("still"), ...all.at("well")]) expect(await mountAt(path)).toBeUndefined();
    for (const each of waiting) await expect(each).rejects.toThrow();
    expect(await relays()).toEqual([]);
    // Nobody can end who waits for such a volume.
    expect((await relayPods()).map(({ metadata }) => metadata.deletionTimestamp !== undefined)).toEqual([true, true]);
    still.thaw();
    await vi.waitFor(left, { timeout: 30_000 });
  }, 90_000);
});
