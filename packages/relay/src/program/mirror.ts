import type { Duplex } from "node:stream";
import { resetStream } from "@shipside/core";

/** What a copy may be behind, in bytes, before it is given up. */
const BEHIND = 1024 * 1024;
/** How long an answer that nobody reads may take after the request was copied, in ms. */
const ANSWER_MS = 60_000;

/** A copy of one request. Never waited for. */
export interface Mirror {
  write(chunk: Buffer): void;
  end(): void;
}

/** Copies a request to a stream that is being opened. A copy that can't follow is cut off; its answer is thrown away. */
export function startMirror(opening: Promise<Duplex | undefined>): Mirror {
  let queue: Buffer[] | undefined = [];
  let queued = 0;
  let ended = false;
  let stream: Duplex | undefined;

  const finish = (): void => {
    if (!stream) return;
    const to = stream;
    to.end();
    const timer = setTimeout(() => resetStream(to), ANSWER_MS).unref();
    to.once("close", () => clearTimeout(timer));
  };

  opening.then(
    (opened) => {
      if (!opened) {
        queue = undefined;
        return;
      }
      if (!queue) return resetStream(opened);
      stream = opened;
      opened.on("error", () => {});
      opened.resume();
      for (const chunk of queue) opened.write(chunk);
      queue = undefined;
      if (ended) finish();
    },
    () => {
      queue = undefined;
    },
  );

  return {
    write(chunk) {
      if (stream) {
        if (stream.writable && stream.writableLength <= BEHIND) stream.write(chunk);
        else resetStream(stream);
      } else if (queue) {
        queue.push(chunk);
        queued += chunk.length;
        if (queued > BEHIND) queue = undefined;
      }
    },
    end() {
      ended = true;
      finish();
    },
  };
}
