/** The few ASN.1 DER forms (X.690) that a certificate is made of. */
const length = (n: number): Buffer => {
  if (n < 0x80) return Buffer.from([n]);
  const bytes: number[] = [];
  for (let rest = n; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
};

const tagged = (tag: number, ...content: Buffer[]): Buffer => {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.from([tag]), length(body.length), body]);
};

export const sequence = (...items: Buffer[]): Buffer => tagged(0x30, ...items);
export const set = (...items: Buffer[]): Buffer => tagged(0x31, ...items);
export const octets = (content: Buffer): Buffer => tagged(0x04, content);
export const utf8 = (text: string): Buffer => tagged(0x0c, Buffer.from(text));
export const boolean = (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0]));
/** Context-specific: `constructed` wraps other DER, otherwise `content` is the value itself. */
export const context = (n: number, content: Buffer, constructed: boolean): Buffer =>
  tagged(0x80 | (constructed ? 0x20 : 0) | n, content);

/** A non-negative integer, big-endian. */
export function integer(bytes: Buffer): Buffer {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const trimmed = bytes.subarray(from);
  return tagged(0x02, trimmed[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed);
}

export function bits(content: Buffer, unused = 0): Buffer {
  return tagged(0x03, Buffer.from([unused]), content);
}

export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const out = [first! * 40 + second!];
  for (const part of rest) {
    const septets = [part & 0x7f];
    for (let high = part >>> 7; high > 0; high >>>= 7) septets.unshift((high & 0x7f) | 0x80);
    out.push(...septets);
  }
  return tagged(0x06, Buffer.from(out));
}

/** GeneralizedTime, to the second (RFC 5280 wants UTCTime until 2049; every verifier in use takes both). */
export function time(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]/g, "").slice(0, 14);
  const utc = date.getUTCFullYear() < 2050;
  return tagged(utc ? 0x17 : 0x18, Buffer.from(`${utc ? text.slice(2) : text}Z`));
}
