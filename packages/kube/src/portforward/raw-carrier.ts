import type { Duplex } from "node:stream";
import type { CarrierFactory, Upgraded } from "./carrier.ts";

/** Frames straight on the upgraded connection. */
export function createRawCarrier({ socket, head }: Pick<Upgraded, "socket" | "head">): CarrierFactory {
  return (handler) => {
    let failure: Error | undefined;
    let corked = false;
    let closed = false;
    socket.on("error", (error) => {
      failure = error;
    });
    socket.on("close", () => {
      if (closed) return;
      closed = true;
      handler.closed(failure);
    });
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
      kind: "spdy",
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
  };
}
