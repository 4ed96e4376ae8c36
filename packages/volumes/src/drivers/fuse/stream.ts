import { connect, type Socket } from "node:net";
import type { Incoming } from "./sftp-session.ts";

/** As much as a socket between two processes holds, in bytes, and some. */
const ROOM = 256 * 1024;

export interface Stream {
  socket: Socket;
  incoming: Incoming;
}

/**
 * Connects to the socket at a path, and reads it into one place: as chunks of `data` are made, of 64 KiB each, outside of V8's heap, half of the
 * time went into making them and clearing them away.
 */
export function connectTo(path: string): Stream {
  let take: Parameters<Incoming>[0] = () => {};
  const buffer = Buffer.allocUnsafeSlow(ROOM);
  const callback = (length: number): boolean => {
    take(buffer.subarray(0, length));
    return true;
  };
  const socket = connect({ path, onread: { buffer, callback }, allowHalfOpen: true });
  socket.on("error", () => {});
  return {
    socket,
    incoming(taker) {
      take = taker;
    },
  };
}
