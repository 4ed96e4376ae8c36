import type { Duplex } from "node:stream";

export interface CarrierEvents {
  data(chunk: Buffer): void;
  drain(): void;
  /** Called once: nothing more comes and nothing more can be sent. */
  close(): void;
}

/** What frames travel on: a socket, or the binary messages of a WebSocket. */
export interface Carrier {
  /** One frame, head and payload, in one write where possible and without a copy. False: full, wait for `drain`. */
  send(head: Buffer, payload?: Buffer): boolean;
  pause(): void;
  resume(): void;
  /** Ends in good order: what was sent is delivered, what still arrives is dropped. */
  end(): void;
  destroy(): void;
  /** Starts delivery. */
  start(events: CarrierEvents): void;
}

/** How long a client has to read what there is, and to close its end after ours, in ms. */
const LINGER_MS = 60_000;

export function socketCarrier(socket: Duplex, head: Buffer): Carrier {
  (socket as Partial<{ setNoDelay(on: boolean): void }>).setNoDelay?.(true);
  let events: CarrierEvents | undefined;
  const close = (): void => {
    const then = events;
    events = undefined;
    then?.close();
  };
  socket.on("error", () => {});
  return {
    send(head, payload) {
      if (socket.writableEnded || socket.destroyed) return true;
      if (payload === undefined) return socket.write(head);
      socket.cork();
      socket.write(head);
      const more = socket.write(payload);
      socket.uncork();
      return more;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end() {
      lingerAndClose(socket);
      close();
    },
    destroy() {
      socket.destroy();
      close();
    },
    start(handler) {
      events = handler;
      socket.on("drain", () => events?.drain());
      socket.on("end", () => {
        socket.end();
        close();
      });
      socket.on("close", close);
      if (head.length > 0) handler.data(head);
      socket.on("data", (chunk: Buffer) => events?.data(chunk));
      if (socket.destroyed) close();
    },
  };
}

/** Ends our half and waits for the other: to close before it would answer what it still says by a reset, which loses what it hasn't read. */
export function lingerAndClose(socket: Duplex): void {
  if (socket.destroyed) return;
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.on("end", () => socket.destroy());
  socket.on("close", () => clearTimeout(timer));
}
