import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, type VolumeDriver } from "@shipside/core";
import { type Cluster, connectCluster, DEPLOYMENTS, PODS } from "@shipside/kube";
import { RELAY_LABEL } from "@shipside/relay";
import { type EmbeddedCluster, startCluster, type VolumeItem, volumeDriverContract } from "@shipside/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { fuseDriver, missingForFuse } from "./driver.ts";

const namespace = "claims";
const pod = { namespace, name: "holder" };
const missing = await missingForFuse();
let embedded: EmbeddedCluster;
let cluster: Cluster;
let count = 0;

describe.skipIf(missing !== undefined)("fuse", () => {
  beforeAll(async () => {
    embedded = await startCluster();
    await embedded.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
      {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { namespace, name: "data" },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
      },
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: pod,
        spec: {
          terminationGracePeriodSeconds: 0,
          volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
          containers: [
            {
              ...{ name: "main", image: "busybox", command: ["sleep", "98762"] },
              volumeMounts: [{ name: "data", mountPath: "/data" }],
            },
          ],
        },
      },
    ]);
    cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
    await vi.waitFor(async () => expect((await cluster.get(PODS, pod)).status?.phase).toBe("Running"), { timeout: 15_000 });
  });
  afterAll(async () => {
    await cluster?.close();
    await embedded?.close();
  });

  const driver = (): VolumeDriver => fuseDriver({ cluster, owner: "ann@desk", cacheSeconds: 1 });
  const run = async (command: string[], stdin?: Uint8Array): Promise<string> => {
    const { exitCode, stderr, stdout } = await cluster.exec(pod, command, { container: "main", ...(stdin && { stdin }) });
    expect(exitCode, stderr.toString()).toBe(0);
    return stdout.toString();
  };
  const volume = async (items: Readonly<Record<string, VolumeItem>>) => {
    const remotePath = `/data/volume-${count++}`;
    await run(["mkdir", "-p", remotePath]);
    for (const [path, item] of Object.entries(items)) {
      const at = `${remotePath}/${path}`;
      if (item === "directory") await run(["mkdir", "-p", at]);
      else if ("link" in item) await run(["ln", "-s", item.link, at]);
      else {
        const script = 'mkdir -p "$(dirname "$1")"; cat > "$1"; chmod "$2" "$1"';
        await run(["sh", "-ec", script, "sh", at, item.mode.toString(8)], item.data);
      }
    }
    return { volume: "data", remotePath, pod, container: "main" };
  };

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
      expect(await run(["cat", `${request.remotePath}/after`])).toBe("3");
      await mounted.close();
      expect(await cluster.list(DEPLOYMENTS, { namespace, labelSelector: RELAY_LABEL })).toEqual([]);
    } finally {
      await rm(localPath, { recursive: true, force: true });
    }
  }, 90_000);
});
