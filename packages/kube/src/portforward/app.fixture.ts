import { type AddressInfo, createServer, type Socket } from "node:net";

/** A program that listens in a pod. */
export interface App extends AsyncDisposable {
  port: number;
  sockets: Set<Socket>;
}

export async function startApp(serve: (socket: Socket) => void): Promise<App> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export const echoApp = (socket: Socket): void => void socket.pipe(socket);

/** Sends as much as it may, and counts it. */
export const firehoseApp =
  (counted: { written: number } = { written: 0 }) =>
  (socket: Socket): void => {
    const chunk = Buffer.alloc(65_536);
    const more = (): void => {
      let room = true;
      while (room && !socket.destroyed) {
        room = socket.write(chunk);
        counted.written += chunk.length;
      }
    };
    socket.on("drain", more);
    more();
  };
