import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, type VolumeDriver } from "@shipside/core";
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
});
