import fc from "fast-check";
import { expect, test } from "vitest";
import { IN_HEADER, OPCODES } from "./protocol.ts";
import { BadRequest, parseRequest } from "./requests.ts";

/** As the kernel lays a request out: numbers of 4 (plain) and 8 bytes (bigint), and texts that a NUL ends. */
function encode(opcode: number, { unique = 2, node = 1 } = {}, ...fields: Array<number | bigint | string | Uint8Array>): Buffer {
  const parts = fields.map((field) => {
    if (typeof field === "string") return Buffer.from(`${field}\0`, "latin1");
    if (typeof field === "object") return Buffer.from(field);
    const made = Buffer.alloc(typeof field === "number" ? 4 : 8);
    if (typeof field === "number") made.writeUInt32LE(field);
    else made.writeBigUInt64LE(BigInt.asUintN(64, field));
    return made;
  });
  const head = Buffer.alloc(IN_HEADER);
  head.writeUInt32LE(opcode, 4);
  head.writeBigUInt64LE(BigInt(unique), 8);
  head.writeBigUInt64LE(BigInt(node), 16);
  const whole = Buffer.concat([head, ...parts]);
  whole.writeUInt32LE(whole.length, 0);
  return whole;
}

const uint32 = fc.nat(0xffff_ffff);
const uint64 = fc.nat(Number.MAX_SAFE_INTEGER);
const name = fc
  .uint8Array({ minLength: 1, maxLength: 255 })
  .map((bytes) => Buffer.from(bytes).toString("latin1").replaceAll("\0", "x"));
const to = fc.record({ unique: uint64, node: uint64 });

test("what the kernel says is what is read", () => {
  const reads = (bytes: Buffer, expected: object): void => expect(parseRequest(bytes)).toEqual(expected);
  fc.assert(
    fc.property(
      to,
      name,
      name,
      uint32,
      uint64,
      uint64,
      fc.uint8Array({ maxLength: 5_000 }),
      (where, one, other, word, wide, long, data) => {
        const [big, bigger] = [BigInt(wide), BigInt(long)];
        reads(encode(OPCODES.LOOKUP, where, one), { ...where, type: "lookup", name: one });
        reads(encode(OPCODES.SYMLINK, where, one, other), { ...where, type: "symlink", name: one, target: other });
        reads(encode(OPCODES.MKDIR, where, word, 0, one), { ...where, type: "mkdir", mode: word, name: one });
        reads(encode(OPCODES.CREATE, where, word, 0o644, 0, 0, one), {
          ...where,
          type: "create",
          flags: word,
          mode: 0o644,
          name: one,
        });
        reads(encode(OPCODES.LINK, where, big, one), { ...where, type: "link", existing: wide, name: one });
        const renamed = { ...where, type: "rename", newParent: wide, name: one, newName: other };
        reads(encode(OPCODES.RENAME, where, big, one, other), { ...renamed, flags: 0 });
        reads(encode(OPCODES.RENAME2, where, big, word, 0, one, other), { ...renamed, flags: word });
        const read = { ...where, handle: wide, offset: long, size: word };
        reads(encode(OPCODES.READ, where, big, bigger, word, 0, 0n, 0, 0), { ...read, type: "read" });
        reads(encode(OPCODES.READDIRPLUS, where, big, bigger, word, 0, 0n, 0, 0), { ...read, type: "readdirplus" });
        for (const flags of [0, 1, 5]) {
          const written = encode(OPCODES.WRITE, where, big, bigger, data.length, flags, 0n, 0, 0, data);
          const ofMemory = flags !== 0;
          reads(written, { ...where, type: "write", handle: wide, offset: long, data: Buffer.from(data), ofMemory });
        }
        reads(encode(OPCODES.BATCH_FORGET, where, 2, 0, big, 3n, bigger, 1n), {
          ...where,
          type: "forget",
          forgotten: [
            { node: wide, lookups: 3 },
            { node: long, lookups: 1 },
          ],
        });
      },
    ),
  );
});

test("of a file's changes those are read that are meant, times before 1970 too", () => {
  const setattr = (valid: number): Buffer =>
    encode(OPCODES.SETATTR, {}, valid, 0, 7n, 5_000_000_000n, 0n, -3n, 200n, 0n, 500_000_000, 0, 0, 0o600, 0, 11, 12, 0);
  const of = (valid: number): unknown => {
    const { changes, handle } = parseRequest(setattr(valid)) as { changes: object; handle?: number };
    return [changes, handle];
  };
  expect(of(1)).toEqual([{ mode: 0o600 }, undefined]);
  expect(of(2 | 4)).toEqual([{ uid: 11, gid: 12 }, undefined]);
  expect(of(8 | 64)).toEqual([{ size: 5_000_000_000 }, 7]);
  expect(of(16 | 32)).toEqual([{ atime: -2.5, mtime: 200 }, undefined]);
  expect(of(16 | 32 | 128 | 256)).toEqual([{ atime: "now", mtime: "now" }, undefined]);
});

test("bytes that are no request are refused, and in no other way", () => {
  const opcode = fc.oneof(fc.constantFrom(...Object.values(OPCODES)), fc.nat(60));
  fc.assert(
    fc.property(opcode, fc.uint8Array({ maxLength: 120 }), fc.nat(160), (code, rest, cut) => {
      const whole = encode(code, {}, rest);
      for (const bytes of [whole, whole.subarray(0, cut), Buffer.from(rest)]) {
        try {
          parseRequest(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(BadRequest);
        }
      }
    }),
    { numRuns: 1_000 },
  );
});
