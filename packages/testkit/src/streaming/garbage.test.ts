import type { IncomingMessage } from "node:http";
import { duplexPair } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { socketCarrier } from "./carrier.ts";
import { createSpdyServer } from "./spdy-server.ts";
import { acceptWebSocket } from "./websocket.ts";

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const chunks = fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 8 });

/** Frames that look right as far as their heads go. */
const framed = chunks.map((bodies) =>
  bodies.map((body, i) => {
    const head = Buffer.from([0x80, 3, 0, (i % 9) + 1, i % 3, 0, 0, body.length]);
    return new Uint8Array(Buffer.concat([head, body]));
  }),
);

test("bytes that are no SPDY end the connection at most, never the process", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(chunks, framed), async (parts) => {
      const [client, server] = duplexPair();
      let closed = 0;
      client.on("error", () => {});
      createSpdyServer(socketCarrier(server, Buffer.alloc(0)), { stream: () => () => {}, close: () => closed++ });
      client.resume();
      for (const part of parts) client.write(part);
      await tick();
      client.destroy();
      server.destroy();
      await tick();
      expect(closed).toBe(1);
    }),
    { numRuns: 200 },
  );
});

test("bytes that are no WebSocket frames end the connection at most", async () => {
  const request = { headers: { "sec-websocket-key": "x" } } as unknown as IncomingMessage;
  await fc.assert(
    fc.asyncProperty(chunks, async (parts) => {
      const [client, server] = duplexPair();
      let closed = 0;
      client.on("error", () => {});
      acceptWebSocket(request, server, Buffer.alloc(0), "p").start({ data() {}, drain() {}, close: () => closed++ });
      client.resume();
      for (const part of parts) client.write(part);
      await tick();
      client.destroy();
      server.destroy();
      await tick();
      expect(closed).toBe(1);
    }),
    { numRuns: 200 },
  );
});
