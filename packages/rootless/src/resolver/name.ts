/**
 * Domain names as text (RFC 1035 section 5.1): labels joined by dots, without the last one; the root is "". A dot, backslash or other byte
 * that doesn't print stands behind a backslash, so that two names are the same exactly if their texts are, but for case.
 */

/** Section 2.3.4, in bytes, with the length of each label and the root's. */
const LONGEST_NAME = 255;
const LONGEST_LABEL = 63;

/** The key under which a name is looked up: the case of ASCII letters means nothing (RFC 4343). */
export const nameKey = (name: string): string => name.toLowerCase();

/** Whether `name` is `zone` or below it. Both are keys. */
export const isWithin = (name: string, zone: string): boolean => name === zone || zone === "" || name.endsWith(`.${zone}`);

/** The name at `offset` and where it ends. */
export function readName(bytes: Buffer, offset: number): { name: string; end: number } {
  const labels: string[] = [];
  let length = 1;
  let end: number | undefined;
  let at = offset;
  // A pointer leads to what stands before it (section 4.1.4), so that following them comes to an end.
  let before = offset;
  for (;;) {
    const size = bytes[at];
    if (size === undefined) throw malformed("a name goes past the end");
    if (size === 0) break;
    if (size >= 0xc0) {
      if (at + 1 >= bytes.length) throw malformed("a pointer goes past the end");
      end ??= at + 2;
      const target = bytes.readUInt16BE(at) & 0x3fff;
      if (target >= before) throw malformed("a pointer that doesn't lead back");
      at = before = target;
      continue;
    }
    if (size > LONGEST_LABEL) throw malformed("a label of an unknown kind");
    if (at + 1 + size > bytes.length) throw malformed("a label goes past the end");
    length += size + 1;
    if (length > LONGEST_NAME) throw malformed("a name longer than 255 bytes");
    labels.push(labelText(bytes.subarray(at + 1, at + 1 + size)));
    at += 1 + size;
  }
  return { name: labels.join("."), end: end ?? at + 1 };
}

/** Writes names, each as short as what was written before allows (section 4.1.4). */
export class NameWriter {
  /** Where the end of a name (its key) stands already. */
  private readonly offsets = new Map<string, number>();

  /** The bytes of `name` for a message that is `offset` bytes long by now. */
  write(name: string, offset: number): Buffer {
    const labels = labelsOf(name);
    const parts: Buffer[] = [];
    let at = offset;
    for (let index = 0; index < labels.length; index++) {
      // As written, not by its key: a pointer must not change the case a client asked in.
      const rest = labels.slice(index).join(".");
      const known = this.offsets.get(rest);
      if (known !== undefined) {
        parts.push(Buffer.from([0xc0 | (known >> 8), known & 0xff]));
        return Buffer.concat(parts);
      }
      // What a pointer can say has 14 bits.
      if (at < 0x4000) this.offsets.set(rest, at);
      const label = labelBytes(labels[index]!);
      parts.push(Buffer.from([label.length]), label);
      at += 1 + label.length;
    }
    parts.push(Buffer.from([0]));
    return Buffer.concat(parts);
  }
}

/** Whether `name` can be written. */
export function isWritableName(name: string): boolean {
  const sizes = labelsOf(name).map((label) => labelBytes(label).length);
  return (
    sizes.every((size) => size >= 1 && size <= LONGEST_LABEL) && sizes.reduce((sum, size) => sum + size + 1, 1) <= LONGEST_NAME
  );
}

/** The texts of the labels. */
export function labelsOf(name: string): string[] {
  if (name === "") return [];
  if (!name.includes("\\")) return name.split(".");
  const labels = [...name.matchAll(/((?:[^.\\]|\\.)*)(?:\.|$)/gs)].map((match) => match[1]!);
  // The end matches once more after the last label.
  return labels.slice(0, -1);
}

/** A message that is not of the form RFC 1035 gives it. Never leaves the resolver: who sent it is told FORMERR. */
export const malformed = (why: string): Error => new Error(`not a DNS message: ${why}`);

const labelText = (bytes: Buffer): string =>
  bytes.toString("latin1").replace(/[^!-~]|[\\.]/g, (char) => {
    const code = char.charCodeAt(0);
    return code > 0x20 && code < 0x7f ? `\\${char}` : `\\${String(code).padStart(3, "0")}`;
  });

const labelBytes = (text: string): Buffer =>
  Buffer.from(
    text.replace(/\\(\d{3}|.)/gs, (_, what: string) => (what.length === 3 ? String.fromCharCode(Number(what)) : what)),
    "latin1",
  );
