// Runs in a network namespace: a round trip through a new stream every 50 ms, each told as a line `{ at, error? }`; one stream is held
// open beside. prober.ts KUBECONFIG NAMESPACE POD PORT
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { codeOf } from "@shipside/core";
import { connectCluster } from "@shipside/kube";

const [kubeconfig, namespace, name, port] = process.argv.slice(2) as [string, string, string, string];
const cluster = await connectCluster({ kubeconfig });
const say = (word: object): void => console.log(JSON.stringify({ at: Date.now(), ...word }));

const echo = async (signal: AbortSignal) => {
  const stream = await cluster.portForward({ namespace, name }, Number(port), { signal });
  stream.on("error", () => {});
  stream.write("echo\nx");
  await once(stream, "data", { signal });
  return stream;
};

const held = await echo(AbortSignal.timeout(10_000));
held.once("close", () => say({ held: "closed" }));

// Nobody waits for the one before: while nothing gets through, each has its own try.
for (;;) {
  echo(AbortSignal.timeout(5_000)).then(
    (stream) => {
      stream.destroy();
      say({});
    },
    (error) => say({ error: codeOf(error) ?? String(error) }),
  );
  await sleep(50);
}
