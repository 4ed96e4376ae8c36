import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, type VolumeDriver } from "@shipside/core";
import { PODS } from "@shipside/kube";
import { RELAY_LABEL } from "@shipside/relay";
import { volumeDriverContract } from "@shipside/testkit";
import { describe, expect, it, vi } from "vitest";
import { openVolumes } from "../../volumes.ts";
import {
  claim,
  claimed,
  cluster,
  embedded,
  namespace,
  pod,
  podWith,
  relays,
  sh,
  useHolder,
  volumesIn,
} from "../fixtures/holder.ts";
import { mountAt } from "../mount-table.ts";
import { sshfsDriver } from "./driver.ts";
import { missingForSshfs } from "./mount.ts";

const missing = await missingForSshfs();

describe.skipIf(missing !== undefined)("sshfs", () => {
  useHolder(() => [
    claim("data"),
    claim("alone", "ReadWriteOncePod"),
    podWith(pod.name, { data: claimed("data"), alone: claimed("alone"), scratch: { emptyDir: {} } }),
  ]);

  const driver = (): VolumeDriver => sshfsDriver({ cluster, owner: "ann@desk", cacheSeconds: 1 });
  const volume = volumesIn("data");

  for (const { name, run: check } of volumeDriverContract({
    name: "the contract",
    open: async () => ({ driver: driver(), volume, [Symbol.asyncDispose]: async () => {} }),
  })) {
    it(name, check);
  }

  it("a claim is a drive at the container's own path; what can't be had is told, and keeps nothing away", async () => {
    const dir = await mkdtemp(join(tmpdir(), "sshfs-driver-"));
    try {
      await using volumes = await openVolumes(cluster, {
        workload: "pod/holder",
        namespace,
        dir,
        only: ["data", "alone", "scratch"],
        from: "running",
        driver: driver(),
      });
      expect(volumes.volumes.map(({ mountPath, by, updates }) => [mountPath, by, updates])).toEqual([["/data", "sshfs", "live"]]);
      expect(volumes.obstacles.map(({ mountPath, code }) => [mountPath, code]).sort()).toEqual([
        ["/alone", "VOLUMES_CLAIM_EXCLUSIVE"],
        ["/scratch", "VOLUMES_NO_DRIVER"],
      ]);
      await mkdir(join(dir, "data/sub"), { recursive: true });
      await writeFile(join(dir, "data/sub/from-here"), "hello");
      expect(await sh("cat /data/sub/from-here")).toBe("hello");
      await sh("echo there > /data/from-there");
      expect(await readFile(join(dir, "data/from-there"), "utf8")).toBe("there\n");
      expect(await relays()).toHaveLength(1);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
    expect(await relays()).toEqual([]);
  });

  it("the network away: operations fail within 15 s, and work again after", async () => {
    const localPath = await mkdtemp(join(tmpdir(), "sshfs-driver-"));
    const request = { ...(await volume({})), localPath, readOnly: false, signal: new AbortController().signal };
    try {
      await using _mounted = await driver().mount(request, { logger: silentLogger });
      await writeFile(join(localPath, "before"), "1");
      const thaw = embedded.faults.freeze("portforward");
      const began = performance.now();
      await expect(writeFile(join(localPath, "during"), "2")).rejects.toMatchObject({ code: "EIO" });
      expect(performance.now() - began).toBeLessThan(15_000);
      const again = performance.now();
      // More than what lies between holds, so that a writer is stuck in the middle of it.
      await expect(writeFile(join(localPath, "before"), Buffer.alloc(8_000_000))).rejects.toMatchObject({ code: "EIO" });
      expect(performance.now() - again).toBeLessThan(15_000);
      thaw();
      await vi.waitFor(() => writeFile(join(localPath, "after"), "3"), { timeout: 15_000, interval: 300 });
      expect(await sh(`cat ${request.remotePath}/after`)).toBe("3");
    } finally {
      await rm(localPath, { recursive: true, force: true });
    }
  }, 90_000);

  it("the relay's pod replaced: operations fail within 15 s at most, and work again with its successor", async () => {
    const localPath = await mkdtemp(join(tmpdir(), "sshfs-driver-"));
    const request = { ...(await volume({})), localPath, readOnly: false, signal: new AbortController().signal };
    const relayPods = async (): Promise<string[]> =>
      (await cluster.list(PODS, { namespace, labelSelector: RELAY_LABEL })).map(({ metadata }) => metadata.name);
    try {
      await using _mounted = await driver().mount(request, { logger: silentLogger });
      const file = await open(join(localPath, "synced"), "w");
      await file.write("kept");
      await file.sync();
      const [before = ""] = await relayPods();
      await cluster.delete(PODS, { namespace, name: before }, { gracePeriodSeconds: 0 });
      let longest = 0;
      const write = async (): Promise<void> => {
        const began = performance.now();
        await writeFile(join(localPath, "after"), "with its successor").finally(() => {
          longest = Math.max(longest, performance.now() - began);
        });
        // What went to the old pod's last moments proves nothing.
        expect(await relayPods()).not.toContain(before);
      };
      await vi.waitFor(write, { timeout: 60_000, interval: 200 });
      await write();
      expect(longest).toBeLessThan(15_000);
      expect(await sh(`cat ${request.remotePath}/after`)).toBe("with its successor");
      expect(await readFile(join(localPath, "synced"), "utf8")).toBe("kept");
      await file.close().catch(() => {});
    } finally {
      await rm(localPath, { recursive: true, force: true });
    }
  }, 120_000);

  it("with the network away it is unmounted all the same", async () => {
    const localPath = await mkdtemp(join(tmpdir(), "sshfs-driver-"));
    const request = { ...(await volume({})), localPath, readOnly: false, signal: new AbortController().signal };
    try {
      const mounted = await driver().mount(request, { logger: silentLogger });
      await writeFile(join(localPath, "before"), "1");
      const thaw = embedded.faults.freeze("portforward");
      try {
        const stuck = writeFile(join(localPath, "during"), "2").catch((error: NodeJS.ErrnoException) => error.code);
        const began = performance.now();
        await mounted.close();
        expect(performance.now() - began).toBeLessThan(30_000);
        expect(await mountAt(localPath)).toBeUndefined();
        expect(await stuck).toMatch(/^E/);
        expect(await readdir(localPath)).toEqual([]);
      } finally {
        thaw();
      }
    } finally {
      await rm(localPath, { recursive: true, force: true });
    }
  }, 60_000);
});
