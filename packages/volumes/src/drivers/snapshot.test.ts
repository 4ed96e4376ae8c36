import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, type VolumeDriver } from "@shipside/core";
import { type Cluster, connectCluster, PODS } from "@shipside/kube";
import { type EmbeddedCluster, startCluster, type VolumeItem, volumeDriverContract } from "@shipside/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { snapshotDriver } from "./snapshot.ts";

const pod = { namespace: "snapshots", name: "holder" };
let embedded: EmbeddedCluster;
let cluster: Cluster;

beforeAll(async () => {
  embedded = await startCluster();
  await embedded.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: pod.namespace } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: pod,
      spec: {
        terminationGracePeriodSeconds: 0,
        volumes: [{ name: "scratch", emptyDir: {} }],
        containers: [
          { name: "other", image: "pause" },
          {
            name: "main",
            image: "busybox",
            command: ["sleep", "98762"],
            volumeMounts: [{ name: "scratch", mountPath: "/scratch" }],
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

let count = 0;

async function volume(items: Readonly<Record<string, VolumeItem>>) {
  const remotePath = `/scratch/volume-${count++}`;
  const run = async (script: string, path: string, more: string[] = [], stdin?: Uint8Array): Promise<void> => {
    const command = ["sh", "-ec", `mkdir -p "\${1%/*}"; ${script}`, "sh", `${remotePath}/${path}`, ...more];
    const { exitCode, stderr } = await cluster.exec(pod, command, { container: "main", ...(stdin && { stdin }) });
    expect(exitCode, stderr.toString()).toBe(0);
  };
  await run("true", "");
  for (const [path, item] of Object.entries(items)) {
    if (item === "directory") await run('mkdir -p "$1"', path);
    else if ("link" in item) await run('ln -s "$2" "$1"', path, [item.link]);
    else await run('cat > "$1"; chmod "$2" "$1"', path, [item.mode.toString(8)], item.data);
  }
  return { volume: "scratch", remotePath, pod, container: "main" };
}

describe("contract", () => {
  const cases = volumeDriverContract({
    name: "snapshot",
    open: async () => ({ driver: snapshotDriver({ cluster }), volume, async [Symbol.asyncDispose]() {} }),
  });
  for (const { name, run } of cases) it(name, run);
});

describe("what the container says", () => {
  const mount = async (driver: VolumeDriver): Promise<unknown> => {
    const localPath = await mkdtemp(join(tmpdir(), "snapshot-"));
    const request = { volume: "scratch", remotePath: "/scratch", localPath, readOnly: true, pod, container: "main" };
    try {
      return await driver.mount({ ...request, signal: new AbortController().signal }, { logger: silentLogger });
    } finally {
      await rm(localPath, { recursive: true });
    }
  };
  /** The same container with another program in tar's place. */
  const instead = (...command: string[]): VolumeDriver =>
    snapshotDriver({ cluster: { exec: (where, _tar, options) => cluster.exec(where, command, options) } });

  it("an image without tar is named as such", async () => {
    await expect(mount(instead("no-such-tar"))).rejects.toMatchObject({
      code: "VOLUMES_SNAPSHOT_NO_TAR",
      cause: { code: "KUBE_EXEC_FAILED" },
      details: { ...pod, container: "main" },
    });
    await expect(mount(instead("sh", "-c", "no-such-tar"))).rejects.toMatchObject({ code: "VOLUMES_SNAPSHOT_NO_TAR" });
  });

  it("a copy with something missing is no copy", async () => {
    await expect(mount(instead("sh", "-c", "echo 'tar: ./x: Permission denied' >&2; exit 2"))).rejects.toMatchObject({
      code: "VOLUMES_SNAPSHOT_FAILED",
      message: expect.stringContaining("Permission denied"),
    });
    await expect(mount(instead("sh", "-c", "tar cf - -C /scratch . | head -c 700"))).rejects.toMatchObject({
      code: "VOLUMES_ARCHIVE_INVALID",
    });
  });

  it("a file that the workload writes meanwhile is copied as it was found", async () => {
    const said = "tar cf - -C /scratch .; echo 'tar: ./log: file changed as we read it' >&2; exit 1";
    await expect(mount(instead("sh", "-c", said))).resolves.toMatchObject({ localPath: expect.any(String) });
  });
});
