import { connect, type Socket } from "node:net";
import { type Closable, createCloser, type ListenerFactory, type Logger, resetStream, splice } from "@shipside/core";
import type { HostPort } from "./outside-world.ts";

/** Makes ports of this machine's localhost reachable at the namespace's. Rejects with what the listener factory rejects with. */
export async function forwardHostPorts(ports: readonly HostPort[], listeners: ListenerFactory, logger: Logger): Promise<Closable> {
  const closer = createCloser();
  const ended = new AbortController();
  const serve = async (address: string, { port, inside = port }: HostPort): Promise<void> => {
    const listener = closer.use(await listeners.listen({ address, port: inside }));
    listener.server.on("connection", (socket: Socket) => void join(socket, port, ended.signal));
  };
  try {
    for (const port of ports) {
      await serve("127.0.0.1", port);
      // A program that asks for `localhost` may try this first, and goes on to the other.
      await serve("::1", port).catch((error) =>
        logger.debug("no port at ::1 in the namespace", { port: port.port, error: String(error) }),
      );
    }
  } catch (error) {
    await closer.close();
    throw error;
  }
  closer.defer(() => ended.abort());
  return closer;
}

async function join(inside: Socket, port: number, signal: AbortSignal): Promise<void> {
  inside.on("error", () => {});
  const outside = (await localhost("127.0.0.1", port)) ?? (await localhost("::1", port));
  if (!outside) return resetStream(inside);
  const done = splice(inside, outside, { signal });
  // A listener factory's connections come paused.
  inside.resume();
  await done;
}

function localhost(host: string, port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    socket.once("connect", () => resolve(socket));
    socket.on("error", () => resolve(undefined));
  });
}
