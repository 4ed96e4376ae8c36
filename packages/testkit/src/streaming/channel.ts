import type { Readable, Writable } from "node:stream";

/** Who takes what arrives on a {@link Channel}. */
export interface Consumer {
  /**
   * Takes a chunk. Returns false where no more may come before `resume` is called. There is no flow control a channel, so meanwhile
   * nothing of the whole connection is read: that is how the real server behaves.
   */
  data(chunk: Buffer, resume: () => void): boolean;
  /** The client's FIN, its reset, or the end of the connection: the same thing to the real server's readers. */
  end(): void;
}

/** One stream of a multiplexed connection: a SPDY stream, or a numbered channel of a WebSocket. */
export interface Channel {
  /** False once ended, reset by the client, or the connection is gone; what is written then is dropped. */
  readonly writable: boolean;
  /** Returns false where the connection is full; `onDrain` then tells when to go on. */
  write(chunk: Buffer): boolean;
  /** Calls back once. */
  onDrain(resume: () => void): void;
  end(): void;
  /** Sets the consumer. What came before it waits, and holds up the connection. */
  receive(consumer: Consumer): void;
}

/** Takes what arrives on a channel that carries nothing towards the server. */
export const discard: Consumer = { data: () => true, end() {} };

/** What a readable gives, into a channel. Resolves at its end, however it ends. */
export function pump(from: Readable, to: Channel): Promise<void> {
  return new Promise((resolve) => {
    // A process that says nothing may have ended its outputs before anybody came to read them.
    if (from.readableEnded || from.destroyed) return resolve();
    from.on("data", (chunk: Buffer) => {
      if (to.write(chunk)) return;
      from.pause();
      to.onDrain(() => from.resume());
    });
    from.on("end", resolve);
    from.on("error", () => resolve());
    from.on("close", resolve);
  });
}

/** What arrives on a channel, into a writable, which is ended where the channel ends. */
export function feed(from: Channel, to: Writable): void {
  let stalled: (() => void) | undefined;
  const goOn = (): void => {
    const resume = stalled;
    stalled = undefined;
    resume?.();
  };
  to.on("error", goOn);
  to.on("close", goOn);
  to.on("drain", goOn);
  from.receive({
    data(chunk, resume) {
      if (to.destroyed || to.writableEnded || to.write(chunk)) return true;
      stalled = resume;
      return false;
    },
    end: () => void to.end(),
  });
}
