import type { HeaderList } from "../exchange.ts";

export interface Http1Head {
  /** The request's method and target, or the answer's status. */
  method: string;
  path: string;
  status: number;
  statusText: string;
  version: string;
  headers: HeaderList;
}

/** How a message's body ends (RFC 9112, 6.3). `tunnel`: after this head the bytes are no HTTP any more. */
export type Framing = { bytes: number } | "chunked" | "until-close" | "tunnel";

export interface Http1Events {
  /** A head is complete; says how its body ends, which for an answer hangs on the request. */
  head(head: Http1Head): Framing;
  body(bytes: Uint8Array): void;
  /** The message is complete. */
  done(): void;
  /** Bytes behind a `tunnel` head. */
  tunnel(bytes: Uint8Array): void;
  /** These bytes are no HTTP/1; nothing more will be read. */
  lost(why: string): void;
}

export interface Http1Parser {
  push(bytes: Uint8Array): void;
  /** The side has ended. */
  end(): void;
}

/** The longest head that is read, in bytes: servers take less. */
const LONGEST_HEAD = 64 * 1024;
const LONGEST_LINE = 16 * 1024;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\S+) HTTP\/(\d\.\d)$/;
const STATUS_LINE = /^HTTP\/(\d\.\d) (\d{3})(?: (.*))?$/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

type State = "head" | "length" | "until-close" | "chunk-size" | "chunk" | "chunk-end" | "trailer" | "tunnel" | "lost";

/**
 * Reads one direction of an HTTP/1 connection, as its bytes come. It looks on at a conversation of others, so it takes what servers take
 * (bare LF, empty lines ahead of a head) and gives up, once and with a reason, on what is none.
 */
export function createHttp1Parser(kind: "request" | "response", events: Http1Events): Http1Parser {
  let state: State = "head";
  let rest: Buffer = Buffer.alloc(0);
  let left = 0;

  const lose = (why: string): void => {
    if (state === "lost") return;
    state = "lost";
    rest = Buffer.alloc(0);
    events.lost(why);
  };
  const finish = (): void => {
    state = "head";
    events.done();
  };
  /** A line without its end; undefined where it isn't there yet. */
  const line = (limit: number): string | undefined => {
    const end = rest.indexOf(10);
    if (end < 0) {
      if (rest.length > limit) lose("a line without end");
      return undefined;
    }
    const text = rest.toString("latin1", 0, rest[end - 1] === 13 ? end - 1 : end);
    rest = rest.subarray(end + 1);
    return text;
  };
  const startBody = (framing: Framing): void => {
    if (framing === "chunked") state = "chunk-size";
    else if (typeof framing === "string") state = framing;
    else if (framing.bytes === 0) finish();
    else {
      left = framing.bytes;
      state = "length";
    }
  };
  const readHead = (): boolean => {
    let skip = 0;
    while (rest[skip] === 13 || rest[skip] === 10) skip++;
    if (skip > 0) rest = rest.subarray(skip);
    const end = endOfHead(rest);
    if (end === undefined) {
      if (rest.length > LONGEST_HEAD) lose(`a head of more than ${LONGEST_HEAD} bytes`);
      else if (rest.length > 0 && !startsLikeHead(kind, rest)) lose("not HTTP/1");
      return false;
    }
    const head = parseHead(kind, rest.toString("latin1", 0, end.text));
    rest = rest.subarray(end.next);
    if (typeof head === "string") lose(head);
    else startBody(events.head(head));
    return true;
  };
  const take = (bytes: number): void => {
    const part = rest.subarray(0, bytes);
    rest = rest.subarray(part.length);
    left -= part.length;
    if (part.length > 0) events.body(part);
  };

  /** One step; false where more bytes are needed. */
  const step = (): boolean => {
    switch (state) {
      case "head":
        return rest.length > 0 && readHead();
      case "length":
        take(left);
        if (left > 0) return false;
        finish();
        return true;
      case "chunk": {
        take(left);
        if (left > 0) return false;
        state = "chunk-end";
        return true;
      }
      case "chunk-end": {
        if (line(2) === undefined) return false;
        state = "chunk-size";
        return true;
      }
      case "chunk-size": {
        const text = line(LONGEST_LINE);
        if (text === undefined) return false;
        const size = /^\s*([0-9a-fA-F]{1,13})\s*(?:;|$)/.exec(text)?.[1];
        if (size === undefined) lose("a chunk without a size");
        else {
          left = Number.parseInt(size, 16);
          state = left === 0 ? "trailer" : "chunk";
        }
        return true;
      }
      case "trailer": {
        const text = line(LONGEST_LINE);
        if (text === undefined) return false;
        if (text === "") finish();
        return true;
      }
      case "until-close":
        take(rest.length);
        return false;
      case "tunnel": {
        const bytes = rest;
        rest = Buffer.alloc(0);
        if (bytes.length > 0) events.tunnel(bytes);
        return false;
      }
      case "lost":
        return false;
    }
  };

  return {
    push(bytes) {
      if (state === "lost") return;
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (step());
    },
    end() {
      if (state === "until-close") finish();
      else if (state !== "tunnel" && !(state === "head" && rest.length === 0)) lose("it ended in the middle of a message");
    },
  };
}

function endOfHead(bytes: Buffer): { text: number; next: number } | undefined {
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
    const text = bytes[at - 1] === 13 ? at - 1 : at;
    if (bytes[at + 1] === 10) return { text, next: at + 2 };
    if (bytes[at + 1] === 13 && bytes[at + 2] === 10) return { text, next: at + 3 };
  }
  return undefined;
}

/** Known by its first bytes, so that another protocol is given up at once and not after 256 KiB. */
function startsLikeHead(kind: "request" | "response", bytes: Buffer): boolean {
  const start = bytes.toString("latin1", 0, Math.min(bytes.length, 24));
  if (kind === "response") return "HTTP/1.".startsWith(start.slice(0, 7));
  // The preface of HTTP/2 looks like a request.
  return !start.startsWith("PRI * HTTP/2") && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?: |$)/.test(start);
}

function parseHead(kind: "request" | "response", text: string): Http1Head | string {
  const [first = "", ...lines] = text.split(/\r?\n/);
  const match = (kind === "request" ? REQUEST_LINE : STATUS_LINE).exec(first);
  if (!match) return "not HTTP/1";
  const headers: [string, string][] = [];
  for (const each of lines) {
    const last = headers.at(-1);
    if (/^[ \t]/.test(each) && last) {
      last[1] += ` ${each.trim()}`;
      continue;
    }
    const colon = each.indexOf(":");
    const name = each.slice(0, Math.max(colon, 0));
    if (!FIELD_NAME.test(name)) return "a header without a name";
    headers.push([name, each.slice(colon + 1).trim()]);
  }
  const [, one = "", two = "", three = ""] = match;
  return kind === "request"
    ? { method: one, path: two, version: three, status: 0, statusText: "", headers }
    : { method: "", path: "", version: one, status: Number(two), statusText: three, headers };
}
