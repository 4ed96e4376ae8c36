import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, type VolumeDriver } from "@shipside/core";
import { isLive, isReady, PODS } from "@shipside/kube";
import { RELAY_LABEL } from "@shipside/relay";
import { volumeDriverContract } from "@shipside/testkit";
import { describe, expect, it, vi } from "vitest";
import { claim, claimed, cluster, embedded, pod, podWith, relays, sh, useHolder, volumesIn } from "../fixtures/holder.ts";
import { fuseDriver, missingForFuse } from "./driver.ts";

const missing = await missingForFuse();

describe.skipIf(missing !== undefined)("fuse", () => {
  useHolder(() => [claim("data"), podWith(pod.name, { data: claimed("data") })]);

  const driver = (): VolumeDriver => fuseDriver({ cluster, owner: "ann@desk", cacheSeconds: 1 });
  const volume = volumesIn("data");

  for (const { name, run: check } of volumeDriverContract({
    name: "the contract",
    open: async () => ({ driver: driver(), volume, [Symbol.asyncDispose]: async () => {} }),
  })) {
    it(name, check);
  }

  it("the network away: operations fail within 15 s, and work again after; the relay goes with the mount", async () => {
    const localPath = await mkdtemp(join(tmpdir(), "fuse-driver-"));
    const request = { ...(await volume({})), localPath, readOnly: false, signal: new AbortController().signal };
    try {
      await using mounted = await driver().mount(request, { logger: silentLogger });
      await writeFile(join(localPath, "before"), "1");
      const thaw = embedded.faults.freeze("portforward");
      const began = performance.now();
      await expect(writeFile(join(localPath, "during"), "2")).rejects.toMatchObject({ code: "EIO" });
      expect(performance.now() - began).toBeLessThan(15_000);
      const again = performance.now();
      // More than what lies between holds, so that a writer is stuck in the middle of it.
      await expect(writeFile(join(localPath, "before"), Buffer.alloc(20_000_000))).rejects.toMatchObject({ code: "EIO" });
      expect(performance.now() - again).toBeLessThan(15_000);
      thaw();
      await vi.waitFor(() => writeFile(join(localPath, "after"), "3"), { timeout: 15_000, interval: 300 });
      expect(await sh(`cat ${request.remotePath}/after`)).toBe("3");
      await mounted.close();
      expect(await relays()).toEqual([]);
    } finally {
      await rm(localPath, { recursive: true, force: true });
    }
  }, 90_000);

  it("the relay's process killed three times: the drive works again within 8 s each time", async () => {
    const localPath = await mkdtemp(join(tmpdir(), "fuse-driver-"));
    const request = { ...(await volume({})), localPath, readOnly: false, signal: new AbortController().signal };
    const { namespace } = pod;
    const relayPod = async (): Promise<string | undefined> => {
      const pods = await cluster.list(PODS, { namespace, labelSelector: RELAY_LABEL });
      return pods.find((each) => isLive(each) && isReady(each))?.metadata.name;
    };
    try {
      await using mounted = await driver().mount(request, { logger: silentLogger });
      for (let round = 1; round <= 3; round++) {
        await embedded.faults.killPod(namespace, (await vi.waitUntil(relayPod, { timeout: 10_000 }))!);
        const killed = performance.now();
        // From the second time on the kubelet would wait for 10 s, then for 20.
        await vi.waitFor(() => writeFile(join(localPath, `file-${round}`), `${round}`), { timeout: 8_000, interval: 200 });
        expect(performance.now() - killed).toBeLessThan(8_000);
      }
      expect(await sh(`cat ${request.remotePath}/file-*`)).toBe("123");
      await mounted.close();
      expect(await relays()).toEqual([]);
    } finally {
      await rm(localPath, { recursive: true, force: true });
    }
  }, 60_000);
});
