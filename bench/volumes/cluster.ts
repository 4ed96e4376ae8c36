// A process of the benchmark: the embedded cluster, so that it shares no event loop with what is measured. Prints its kubeconfig's path;
// ends with its stdin.
import { once } from "node:events";
import { startCluster } from "@shipside/testkit";

await using cluster = await startCluster();
console.log(cluster.kubeconfigPath);
await once(process.stdin.resume(), "end");
