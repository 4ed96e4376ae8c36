import { ATTRIBUTES, EXTENSIONS, REPLIES, type Told } from "./sftp.ts";

/** Replies of SFTP version 3, as bytes: each with its length. Pure. */

const { SIZE, OWNER, MODE, TIMES, EXTENDED } = ATTRIBUTES;

/** A packet of `length` bytes after its length, type and id. */
function packet(type: number, id: number, length: number): Buffer {
  const made = Buffer.allocUnsafe(9 + length);
  made.writeUInt32BE(5 + length, 0);
  made[4] = type;
  made.writeUInt32BE(id, 5);
  return made;
}

export function versionReply(): Buffer {
  const parts = Object.entries(EXTENSIONS).flatMap(([name, version]) => [string(name), string(version)]);
  const body = Buffer.concat(parts);
  const head = packet(REPLIES.VERSION, 3, body.length);
  body.copy(head, 9);
  return head;
}

export function statusReply(id: number, status: number, message = ""): Buffer {
  const text = string(Buffer.from(message).toString("latin1"));
  const made = packet(REPLIES.STATUS, id, 4 + text.length + 4);
  made.writeUInt32BE(status, 9);
  text.copy(made, 13);
  made.writeUInt32BE(0, 13 + text.length);
  return made;
}

export function handleReply(id: number, handle: string): Buffer {
  const text = string(handle);
  const made = packet(REPLIES.HANDLE, id, text.length);
  text.copy(made, 9);
  return made;
}

/** Where the data of a {@link dataReply} begins. */
export const DATA_AT = 13;

/** For `length` bytes, to be filled in from {@link DATA_AT}; {@link cutDataReply} where there are fewer. */
export const dataReply = (id: number, length: number): Buffer => packet(REPLIES.DATA, id, 4 + length);

export function cutDataReply(reply: Buffer, length: number): Buffer {
  reply.writeUInt32BE(5 + 4 + length, 0);
  reply.writeUInt32BE(length, 9);
  return reply.subarray(0, DATA_AT + length);
}

export function attributesReply(id: number, attributes: Told): Buffer {
  const made = packet(REPLIES.ATTRS, id, lengthOf(attributes));
  putAttributes(made, 9, attributes);
  return made;
}

export interface Name {
  name: string;
  /** As `ls -l` would show it; nobody may parse it. */
  long: string;
  /** Without them (REALPATH, READLINK) it says nothing about the file. */
  attributes?: Told;
}

export function nameReply(id: number, names: readonly Name[]): Buffer {
  const length = names.reduce(
    (sum, { name, long, attributes }) => sum + 8 + name.length + long.length + (attributes ? lengthOf(attributes) : 4),
    4,
  );
  const made = packet(REPLIES.NAME, id, length);
  let at = made.writeUInt32BE(names.length, 9);
  for (const { name, long, attributes } of names) {
    for (const text of [name, long]) {
      at = made.writeUInt32BE(text.length, at);
      at += made.write(text, at, "latin1");
    }
    at = attributes ? putAttributes(made, at, attributes) : made.writeUInt32BE(0, at);
  }
  return made;
}

/** In the order of `struct statvfs`: see OpenSSH's PROTOCOL, 3.4. */
export function statvfsReply(id: number, values: readonly bigint[]): Buffer {
  const made = packet(REPLIES.EXTENDED_REPLY, id, values.length * 8);
  for (const [index, value] of values.entries()) made.writeBigUInt64BE(BigInt.asUintN(64, value), 9 + index * 8);
  return made;
}

/** One extended attribute: a count, its name, its text. */
const lengthOf = ({ extended }: Told): number => 32 + (extended ? 4 + 4 + extended[0].length + 4 + extended[1].length : 0);

function putAttributes(into: Buffer, from: number, { size, uid, gid, mode, atime, mtime, extended }: Told): number {
  const flags = SIZE | OWNER | MODE | TIMES | (extended ? EXTENDED : 0);
  let at = into.writeUInt32BE(flags >>> 0, from);
  at = into.writeBigUInt64BE(BigInt(size), at);
  for (const value of [uid, gid, mode, atime, mtime]) at = into.writeUInt32BE(Math.floor(value) >>> 0, at);
  if (!extended) return at;
  at = into.writeUInt32BE(1, at);
  for (const text of extended) at += string(text).copy(into, at);
  return at;
}

function string(text: string): Buffer {
  const made = Buffer.allocUnsafe(4 + text.length);
  made.writeUInt32BE(text.length, 0);
  made.write(text, 4, "latin1");
  return made;
}
