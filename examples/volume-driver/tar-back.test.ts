import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, connectCluster, PODS } from "@shipside/kube";
import { type EmbeddedCluster, startCluster, type VolumeItem, volumeDriverContract } from "@shipside/testkit";
import { chooseDrivers, openVolumes } from "@shipside/volumes";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { tarBackPlugin } from "./tar-back.ts";

const pod = { namespace: "default", name: "holder" };
let embedded: EmbeddedCluster;
let cluster: Cluster;
let count = 0;

beforeAll(async () => {
  embedded = await startCluster();
  const volumeMounts = [{ name: "data", mountPath: "/data" }];
  await embedded.apply([
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: pod,
      spec: {
        volumes: [{ name: "data", emptyDir: {} }],
        containers: [{ name: "main", image: "busybox", command: ["sleep", "98766"], volumeMounts }],
      },
    },
  ]);
  cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
  await vi.waitFor(async () => expect((await cluster.get(PODS, pod)).status?.phase).toBe("Running"), { timeout: 20_000 });
}, 60_000);
afterAll(async () => {
  await cluster?.close();
  await embedded?.close();
});

const sh = async (script: string, args: string[], stdin?: Uint8Array): Promise<string> => {
  const ran = await cluster.exec(pod, ["sh", "-ec", script, "sh", ...args], { ...(stdin && { stdin }) });
  expect(ran.exitCode, ran.stderr.toString()).toBe(0);
  return ran.stdout.toString();
};
async function volume(items: Readonly<Record<string, VolumeItem>>) {
  const remotePath = `/data/volume-${count++}`;
  await sh('mkdir "$1"', [remotePath]);
  for (const [path, item] of Object.entries(items)) {
    const at = `${remotePath}/${path}`;
    await sh('mkdir -p "$(dirname "$1")"', [at]);
    if (item === "directory") await sh('mkdir -p "$1"', [at]);
    else if ("link" in item) await sh('ln -s "$2" "$1"', [at, item.link]);
    else await sh('cat > "$1"; chmod "$2" "$1"', [at, item.mode.toString(8)], item.data);
  }
  return { volume: "data", remotePath, pod };
}

// What every driver must do, from the testkit.
const cases = volumeDriverContract({
  open: async () => ({ driver: tarBackPlugin(cluster).volumeDrivers[0], volume, async [Symbol.asyncDispose]() {} }),
});
test.each(cases)("$name", ({ run }) => run());

test("is chosen by its name, and what is written comes back when it is closed", async () => {
  const scratch = await mkdtemp(join(tmpdir(), "tar-back-"));
  try {
    await sh("echo old > /data/file", []);
    const [chosen] = await chooseDrivers([...tarBackPlugin(cluster).volumeDrivers], "tar-back");
    const wanted = { workload: "pod/holder", namespace: "default", dir: join(scratch, "root"), only: ["data"] };
    const volumes = await openVolumes(cluster, { ...wanted, from: "running", driver: chosen!.driver });
    expect(await readFile(join(scratch, "root/data/file"), "utf8")).toBe("old\n");
    await writeFile(join(scratch, "root/data/file"), "new\n");
    await volumes.close();
    expect(await sh("cat /data/file", [])).toBe("new\n");
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
});
