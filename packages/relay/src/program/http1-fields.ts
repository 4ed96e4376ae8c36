export interface Field {
  /** In lower case. */
  name: string;
  value: string;
  /** As received, without its end of line. */
  line: string;
}

/** The fields of a head, all of them plain. Nothing is made of their bytes but what is asked for. */
export interface Fields {
  /** The index behind the empty line after them. */
  readonly end: number;
  /** Whether there is one of those: `NAMED`, added up. */
  has(named: number): boolean;
  /** The values of the fields of that name (in lower case), in order. */
  values(name: string): string[];
  /** What the fields of that name list, in lower case. */
  tokens(name: string): ReadonlySet<string>;
  /** All, in order. */
  list(): Field[];
}

/** Fields that are looked for while they are scanned. `CALLER`: those that tell of callers, and `Proxy-Connection`; `HOSTS`: `Host` twice. */
export const NAMED = { HOST: 1, LENGTH: 2, ENCODING: 4, CONNECTION: 8, CALLER: 16, HOSTS: 32 } as const;
const NAMES: ReadonlyArray<readonly [name: string, named: number]> = [
  ["host", NAMED.HOST],
  ["content-length", NAMED.LENGTH],
  ["transfer-encoding", NAMED.ENCODING],
  ["connection", NAMED.CONNECTION],
  ["proxy-connection", NAMED.CALLER],
  ["forwarded", NAMED.CALLER],
  ["x-forwarded-for", NAMED.CALLER],
  ["x-forwarded-proto", NAMED.CALLER],
  ["x-forwarded-host", NAMED.CALLER],
];
const NAMES_BY_LENGTH = Array.from({ length: 18 }, (_, length) => NAMES.filter(([name]) => name.length === length));

const [CR, LF, SPACE, TAB, COLON] = [13, 10, 32, 9, 58];
/** A kind of byte: 1 for those that are of it. */
export const kindOf = (pattern: RegExp): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, code) => (pattern.test(String.fromCharCode(code)) ? 1 : 0));
export const TOKEN = kindOf(/[!#$%&'*+.^_`|~0-9A-Za-z-]/);
export const VALUE = kindOf(/[\t\x20-\x7e\x80-\xff]/);
const LOWER = Uint8Array.from({ length: 256 }, (_, code) => (code >= 65 && code <= 90 ? code + 32 : code));

/** The index of the first byte from `at` on that is not of that kind. */
export function skip(kind: Uint8Array, bytes: Buffer, at: number): number {
  const end = bytes.length;
  let index = at;
  while (index < end && kind[bytes[index]!] === 1) index++;
  return index;
}

/** Undefined where they aren't all there, or not plain (RFC 9112, 5: no space before the colon, no folded lines, no bare CR or LF). */
export function scanFields(bytes: Buffer, from: number): Fields | undefined {
  const marks: number[] = [];
  const last = bytes.length - 1;
  let seen = 0;
  let at = from;
  while (at < last) {
    if (bytes[at] === CR) return bytes[at + 1] === LF ? new Scanned(bytes, marks, seen, at + 2) : undefined;
    const colon = skip(TOKEN, bytes, at);
    if (colon === at || colon >= last || bytes[colon] !== COLON) return undefined;
    const end = skip(VALUE, bytes, colon + 1);
    if (end >= last || bytes[end] !== CR || bytes[end + 1] !== LF) return undefined;
    const known = NAMES_BY_LENGTH[colon - at];
    if (known) for (let i = 0; i < known.length; i++) if (isNamed(bytes, at, known[i]![0])) seen |= seenNow(seen, known[i]![1]);
    marks.push(at, colon, end);
    at = end + 2;
  }
  return undefined;
}

const seenNow = (before: number, named: number): number => (named === NAMED.HOST && before & NAMED.HOST ? NAMED.HOSTS : named);

/** Whether the name that begins there, of that length, is that one, which is in lower case. */
function isNamed(bytes: Buffer, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) if (LOWER[bytes[at + i]!] !== name.charCodeAt(i)) return false;
  return true;
}

const NONE: ReadonlySet<string> = new Set();
const KEEP_ALIVE: ReadonlySet<string> = new Set(["keep-alive"]);

class Scanned implements Fields {
  readonly end: number;
  readonly #bytes: Buffer;
  /** Of each field, where its name, its colon and its end of line are. */
  readonly #marks: readonly number[];
  readonly #seen: number;

  constructor(bytes: Buffer, marks: readonly number[], seen: number, end: number) {
    this.#bytes = bytes;
    this.#marks = marks;
    this.#seen = seen;
    this.end = end;
  }

  has(named: number): boolean {
    return (this.#seen & named) !== 0;
  }

  values(name: string): string[] {
    const marks = this.#marks;
    const found: string[] = [];
    for (let i = 0; i < marks.length; i += 3) {
      const at = marks[i]!;
      const colon = marks[i + 1]!;
      if (colon - at === name.length && isNamed(this.#bytes, at, name)) found.push(this.#value(colon, marks[i + 2]!));
    }
    return found;
  }

  tokens(name: string): ReadonlySet<string> {
    const values = this.values(name);
    if (values.length === 0) return NONE;
    if (values.length === 1 && values[0]!.toLowerCase() === "keep-alive") return KEEP_ALIVE;
    return new Set(values.flatMap((value) => value.split(",").map((token) => token.replace(/^[ \t]+|[ \t]+$/g, "").toLowerCase())));
  }

  list(): Field[] {
    return Array.from({ length: this.#marks.length / 3 }, (_, i) => {
      const [at, colon, end] = this.#marks.slice(i * 3) as [number, number, number];
      const name = this.#bytes.toString("latin1", at, colon).toLowerCase();
      return { name, value: this.#value(colon, end), line: this.#bytes.toString("latin1", at, end) };
    });
  }

  /** Without the spaces and tabs around it, and only those: what another server leaves on must not be off here (RFC 9110, 5.5). */
  #value(colon: number, end: number): string {
    const bytes = this.#bytes;
    let from = colon + 1;
    let to = end;
    while (from < to && (bytes[from] === SPACE || bytes[from] === TAB)) from++;
    while (to > from && (bytes[to - 1] === SPACE || bytes[to - 1] === TAB)) to--;
    return bytes.toString("latin1", from, to);
  }
}
