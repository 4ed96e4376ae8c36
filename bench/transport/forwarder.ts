// Our side of the comparison, in a process of its own as kubectl is: one pod's ports on 127.0.0.1.
// node forwarder.ts KUBECONFIG NAMESPACE POD REMOTE_PORT…   prints {"ports": {remote: local}} once it listens.

import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";
import { splice } from "@shipside/core";
import { connectCluster } from "@shipside/kube";

const [kubeconfig, namespace, pod, ...remotes] = process.argv.slice(2);
if (!kubeconfig || !namespace || !pod || remotes.length === 0) throw new Error("forwarder.ts KUBECONFIG NAMESPACE POD PORT…");

const cluster = await connectCluster({ kubeconfig });
const ports: Record<string, number> = {};

const forward = async (remote: number): Promise<Server> => {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, async (local) => {
    local.on("error", () => {});
    try {
      const stream = await cluster.portForward({ namespace, name: pod }, remote);
      stream.on("error", (error) => console.error(`stream: ${error.message}`));
      void splice(local, stream);
      local.resume();
    } catch (error) {
      console.error(`dial: ${(error as Error).message}`);
      local.resetAndDestroy();
    }
  });
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, resolve));
  ports[remote] = (server.address() as AddressInfo).port;
  return server;
};

const servers = await Promise.all(remotes.map((remote) => forward(Number(remote))));
console.log(JSON.stringify({ ports }));

process.once("SIGTERM", async () => {
  for (const server of servers) server.close();
  await cluster.close();
  process.exit(0);
});
