import fc from "fast-check";
import { expect, test } from "vitest";
import { INIT_FLAGS, LARGEST_IO, OUT_HEADER } from "./protocol.ts";
import { attributesReply, directoryReply, entryReply, errorReply, initReply } from "./replies.ts";

const attributes = { size: 5_000_000_001, mode: 0o100640, uid: 11, gid: 12, atime: 100, mtime: 200 };

test("lengths are the protocol's, and an error is a negative number", () => {
  const entry = { node: 9, attributes, seconds: 2.5, namedSeconds: 1.5 };
  // `sizeof` of fuse_out_header with fuse_entry_out, and with fuse_attr_out.
  expect(entryReply(3, entry)).toHaveLength(16 + 128);
  expect(attributesReply(3, entry)).toHaveLength(16 + 104);
  const told = entryReply(3, entry);
  expect([told.readUInt32LE(0), told.readBigUInt64LE(8), told.readBigUInt64LE(16)]).toEqual([144, 3n, 9n]);
  expect([told.readBigUInt64LE(OUT_HEADER + 16), told.readUInt32LE(OUT_HEADER + 32)]).toEqual([1n, 500_000_000]);
  expect([told.readBigUInt64LE(OUT_HEADER + 24), told.readUInt32LE(OUT_HEADER + 36)]).toEqual([2n, 500_000_000]);
  expect(told.readBigUInt64LE(OUT_HEADER + 40 + 8)).toBe(5_000_000_001n);
  expect(errorReply(3, "ENOENT").readInt32LE(4)).toBe(-2);
});

test("the kernel is bound to nothing but the largest request, and asked for nothing that it doesn't have", () => {
  const told = initReply(1, { flags: INIT_FLAGS.ASYNC_READ | INIT_FLAGS.MAX_PAGES });
  // `sizeof` of fuse_init_out.
  expect(told).toHaveLength(OUT_HEADER + 64);
  // The kernel takes the least of this and what root has set, whenever that was: before this answer, or after it.
  expect(told.readUInt32LE(OUT_HEADER + 8)).toBeGreaterThanOrEqual(64 * LARGEST_IO);
  expect(told.readUInt32LE(OUT_HEADER + 12)).toBe(INIT_FLAGS.ASYNC_READ | INIT_FLAGS.MAX_PAGES);
});

test("a directory comes out as it went in, however little room an answer has", () => {
  const names = fc.array(
    fc.uint8Array({ minLength: 1, maxLength: 255 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(names, fc.integer({ min: 128 + 24 + 256, max: 4096 }), fc.boolean(), (all, size, plus) => {
      const asked: number[] = [];
      const entry = (index: number) => {
        asked.push(index);
        return { node: index + 2, attributes, seconds: 1, namedSeconds: 1 };
      };
      const listing = {
        length: all.length,
        at: (index: number) => ({ name: all[index]!, mode: 0o100644 }),
        ...(plus && { entry }),
      };
      const found: string[] = [];
      for (;;) {
        const reply = directoryReply(1, listing, { from: found.length, size });
        expect(reply.readUInt32LE(0)).toBe(reply.length);
        expect(reply.length - OUT_HEADER).toBeLessThanOrEqual(size);
        let at = OUT_HEADER;
        if (at === reply.length) break;
        while (at < reply.length) {
          const dirent = at + (plus ? 128 : 0);
          const length = reply.readUInt32LE(dirent + 16);
          expect(reply.readBigUInt64LE(dirent + 8)).toBe(BigInt(found.length + 1));
          found.push(reply.toString("latin1", dirent + 24, dirent + 24 + length));
          at = dirent + ((24 + length + 7) & ~7);
        }
      }
      expect(found).toEqual(all);
      // What had no room was not promised to the kernel.
      if (plus) expect(asked).toEqual(all.map((_, index) => index));
    }),
  );
});
