import type { Framing } from "./http1-head.ts";

/** Finds a body's end without changing a byte of it. */
export interface BodyScanner {
  readonly done: boolean;
  /** How many of these bytes are the body's, all of them unless it ends among them; -1 from where on it isn't in order. */
  scan(chunk: Buffer): number;
}

export function bodyScanner(framing: Framing): BodyScanner {
  if (framing.by === "chunks") return chunkScanner();
  if (framing.by === "close") return { done: false, scan: (chunk) => chunk.length };
  return new LengthScanner(framing.by === "length" ? framing.length : 0);
}

/** A class, and no literal with a getter: that is dear to make, and one is made for each body. */
class LengthScanner implements BodyScanner {
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  scan(chunk: Buffer): number {
    const taken = Math.min(this.#left, chunk.length);
    this.#left -= taken;
    return taken;
  }
}

/** Longest line of a chunk's size with its extensions, and of all trailers together, in bytes. */
const SIZE_LINE = 4096;
const TRAILERS = 65_536;
const [CR, LF, SEMICOLON, SPACE, TAB] = [13, 10, 59, 32, 9];

/**
 * Chunks as RFC 9112, 7.1 has them and no other: what one side takes for the end of a chunk and the other doesn't is how requests are
 * smuggled.
 */
function chunkScanner(): BodyScanner {
  let state: "size" | "extension" | "size-lf" | "data" | "data-cr" | "data-lf" | "trailer" | "trailer-lf" | "done" = "size";
  let size = 0;
  let digits = 0;
  /** Bytes of this line, or of all trailers. */
  let line = 0;
  let lineStart = true;

  const step = (byte: number): boolean => {
    if (state === "size") {
      const digit = hex(byte);
      if (digit >= 0) {
        size = size * 16 + digit;
        return ++digits <= 12;
      }
      if (digits === 0) return false;
      if (byte === CR) state = "size-lf";
      else if (byte === SEMICOLON || byte === SPACE || byte === TAB) state = "extension";
      else return false;
      line = digits;
    } else if (state === "extension") {
      if (byte === CR) state = "size-lf";
      else if (byte < 32 && byte !== TAB) return false;
      else if (++line > SIZE_LINE) return false;
    } else if (state === "size-lf") {
      if (byte !== LF) return false;
      state = size > 0 ? "data" : "trailer";
      line = 0;
      lineStart = true;
    } else if (state === "data-cr") {
      if (byte !== CR) return false;
      state = "data-lf";
    } else if (state === "data-lf") {
      if (byte !== LF) return false;
      state = "size";
      digits = 0;
    } else if (state === "trailer") {
      if (++line > TRAILERS) return false;
      if (byte === CR) state = "trailer-lf";
      else if (byte === LF || byte === 0) return false;
      else lineStart = false;
    } else if (state === "trailer-lf") {
      if (byte !== LF) return false;
      state = lineStart ? "done" : "trailer";
      lineStart = true;
    }
    return true;
  };

  return {
    get done() {
      return state === "done";
    },
    scan(chunk) {
      let at = 0;
      while (at < chunk.length && state !== "done") {
        if (state === "data") {
          const taken = Math.min(size, chunk.length - at);
          at += taken;
          size -= taken;
          if (size === 0) state = "data-cr";
        } else if (!step(chunk[at++]!)) {
          return -1;
        }
      }
      return at;
    },
  };
}

function hex(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
