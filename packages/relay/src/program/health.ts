import type { AddressInfo } from "node:net";
import type { Closable } from "@shipside/core";
import { HEALTH_PORT } from "../protocol.ts";

// An import statement would ask for all of its exports, `WebSocket` among them, and Node answers by loading its fetch client: 7 MiB.
const { createServer } = process.getBuiltinModule("node:http");

/** Answers ready (200) or not (503), whatever is asked, and nothing else: anybody in the cluster can reach it. */
export async function serveHealth(options: {
  ready(): boolean;
  host?: string | undefined;
  port?: number;
}): Promise<Closable & { readonly port: number }> {
  const { ready, host, port = HEALTH_PORT } = options;
  const server = createServer(
    { maxHeaderSize: 4096, requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 1_000 },
    (_request, response) => {
      response.writeHead(ready() ? 200 : 503).end();
    },
  );
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host !== undefined && { host }) }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.on("error", () => {});
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }));
  return { port: (server.address() as AddressInfo).port, close, [Symbol.asyncDispose]: close };
}
