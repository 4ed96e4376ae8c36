import { createCloser } from "@shipside/core";
import { dialerContract } from "@shipside/testkit";
import { expect, test } from "vitest";
import { linkedPair } from "./fixtures/link.ts";
import { tcpServer } from "./fixtures/servers.ts";
import { relayDialer } from "./index.ts";

const to = (port: number) => ({
  target: { namespace: "home", service: "web", port: 80, protocol: "TCP" } as const,
  endpoint: { address: "127.0.0.1", port },
});

for (const { name, run } of dialerContract({
  name: "relay",
  async open() {
    const closer = createCloser();
    const pair = await linkedPair();
    closer.defer(() => pair[Symbol.asyncDispose]());
    return {
      dialer: relayDialer({ link: async () => pair.link }),
      async serve(far) {
        const server = await tcpServer(far);
        closer.defer(() => server[Symbol.asyncDispose]());
        return to(server.port);
      },
      async refused() {
        const server = await tcpServer(() => {});
        await server[Symbol.asyncDispose]();
        return to(server.port);
      },
      gone: async () => ({ ...to(80), endpoint: { address: "nobody.invalid", port: 80 } }),
      [Symbol.asyncDispose]: () => closer.close(),
    };
  },
})) {
  test(name, run);
}

test("a link that can't be had is a failed dial, with why", async () => {
  await using dialer = relayDialer({ link: () => Promise.reject(new Error("no quota")) });
  const dialled = dialer.dial({ ...to(80), signal: new AbortController().signal });
  await expect(dialled).rejects.toMatchObject({ code: "DIAL_FAILED", cause: { message: "no quota" } });
});
