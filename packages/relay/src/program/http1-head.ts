/** How the bytes of a message's body are told from those after it (RFC 9112, 6). `close`: it ends with the connection. */
export type Framing = { by: "none" } | { by: "length"; length: number } | { by: "chunks" } | { by: "close" };

export interface Field {
  /** In lower case. */
  name: string;
  value: string;
  /** As received, without its end of line. */
  line: string;
}

interface Head {
  /** As received, with the empty line. */
  bytes: Buffer;
  /** Without its end of line. */
  firstLine: string;
  /** Minor version: HTTP/1.0 or 1.1. */
  minor: 0 | 1;
  fields: readonly Field[];
  /** What `Connection` names, in lower case. */
  connection: ReadonlySet<string>;
  /** Whether the connection can be used again, as far as this side says. */
  persistent: boolean;
}

export interface RequestHead extends Head {
  method: string;
  target: string;
  framing: Framing;
}

export interface ResponseHead extends Head {
  status: number;
  fields: readonly Field[];
}

/** Longest head of a request, in bytes; a longer one is answered with 431. */
export const REQUEST_HEAD = 65_536;
/** Longest head of an answer, in bytes; a longer one isn't looked into. */
export const RESPONSE_HEAD = 262_144;

const [CR, LF, SPACE] = [13, 10, 32];
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.([01])$/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;

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
  const most = Math.min(bytes.length, 64);
  for (let at = 0; at < most; at++) {
    if (bytes[at] === SPACE) return at > 0;
    if (!TOKEN_BYTES[bytes[at]!]) return false;
  }
  return bytes.length < 64;
}

const TOKEN_BYTES = Uint8Array.from({ length: 256 }, (_, code) => (TOKEN.test(String.fromCharCode(code)) ? 1 : 0));

/** Undefined where the request isn't plain in every respect: then nobody may look at it in a way of their own, and cut it elsewhere. */
export function parseRequestHead(bytes: Buffer): RequestHead | undefined {
  const lines = bytes.toString("latin1", 0, bytes.length - 4).split("\r\n");
  const [, method, target, minor] = REQUEST_LINE.exec(lines[0]!) ?? [];
  const fields = parseFields(lines);
  if (method === undefined || target === undefined || !fields) return undefined;
  const hosts = fields.filter(({ name }) => name === "host").length;
  if (hosts > 1 || (hosts === 0 && minor === "1")) return undefined;
  const framing = requestFraming(fields, minor === "1");
  return framing && { bytes, firstLine: lines[0]!, method, target, framing, ...headOf(fields, minor === "1" ? 1 : 0) };
}

/** Undefined where it is no head of an answer. */
export function parseResponseHead(bytes: Buffer): ResponseHead | undefined {
  const lines = bytes.toString("latin1", 0, bytes.length - 4).split("\r\n");
  const [, minor, status] = STATUS_LINE.exec(lines[0]!) ?? [];
  const fields = parseFields(lines);
  if (status === undefined || !fields) return undefined;
  return { bytes, firstLine: lines[0]!, status: Number(status), ...headOf(fields, minor === "1" ? 1 : 0) };
}

function parseFields(lines: readonly string[]): Field[] | undefined {
  const fields: Field[] = [];
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!;
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) return undefined;
    fields.push({ name: name.toLowerCase(), value: value.trimEnd(), line });
  }
  return fields;
}

function headOf(fields: readonly Field[], minor: 0 | 1): Pick<Head, "fields" | "minor" | "connection" | "persistent"> {
  const connection = tokens(fields, "connection");
  const persistent = !connection.has("close") && (minor === 1 || connection.has("keep-alive"));
  return { fields, minor, connection, persistent };
}

export const valuesOf = (fields: readonly Field[], name: string): string[] =>
  fields.filter((field) => field.name === name).map(({ value }) => value);

const NONE: ReadonlySet<string> = new Set();

export function tokens(fields: readonly Field[], name: string): ReadonlySet<string> {
  const values = valuesOf(fields, name);
  if (values.length === 0) return NONE;
  return new Set(values.flatMap((value) => value.split(",")).map((token) => token.trim().toLowerCase()));
}

const LENGTH = /^\d{1,15}$/;

function requestFraming(fields: readonly Field[], knowsChunks: boolean): Framing | undefined {
  const encodings = valuesOf(fields, "transfer-encoding");
  const lengths = valuesOf(fields, "content-length");
  if (encodings.length > 0) {
    const plain = knowsChunks && lengths.length === 0 && encodings.length === 1 && encodings[0]!.toLowerCase() === "chunked";
    return plain ? { by: "chunks" } : undefined;
  }
  if (lengths.length === 0) return { by: "none" };
  return lengths.length === 1 && LENGTH.test(lengths[0]!) ? framingOf(Number(lengths[0])) : undefined;
}

const framingOf = (length: number): Framing => (length === 0 ? { by: "none" } : { by: "length", length });

/** Of the answer to `method`. What is not plain is taken to end with the connection, which then serves for nothing else. */
export function responseFraming({ status, fields }: ResponseHead, method: string): Framing {
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return { by: "none" };
  const encodings = valuesOf(fields, "transfer-encoding");
  const lengths = new Set(valuesOf(fields, "content-length"));
  if (encodings.length > 0)
    return encodings.length === 1 && encodings[0]!.toLowerCase() === "chunked" ? { by: "chunks" } : { by: "close" };
  const [length] = lengths;
  return lengths.size === 1 && LENGTH.test(length!) ? framingOf(Number(length)) : { by: "close" };
}

/** A head with fields left out and added; the lines that stay are as received, and so is their order. */
export function editHead(
  head: Head,
  leaveOut: ReadonlySet<string>,
  add: ReadonlyArray<readonly [name: string, value: string]>,
): Buffer {
  const added = add.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  if (!head.fields.some(({ name }) => leaveOut.has(name))) {
    return added === "" ? head.bytes : Buffer.concat([head.bytes.subarray(0, -2), Buffer.from(`${added}\r\n`, "latin1")]);
  }
  const kept = head.fields.flatMap(({ name, line }) => (leaveOut.has(name) ? [] : [`${line}\r\n`])).join("");
  return Buffer.from(`${head.firstLine}\r\n${kept}${added}\r\n`, "latin1");
}
