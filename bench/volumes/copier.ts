// A process of the benchmark: the snapshot driver, in a process as the daemon's is. Copies a pod's volume to each directory that it is given a line
// for, and answers with a line; ends with its stdin.
import { createInterface } from "node:readline";
import { type PodRef, silentLogger } from "@shipside/core";
import { connectCluster } from "@shipside/kube";
import { snapshotDriver } from "@shipside/volumes";

const { kubeconfig, pod, remotePath } = JSON.parse(process.argv[2]!) as { kubeconfig: string; pod: PodRef; remotePath: string };
await using cluster = await connectCluster({ kubeconfig });
const driver = snapshotDriver({ cluster });
const { signal } = new AbortController();
await cluster.version();
console.log("connected");
for await (const localPath of createInterface(process.stdin)) {
  await driver.mount({ volume: "data", remotePath, pod, localPath, readOnly: true, signal }, { logger: silentLogger });
  console.log("copied");
}
