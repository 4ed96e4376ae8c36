import type { Server, Socket } from "node:net";
import { type Closable, datagramReader, encodeDatagram } from "@shipside/core";

/** How long a connection may say nothing (RFC 7766 section 6.2.3 asks for seconds), in ms. */
const IDLE_MS = 10_000;
const MOST_CONNECTIONS = 256;
/** Answers that are due to one connection. */
const MOST_DUE = 64;

/** Answers queries on the connections that `server` accepts, each as soon as its answer is there (RFC 7766 section 6.2.1.1). */
export function serveTcp(server: Server, respond: (query: Buffer) => Promise<Uint8Array | undefined>): Closable {
  const sockets = new Set<Socket>();
  const onConnection = (socket: Socket): void => {
    socket.on("error", () => {});
    if (sockets.size >= MOST_CONNECTIONS) return void socket.destroy();
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    const read = datagramReader();
    let due = 0;
    let ended = false;
    // Who asks faster than it reads, or than is answered, is read from later.
    const settle = (): void => {
      if (due >= MOST_DUE || socket.writableNeedDrain) socket.pause();
      else socket.resume();
      if (ended && due === 0) socket.end();
    };
    socket.on("data", (chunk: Buffer) => {
      for (const query of read(chunk)) {
        due++;
        void respond(query).then((answer) => {
          due--;
          if (answer && socket.writable) socket.write(encodeDatagram(answer));
          settle();
        });
      }
      settle();
    });
    socket.on("drain", settle);
    socket.on("end", () => {
      ended = true;
      settle();
    });
    // A listener factory's connections come paused.
    socket.resume();
  };
  server.on("connection", onConnection);
  const close = async (): Promise<void> => {
    server.off("connection", onConnection);
    for (const socket of sockets) socket.destroy();
  };
  return { close, [Symbol.asyncDispose]: close };
}
