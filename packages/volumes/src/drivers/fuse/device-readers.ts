import { read } from "node:fs";
import { Socket } from "node:net";

/** Takes what was read into a buffer, and says where what comes next may go. */
export type Take = (buffer: Buffer, length: number) => Buffer;

/** Handles of Node's that have no public name: `pipe_wrap`, of which the streams of `child_process` are made. */
interface Internals {
  Pipe: new (type: number) => { open(fd: number): void };
  constants: { SOCKET: number };
}

/**
 * Reads a device that can be polled in the event loop itself, which spares each request the way by a thread and back: of small ones that was a third
 * of this process's CPU, and more where the machine is busy. Undefined where this Node doesn't lend its handles. Resolves when there is no more.
 */
export function readByLoop(fd: number, room: () => Buffer, take: Take): Promise<void> | undefined {
  const internals = pipes();
  if (!internals) return undefined;
  const handle = new internals.Pipe(internals.constants.SOCKET);
  handle.open(fd);
  let buffer = room();
  const onread = {
    buffer: () => buffer,
    callback(length: number): boolean {
      buffer = take(buffer, length);
      return true;
    },
  };
  const socket = new Socket({ handle, readable: true, writable: false, onread } as object);
  const { promise, resolve } = Promise.withResolvers<void>();
  // ENODEV: unmounted. ECONNABORTED: ended by force.
  socket.on("error", () => {});
  socket.once("close", () => resolve());
  socket.resume();
  return promise;
}

function pipes(): Internals | undefined {
  try {
    return (process as unknown as { binding(name: string): Internals }).binding("pipe_wrap");
  } catch {
    return undefined;
  }
}

/** A waiting read has a thread of its own: so many may wait, and no request waits for another's being read. */
const READERS = 2;

/** As {@link readByLoop}, by threads of Node's pool. */
export function readByThreads(fd: number, room: () => Buffer, take: Take): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const next = (buffer: Buffer): void => {
    read(fd, buffer, 0, buffer.length, null, (error, length) => {
      // One was taken back before it was read.
      if (error && ["ENOENT", "EINTR", "EAGAIN"].includes(error.code ?? "")) return next(buffer);
      if (error || length === 0) return resolve();
      next(take(buffer, length));
    });
  };
  for (let reader = 0; reader < READERS; reader++) next(room());
  return promise;
}
