import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeRequest, framed } from "./fixtures/client.ts";
import { frameReader, LONGEST_FRAME } from "./frames.ts";
import { nameReply } from "./replies.ts";
import { BadFrame, parseRequest, type Request } from "./sftp.ts";

const id = fc.nat(0xffff_ffff);
const byteString = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
const path = byteString.map((text) => text.replaceAll("\0", "x"));
const uint32 = fc.nat(0xffff_ffff);
const uint64 = fc.nat(Number.MAX_SAFE_INTEGER);
const owner = fc.option(fc.record({ uid: uint32, gid: uint32 }), { nil: {} });
const times = fc.option(fc.record({ atime: uint32, mtime: uint32 }), { nil: {} });
const attributes = fc
  .tuple(fc.option(fc.record({ size: uint64 }), { nil: {} }), owner, fc.option(fc.record({ mode: uint32 }), { nil: {} }), times)
  .map((parts) => Object.assign({}, ...parts));

const request = fc.oneof(
  fc.record({ id, type: fc.constant("open"), path, flags: uint32, attributes }),
  fc.record({ id, type: fc.constantFrom("close", "fstat", "readdir", "fsync"), handle: byteString }),
  fc.record({ id, type: fc.constant("read"), handle: byteString, offset: uint64, length: uint32 }),
  fc.record({
    id,
    type: fc.constant("write"),
    handle: byteString,
    offset: uint64,
    data: fc.uint8Array({ maxLength: 5_000 }).map((bytes) => Buffer.from(bytes)),
  }),
  fc.record({
    id,
    type: fc.constantFrom("lstat", "stat", "opendir", "remove", "rmdir", "realpath", "readlink", "statvfs"),
    path,
  }),
  fc.record({ id, type: fc.constantFrom("setstat", "mkdir"), path, attributes }),
  fc.record({ id, type: fc.constant("fsetstat"), handle: byteString, attributes }),
  fc.record({ id, type: fc.constantFrom("rename", "posixRename", "hardlink"), from: path, to: path }),
  fc.record({ id, type: fc.constant("symlink"), target: path, path }),
  fc.record({ id, type: fc.constant("replace"), from: path, to: path, keep: path, expected: byteString }),
  fc.record({ id, type: fc.constantFrom("stamps", "stats", "unknown") }),
  fc.record({ id, type: fc.constant("utimes"), handle: byteString, path, atime: byteString, mtime: byteString }),
) as fc.Arbitrary<Request>;

test("what a client says is what is read", () => {
  fc.assert(
    fc.property(request, (said) => {
      expect(parseRequest(encodeRequest(said))).toEqual(said);
    }),
  );
});

test("packets come out as they went in, however the stream was cut", () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1 }), (all, cuts) => {
      const bytes = Buffer.concat(all.map((each) => framed(encodeRequest(each))));
      const reader = frameReader();
      const found: Request[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const length = cuts[turn % cuts.length]!;
        // A WRITE's data is a view of the packet, which is of this push only.
        for (const frame of reader.push(bytes.subarray(at, at + length))) found.push(parseRequest(Buffer.from(frame)));
        at += length;
      }
      expect(found).toEqual(all);
    }),
  );
});

test("a packet in pieces is whole, after a longer one and after a shorter one", () => {
  const sizes = [10, 100_000, 3, LONGEST_FRAME - 100, 40_000, 0];
  const all = sizes.map((size, id): Request => ({ id, type: "write", handle: "h", offset: id, data: Buffer.alloc(size, id + 1) }));
  const bytes = Buffer.concat(all.map((each) => framed(encodeRequest(each))));
  for (const piece of [7, 65_536]) {
    const reader = frameReader();
    const found: Request[] = [];
    for (let at = 0; at < bytes.length; at += piece) {
      for (const frame of reader.push(bytes.subarray(at, at + piece))) found.push(parseRequest(Buffer.from(frame)));
    }
    expect(found).toEqual(all);
  }
});

test("bytes that are no request are refused, and in no other way", () => {
  const some = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  const damaged = fc.tuple(request, fc.nat(), fc.nat(255), fc.nat()).map(([said, at, value, cut]) => {
    const packet = encodeRequest(said);
    packet[1 + (at % (packet.length - 1))] = value;
    return packet.subarray(0, 1 + (cut % packet.length));
  });
  fc.assert(
    fc.property(fc.oneof(some, damaged), (packet) => {
      try {
        parseRequest(packet);
      } catch (error) {
        expect(error).toBeInstanceOf(BadFrame);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("a length that no client has is refused before anything is kept for it", () => {
  for (const length of [0, LONGEST_FRAME + 1, 0xffff_ffff]) {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    expect(() => [...frameReader().push(head)]).toThrow(BadFrame);
  }
});

test("a page of the longest names fits a packet", () => {
  const attributes = { size: 2 ** 53 - 1, uid: 0, gid: 0, mode: 0o100644, atime: 0, mtime: 0 };
  const names = Array.from({ length: 128 }, () => ({ name: "n".repeat(255), long: "n".repeat(255), attributes }));
  expect(nameReply(1, names).length).toBeLessThan(LONGEST_FRAME);
});
