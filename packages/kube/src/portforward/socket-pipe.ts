import type { Duplex } from "node:stream";
import type { CarrierHandler, Upgraded } from "./carrier.ts";

/** The bytes of an upgraded connection. */
export interface SocketPipe {
  /** Bytes written that the system has not taken yet. */
  readonly backlog: number;
  /** Writes of one turn leave together. */
  write(bytes: Buffer): void;
  pause(): void;
  resume(): void;
  end(): void;
  destroy(): void;
}

export function createSocketPipe({ socket, head }: Pick<Upgraded, "socket" | "head">, handler: CarrierHandler): SocketPipe {
  let failure: Error | undefined;
  let corked = false;
  socket.on("error", (error) => {
    failure = error;
  });
  socket.once("close", () => handler.closed(failure));
  if (socket.destroyed) setImmediate(() => socket.emit("close"));
  socket.on("end", () => socket.destroy());
  (socket as Duplex & { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
  if (head.length > 0) socket.unshift(head);
  socket.on("data", handler.data);

  const uncork = (): void => {
    corked = false;
    socket.uncork();
  };
  const flushed = (error?: Error | null): void => {
    if (!error) handler.flushed();
  };

  return {
    get backlog() {
      return socket.writableLength;
    },
    write(bytes) {
      if (socket.destroyed || socket.writableEnded) return;
      if (!corked) {
        corked = true;
        socket.cork();
        process.nextTick(uncork);
      }
      socket.write(bytes, flushed);
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end() {
      if (!socket.destroyed) socket.end(() => socket.destroy());
    },
    destroy: () => void socket.destroy(),
  };
}
