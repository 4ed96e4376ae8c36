import { type OpenFile, PIECE } from "./files.ts";
import { LARGEST_IO, OUT_HEADER } from "./protocol.ts";
import { putHeader } from "./replies.ts";
import type { Of } from "./requests.ts";
import { request } from "./sftp-packets.ts";

/** Answers READs. What comes from the server goes to where the kernel takes it from, and such places are used again. */
export interface Reads {
  serve(file: OpenFile, message: Of<"read">, respond: (reply: Buffer) => void): Promise<void>;
}

export function createReads(): Reads {
  const free: Buffer[] = [];
  return {
    async serve({ session, remote }, { unique, offset, size }, respond) {
      const into = free.pop() ?? Buffer.allocUnsafeSlow(OUT_HEADER + LARGEST_IO);
      const pieces: Array<Promise<number>> = [];
      session.together(() => {
        for (let at = 0; at < size; at += PIECE) {
          const length = Math.min(PIECE, size - at);
          const place = into.subarray(OUT_HEADER + at, OUT_HEADER + at + length);
          pieces.push(session.readInto(request.read(remote, offset + at, length), place));
        }
      });
      try {
        let found = 0;
        // What follows a piece that wasn't full is beyond the file's end.
        for (const [index, length] of (await Promise.all(pieces)).entries()) if (found === index * PIECE) found += length;
        putHeader(into, unique, OUT_HEADER + found);
        respond(into.subarray(0, OUT_HEADER + found));
      } finally {
        // All have to be over: they have their places in it.
        await Promise.allSettled(pieces);
        free.push(into);
      }
    },
  };
}
