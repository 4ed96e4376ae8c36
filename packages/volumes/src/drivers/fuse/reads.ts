import type { OpenFile } from "./files.ts";
import type { Node } from "./nodes.ts";
import { LARGEST_IO, OUT_HEADER } from "./protocol.ts";
import type { Stretch } from "./read-ahead.ts";
import { putHeader } from "./replies.ts";
import type { Of } from "./requests.ts";
import { FileError, PIECE, request } from "./sftp-packets.ts";

/** `asked`: the server was, for some of it. */
type Respond = (reply: Buffer, asked: boolean) => void;

/** Answers READs. What comes from the server goes to where the kernel takes it from, and such places are used again. */
export interface Reads {
  serve(file: OpenFile, message: Of<"read">, respond: Respond): Promise<void>;
}

export function createReads(): Reads {
  const free: Buffer[] = [];
  return {
    async serve({ node, session, remote, ahead, around }, { unique, offset, size }, respond) {
      const into = free.pop() ?? Buffer.allocUnsafeSlow(OUT_HEADER + LARGEST_IO);
      let asked = false;
      const pieces: Array<{ at: number; found: Promise<number> }> = [];
      session.together(() => {
        for (let at = 0; at < size; ) {
          const from = offset + at;
          const stretch = ahead.at(from) ?? around.at(from);
          const length = Math.min(size - at, stretch ? stretch.from + stretch.place.length - from : PIECE);
          const place = into.subarray(OUT_HEADER + at, OUT_HEADER + at + length);
          const read = (): Promise<number> => {
            asked = true;
            return session.readInto(request.read(remote, from, length), place);
          };
          pieces.push({ at, found: stretch ? copy(stretch, from, place, node).catch(read) : read() });
          at += length;
        }
        const isElsewhere = ahead.follow(offset, size);
        if (asked && isElsewhere) around.follow(offset, size, pieces[0]!.found);
      });
      const all = pieces.map(({ found }) => found);
      try {
        let total = 0;
        // What follows a piece that wasn't full is beyond the file's end.
        for (const [index, found] of (await Promise.all(all)).entries()) if (total === pieces[index]!.at) total += found;
        putHeader(into, unique, OUT_HEADER + total);
        respond(into.subarray(0, OUT_HEADER + total), asked);
      } finally {
        // All have to be over: they have their places in it.
        await Promise.allSettled(all);
        free.push(into);
      }
    },
  };
}

/** Resolves with how many bytes there were from there on. Rejects where there are more by now: who is told too few takes that for the file's end. */
async function copy({ from, found, place }: Stretch, offset: number, into: Buffer, { told }: Node): Promise<number> {
  const until = await found;
  if (until < place.length && from + until < Math.min(told?.size ?? 0, offset + into.length)) throw new FileError("ESTALE");
  return place.copy(into, 0, offset - from, Math.max(until, offset - from));
}
