import type { Server } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { TappedConnection } from "@shipside/core";
import type { ConnectionFacts } from "../exchange.ts";

/**
 * Looks on at every connection that `server` takes from now on; TLS is seen as its plain text. Returns what ends it for new connections.
 * The server must be one of `node:http` or `node:https`.
 */
export function watchServer(server: Server | HttpsServer, tap: (facts: ConnectionFacts) => TappedConnection): () => void {
  const onConnection = (socket: Socket): void => {
    const { localPort } = socket;
    const one = tap({
      direction: "incoming",
      peer: `${socket.remoteAddress}:${socket.remotePort}`,
      ...(localPort !== undefined && { port: localPort, localPort }),
    });
    const onData = (chunk: Uint8Array): void => one.data?.("in", chunk);
    // Node's server reads past the stream until somebody else says `on("data")`; its handler may answer while it reads, so we must be first.
    socket.on("data", onData);
    socket.off("data", onData);
    socket.prependListener("data", onData);
    socket.once("end", () => one.end?.("in"));
    let error: Error | undefined;
    socket.on("error", (why) => {
      error = why;
    });
    socket.once("close", () => one.close?.(error));
    const write = socket.write;
    socket.write = function (this: Socket, chunk: unknown, encoding?: unknown, ...rest: unknown[]): boolean {
      if (typeof chunk === "string")
        one.data?.("out", Buffer.from(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8"));
      else if (chunk instanceof Uint8Array) one.data?.("out", chunk);
      return Reflect.apply(write, this, [chunk, encoding, ...rest]) as boolean;
    } as Socket["write"];
  };
  const event = "setSecureContext" in server ? "secureConnection" : "connection";
  server.on(event, onConnection);
  return () => server.off(event, onConnection);
}
