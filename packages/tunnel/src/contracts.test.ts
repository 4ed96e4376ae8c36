import { createCloser } from "@shipside/core";
import { dialerContract, listenerFactoryContract } from "@shipside/testkit";
import { test } from "vitest";
import { fakeCluster } from "./fixtures/fake-cluster.ts";
import { tcpServer } from "./fixtures/servers.ts";
import { localListeners, podDialer } from "./index.ts";

for (const { name, run } of listenerFactoryContract({
  name: "local",
  async open() {
    const factory = localListeners();
    return { factory, address: "127.0.0.1", otherAddress: "127.72.0.1", [Symbol.asyncDispose]: () => factory.close() };
  },
})) {
  test(name, run);
}

const target = { namespace: "home", service: "web", port: 80, protocol: "TCP" } as const;
const endpoint = { address: "10.244.0.2", pod: { namespace: "home", name: "p" } };

for (const { name, run } of dialerContract({
  name: "pod",
  async open() {
    const cluster = fakeCluster();
    const closer = createCloser();
    let ports = 8000;
    const to = (fate: Parameters<typeof cluster.route>[2]) => {
      const port = ++ports;
      cluster.route("p", port, fate);
      return { target, endpoint: { ...endpoint, port } };
    };
    return {
      dialer: podDialer(cluster),
      async serve(onConnection) {
        const server = await tcpServer(onConnection);
        closer.defer(() => server[Symbol.asyncDispose]());
        return to(server);
      },
      refused: async () => to("refuse"),
      gone: async () => to("gone"),
      [Symbol.asyncDispose]: () => closer.close(),
    };
  },
})) {
  test(name, run);
}
