// The embedded cluster with the program's pod, in a process of its own, so that it shares no event loop with the client.
import { startTarget } from "./target.ts";

await using target = await startTarget({ kubeconfig: undefined });
console.log(JSON.stringify({ kubeconfig: target.kubeconfig, namespace: target.namespace, pod: target.pod }));
process.stdin.resume();
await new Promise<void>((resolve) => {
  process.once("SIGTERM", resolve);
  // Whoever started this is gone.
  process.stdin.once("end", resolve);
});
process.stdin.destroy();
