import type { CarrierFactory, Upgraded } from "./carrier.ts";
import { createSocketPipe } from "./socket-pipe.ts";
import { createWebSocketPipe } from "./websocket-pipe.ts";

type Pipe = Pick<Upgraded, "socket" | "head">;

/** Frames straight on the upgraded connection. */
export function createRawCarrier(upgraded: Pipe): CarrierFactory {
  return (handler) => Object.assign(createSocketPipe(upgraded, handler), { kind: "spdy" } as const);
}

/** The same bytes in binary messages; where one ends means nothing. What is written in one turn becomes one message. */
export function createWebSocketCarrier(upgraded: Pipe): CarrierFactory {
  return (handler) => {
    let parts: Buffer[] = [];
    let held = 0;
    const socket = createWebSocketPipe(upgraded, { ...handler, payload: handler.data });
    const flush = (): void => {
      const all = parts;
      parts = [];
      held = 0;
      if (all.length > 0) socket.send(all);
    };
    return {
      kind: "websocket",
      get backlog() {
        return socket.backlog + held;
      },
      write(bytes) {
        if (parts.length === 0) process.nextTick(flush);
        parts.push(bytes);
        held += bytes.length;
      },
      pause: socket.pause,
      resume: socket.resume,
      end() {
        flush();
        socket.end();
      },
      destroy: socket.destroy,
    };
  };
}
