// A process of the benchmark: the snapshot driver, in a process as the daemon's is. Copies what each line names of a pod's
// volume, `{ remotePath, localPath }`, and answers with a line; ends with its stdin.
import { createInterface } from "node:readline";
import { type PodRef, silentLogger } from "@shipside/core";
import { connectCluster } from "@shipside/kube";
import { snapshotDriver } from "@shipside/volumes";

const { kubeconfig, pod } = JSON.parse(process.argv[2]!) as { kubeconfig: string; pod: PodRef };
await using cluster = await connectCluster({ kubeconfig });
const driver = snapshotDriver({ cluster });
const { signal } = new AbortController();
await cluster.version();
console.log("connected");
for await (const line of createInterface(process.stdin)) {
  const { remotePath, localPath } = JSON.parse(line) as { remotePath: string; localPath: string };
  await driver.mount({ volume: "data", remotePath, pod, localPath, readOnly: true, signal }, { logger: silentLogger });
  console.log("copied");
}
