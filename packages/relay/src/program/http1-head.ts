import { type Fields, kindOf, NAMED, scanFields, skip, TOKEN, VALUE } from "./http1-fields.ts";
import type { RequestFacts } from "./route.ts";

/** How the bytes of a message's body are told from those after it (RFC 9112, 6). `close`: it ends with the connection. */
export type Framing = { by: "none" } | { by: "length"; length: number } | { by: "chunks" } | { by: "close" };

interface Head {
  /** As received, with the empty line. */
  readonly bytes: Buffer;
  readonly length: number;
  /** Behind the first line and its end. */
  readonly fieldsAt: number;
  /** Minor version: HTTP/1.0 or 1.1. */
  readonly minor: 0 | 1;
  readonly fields: Fields;
  /** What `Connection` names, in lower case. */
  readonly connection: ReadonlySet<string>;
  /** Whether the connection can be used again, as far as this side says. */
  readonly persistent: boolean;
}

export interface RequestHead extends Head, RequestFacts {
  readonly framing: Framing;
}

export interface ResponseHead extends Head {
  readonly status: number;
}

/** Longest head of a request, in bytes; a longer one is answered with 431. */
export const REQUEST_HEAD = 65_536;
/** Longest head of an answer, in bytes; a longer one isn't looked into. */
export const RESPONSE_HEAD = 262_144;
/** Longest method that is taken for one. */
const METHOD = 63;

const [CR, LF, SPACE, ZERO] = [13, 10, 32, 48];
const TARGET = kindOf(/[\x21-\x7e\x80-\xff]/);
const DIGIT = kindOf(/\d/);
const VERSION = Buffer.from("HTTP/1.");

/**
 * Where a head ends: the index after its empty line; 0 where more must come; -1 where a line ends with a bare LF.
 */
export function findHeadEnd(bytes: Buffer, from = 0): number {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (at === 0 || bytes[at - 1] !== CR) return -1;
    if (at >= 3 && bytes[at - 2] === LF) return at + 1;
  }
  return 0;
}

/** Whether bytes can be the beginning of a request: a method, and a space. */
export function beginsLikeRequest(bytes: Buffer): boolean {
  const end = skip(TOKEN, bytes, 0);
  return end <= METHOD && (end === bytes.length || (end > 0 && bytes[end] === SPACE));
}

/**
 * The head that bytes begin with. Undefined where not all of it is there, and where it isn't plain in every respect: then nobody may look at
 * it in a way of their own, and cut it elsewhere.
 */
export function parseRequestHead(bytes: Buffer): RequestHead | undefined {
  const methodEnd = skip(TOKEN, bytes, 0);
  if (methodEnd === 0 || methodEnd > METHOD || bytes[methodEnd] !== SPACE) return undefined;
  const targetEnd = skip(TARGET, bytes, methodEnd + 1);
  if (targetEnd === methodEnd + 1 || bytes[targetEnd] !== SPACE) return undefined;
  const minor = versionAt(bytes, targetEnd + 1);
  const fieldsAt = afterLine(bytes, targetEnd + 1 + VERSION.length + 1);
  const fields = minor === undefined || fieldsAt < 0 ? undefined : scanFields(bytes, fieldsAt);
  if (minor === undefined || !fields) return undefined;
  if (fields.has(NAMED.HOSTS) || (minor === 1 && !fields.has(NAMED.HOST))) return undefined;
  const framing = requestFraming(fields, minor === 1);
  if (!framing) return undefined;
  return new PlainRequest({ bytes, fieldsAt, minor, fields }, framing, methodEnd, targetEnd);
}

/** The head of an answer that bytes begin with. Undefined where there is none, or not all of it. */
export function parseResponseHead(bytes: Buffer): ResponseHead | undefined {
  const minor = versionAt(bytes, 0);
  const at = VERSION.length + 2;
  const statusEnd = skip(DIGIT, bytes, at);
  if (minor === undefined || bytes[at - 1] !== SPACE || statusEnd !== at + 3 || bytes[at] === ZERO) return undefined;
  const fieldsAt = afterLine(bytes, bytes[statusEnd] === SPACE ? skip(VALUE, bytes, statusEnd) : statusEnd);
  const fields = fieldsAt < 0 ? undefined : scanFields(bytes, fieldsAt);
  return minor === undefined || !fields ? undefined : new PlainResponse({ bytes, fieldsAt, minor, fields }, at);
}

function versionAt(bytes: Buffer, at: number): 0 | 1 | undefined {
  if (bytes.length <= at + VERSION.length) return undefined;
  for (let i = 0; i < VERSION.length; i++) if (bytes[at + i] !== VERSION[i]) return undefined;
  const minor = bytes[at + VERSION.length]! - ZERO;
  return minor === 0 || minor === 1 ? minor : undefined;
}

/** Behind the end of line that is to be there; -1 where it isn't. */
function afterLine(bytes: Buffer, at: number): number {
  return at + 1 < bytes.length && bytes[at] === CR && bytes[at + 1] === LF ? at + 2 : -1;
}

const NONE: ReadonlySet<string> = new Set();

/** Classes, and not literals that are put together: one is made for each head. */
class Plain implements Head {
  readonly length: number;
  readonly fieldsAt: number;
  readonly minor: 0 | 1;
  readonly fields: Fields;
  readonly connection: ReadonlySet<string>;
  readonly persistent: boolean;
  readonly #from: Buffer;

  constructor({ bytes, fieldsAt, minor, fields }: Pick<Head, "bytes" | "fieldsAt" | "minor" | "fields">) {
    this.#from = bytes;
    this.length = fields.end;
    this.fieldsAt = fieldsAt;
    this.minor = minor;
    this.fields = fields;
    this.connection = fields.has(NAMED.CONNECTION) ? fields.tokens("connection") : NONE;
    this.persistent = !this.connection.has("close") && (minor === 1 || this.connection.has("keep-alive"));
  }

  get bytes(): Buffer {
    return this.#from.length === this.length ? this.#from : this.#from.subarray(0, this.length);
  }
}

class PlainRequest extends Plain implements RequestHead {
  readonly method: string;
  readonly framing: Framing;
  readonly #targetAt: number;
  readonly #targetEnd: number;

  constructor(head: ConstructorParameters<typeof Plain>[0], framing: Framing, methodEnd: number, targetEnd: number) {
    super(head);
    this.method = head.bytes.toString("latin1", 0, methodEnd);
    this.framing = framing;
    this.#targetAt = methodEnd + 1;
    this.#targetEnd = targetEnd;
  }

  get target(): string {
    return this.bytes.toString("latin1", this.#targetAt, this.#targetEnd);
  }

  values(name: string): string[] {
    return this.fields.values(name);
  }
}

class PlainResponse extends Plain implements ResponseHead {
  readonly status: number;

  constructor(head: ConstructorParameters<typeof Plain>[0], statusAt: number) {
    super(head);
    const digit = (at: number): number => head.bytes[statusAt + at]! - ZERO;
    this.status = digit(0) * 100 + digit(1) * 10 + digit(2);
  }
}

const LENGTH = /^\d{1,15}$/;
const NO_BODY: Framing = { by: "none" };

function requestFraming(fields: Fields, knowsChunks: boolean): Framing | undefined {
  if (!fields.has(NAMED.LENGTH | NAMED.ENCODING)) return NO_BODY;
  const lengths = fields.values("content-length");
  if (fields.has(NAMED.ENCODING)) {
    const encodings = fields.values("transfer-encoding");
    const plain = knowsChunks && lengths.length === 0 && encodings.length === 1 && encodings[0]!.toLowerCase() === "chunked";
    return plain ? { by: "chunks" } : undefined;
  }
  return lengths.length === 1 && LENGTH.test(lengths[0]!) ? framingOf(Number(lengths[0])) : undefined;
}

const framingOf = (length: number): Framing => (length === 0 ? NO_BODY : { by: "length", length });

/** Of the answer to `method`. What is not plain is taken to end with the connection, which then serves for nothing else. */
export function responseFraming({ status, fields }: ResponseHead, method: string): Framing {
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return NO_BODY;
  if (fields.has(NAMED.ENCODING)) {
    const encodings = fields.values("transfer-encoding");
    return encodings.length === 1 && encodings[0]!.toLowerCase() === "chunked" ? { by: "chunks" } : { by: "close" };
  }
  const lengths = fields.values("content-length");
  const [length] = lengths;
  const alike = length !== undefined && lengths.every((other) => other === length);
  return alike && LENGTH.test(length) ? framingOf(Number(length)) : { by: "close" };
}

/** A head with fields left out and added; the lines that stay are as received, and so is their order. */
export function editHead(
  head: Head,
  leaveOut: ReadonlySet<string>,
  add: ReadonlyArray<readonly [name: string, value: string]>,
): Buffer {
  const added = add.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const fields = head.fields.list();
  if (!fields.some(({ name }) => leaveOut.has(name))) {
    return added === "" ? head.bytes : Buffer.concat([head.bytes.subarray(0, -2), Buffer.from(`${added}\r\n`, "latin1")]);
  }
  const firstLine = head.bytes.toString("latin1", 0, head.fieldsAt);
  const kept = fields.flatMap(({ name, line }) => (leaveOut.has(name) ? [] : [`${line}\r\n`])).join("");
  return Buffer.from(`${firstLine}${kept}${added}\r\n`, "latin1");
}
