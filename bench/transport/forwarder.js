// Our side of the comparison, in a process of its own as kubectl is: one pod's ports on 127.0.0.1.
// node forwarder.js KUBECONFIG NAMESPACE POD REMOTE_PORT… [--via-relay=IMAGE]   prints {"ports": {remote: local}} once it listens.
// Not TypeScript, so that what Node needs to strip types (some 40 MiB) is not counted as ours.

import { createServer } from "node:net";
import { splice } from "@shipside/core";
import { connectCluster, PODS } from "@shipside/kube";
import { clusterRelay } from "@shipside/relay";

const VIA_RELAY = "--via-relay=";
const image = process.argv.find((arg) => arg.startsWith(VIA_RELAY))?.slice(VIA_RELAY.length);
const [kubeconfig, namespace, pod, ...remotes] = process.argv.slice(2).filter((arg) => !arg.startsWith(VIA_RELAY));
if (!kubeconfig || !namespace || !pod || remotes.length === 0) throw new Error("forwarder.js KUBECONFIG NAMESPACE POD PORT…");

const cluster = await connectCluster({ kubeconfig });
const relay = image === undefined ? undefined : clusterRelay({ cluster, namespace, owner: "bench", image });
const link = await relay?.link(new AbortController().signal);
const podIP = relay && (await cluster.get(PODS, { namespace, name: pod })).status.podIP;
const dial = (remote) => link?.connect(`${podIP}:${remote}`) ?? cluster.portForward({ namespace, name: pod }, remote);
/** @type {Record<string, number>} */
const ports = {};

const forward = async (remote) => {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, async (local) => {
    local.on("error", () => {});
    try {
      const stream = await dial(remote);
      stream.on("error", (error) => console.error(`stream: ${error.message}`));
      void splice(local, stream);
      local.resume();
    } catch (error) {
      console.error(`dial: ${error.message}`);
      local.resetAndDestroy();
    }
  });
  await new Promise((resolve) => server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, resolve));
  ports[remote] = server.address().port;
  return server;
};

const servers = await Promise.all(remotes.map((remote) => forward(Number(remote))));
console.log(JSON.stringify({ ports }));

process.once("SIGTERM", async () => {
  for (const server of servers) server.close();
  await relay?.close();
  await cluster.close();
  process.exit(0);
});
