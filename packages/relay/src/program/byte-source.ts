import type { Duplex } from "node:stream";

/** Read ahead of who reads, in bytes: more than that, and the far side is made to wait. */
const AHEAD = 65_536;

/** The readable side of a stream, pulled chunk by chunk, with bytes that can be put back. It is the stream's only reader. */
export interface ByteSource {
  /** The next chunk; undefined after the last. Rejects where the stream broke. One call at a time. */
  read(): Promise<Buffer | undefined>;
  /** The next chunk if it is there already. */
  take(): Buffer | undefined;
  /** Chunks are offered to `taker` as they come, before they are queued to be read; `false`: it doesn't take this one. Until another is set. */
  divert(taker: ((chunk: Buffer) => boolean) | undefined): void;
  /** Puts bytes back: they come next. */
  unread(chunk: Buffer): void;
  /** Bytes that are there to be read. */
  readonly buffered: number;
  /** The far side has ended, and all of it was read. */
  readonly ended: boolean;
  /** Calls `listener` once, when the far side has ended or the stream is gone. Returns its undo. */
  onEnd(listener: () => void): () => void;
}

export function byteSource(stream: Duplex, first?: Buffer): ByteSource {
  const queue: Buffer[] = first?.length ? [first] : [];
  let buffered = first?.length ?? 0;
  let finished = stream.readableEnded;
  let failure: Error | undefined;
  let waiting: { resolve(chunk: Buffer | undefined): void; reject(error: Error): void } | undefined;
  const listeners = new Set<() => void>();
  let taker: ((chunk: Buffer) => boolean) | undefined;

  const take = (): Buffer | undefined => {
    const chunk = queue.shift();
    if (!chunk) return undefined;
    buffered -= chunk.length;
    if (buffered <= AHEAD && stream.isPaused() && !finished) stream.resume();
    return chunk;
  };
  const settle = (): void => {
    if (!waiting) return;
    const { resolve, reject } = waiting;
    const chunk = take();
    if (!chunk && !finished && !failure) return;
    waiting = undefined;
    if (chunk || !failure) resolve(chunk);
    else reject(failure);
  };
  const over = (): void => {
    settle();
    const all = [...listeners];
    listeners.clear();
    for (const listener of all) listener();
  };

  stream.on("data", (chunk: Buffer) => {
    if (taker?.(chunk)) return;
    queue.push(chunk);
    buffered += chunk.length;
    if (waiting) settle();
    else if (buffered > AHEAD) stream.pause();
  });
  stream.on("end", () => {
    finished = true;
    over();
  });
  stream.on("error", (error) => {
    failure ??= error;
  });
  stream.on("close", () => {
    if (!finished) failure ??= Object.assign(new Error("the connection was closed before its end"), { code: "ECONNRESET" });
    over();
  });
  if (stream.destroyed && !finished) failure = Object.assign(new Error("the connection is closed"), { code: "ECONNRESET" });
  stream.resume();

  return {
    read: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        settle();
      }),
    take,
    divert(next) {
      taker = next;
    },
    unread(chunk) {
      if (chunk.length === 0) return;
      queue.unshift(chunk);
      buffered += chunk.length;
    },
    get buffered() {
      return buffered;
    },
    get ended() {
      return finished && buffered === 0;
    },
    onEnd(listener) {
      if (finished || failure) {
        queueMicrotask(listener);
        return () => {};
      }
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** Writes, and where the stream has enough, waits until it has room or is gone. */
export function write(stream: Duplex, chunk: Buffer): Promise<void> | undefined {
  if (!stream.writable || stream.write(chunk)) return undefined;
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}
