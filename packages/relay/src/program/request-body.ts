import type { ByteSource } from "./byte-source.ts";
import type { BodyScanner } from "./http1-body.ts";

/** Bytes of a body that are kept to be sent once more. */
const REPLAY = 65_536;

/** A request's body as it comes, for one reader after another: the next one begins at its first byte, as long as that is kept. */
export interface RequestBody {
  /** The chunk of that number; undefined after the last. Rejects where the client is gone. */
  chunk(index: number): Promise<Buffer | undefined>;
  /** `bad`: it isn't in order, and `rest` is what came from there on. `cut`: the client ended before it did. */
  readonly state: "open" | "done" | "bad" | "cut";
  readonly rest: Buffer | undefined;
  /** There is none. */
  readonly empty: boolean;
  /** Whether a reader can still begin at its first byte. */
  readonly whole: boolean;
  /** No more readers than this one. */
  commit(): void;
}

export function requestBody(source: ByteSource, scanner: BodyScanner, onChunk: (chunk: Buffer) => void): RequestBody {
  const chunks: Buffer[] = [];
  let first = 0;
  let kept = 0;
  let whole = true;
  let state: RequestBody["state"] = scanner.done ? "done" : "open";
  let rest: Buffer | undefined;
  let pulling: Promise<void> | undefined;

  const pull = async (): Promise<void> => {
    const chunk = source.take() ?? (await source.read());
    if (!chunk) {
      state = "cut";
      return;
    }
    const length = scanner.scan(chunk);
    if (length < 0) {
      state = "bad";
      rest = chunk;
      return;
    }
    source.unread(chunk.subarray(length));
    if (scanner.done) state = "done";
    if (length === 0) return;
    const own = chunk.subarray(0, length);
    onChunk(own);
    chunks.push(own);
    kept += length;
    if (kept > REPLAY) whole = false;
  };

  return {
    async chunk(index) {
      while (index >= first + chunks.length) {
        if (state !== "open") return undefined;
        pulling ??= pull().finally(() => {
          pulling = undefined;
        });
        await pulling;
      }
      if (!whole) {
        while (first < index) {
          chunks.shift();
          first++;
        }
      }
      return chunks[index - first];
    },
    get state() {
      return state;
    },
    get rest() {
      return rest;
    },
    empty: scanner.done,
    get whole() {
      return whole;
    },
    commit() {
      whole = false;
    },
  };
}
