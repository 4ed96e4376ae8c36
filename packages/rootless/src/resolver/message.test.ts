import fc from "fast-check";
import { expect, test } from "vitest";
import { type Message, type ResourceRecord, readMessage, TYPE, writeMessage } from "./message.ts";
import { isWritableName, labelsOf, readName } from "./name.ts";

const label = fc
  .uint8Array({ minLength: 1, maxLength: 20 })
  .map((bytes) => readName(Buffer.from([bytes.length, ...bytes, 0]), 0).name);
const name = fc.array(label, { maxLength: 6 }).map((labels) => labels.join("."));
const bytes = fc.uint8Array({ maxLength: 40 }).map((all) => Buffer.from(all));
const u16 = fc.nat(0xffff);

const shape = fc.oneof(
  fc.record({ type: fc.constantFrom(TYPE.CNAME, TYPE.PTR, TYPE.NS), data: fc.tuple(name) }),
  fc.record({ type: fc.constant(TYPE.SRV), data: fc.tuple(fixed(6), name) }),
  fc.record({ type: fc.constant(TYPE.MX), data: fc.tuple(fixed(2), name) }),
  fc.record({ type: fc.constant(TYPE.SOA), data: fc.tuple(name, name, fixed(20)) }),
  fc.record({ type: fc.constantFrom(TYPE.A, TYPE.TXT, TYPE.OPT, 65_280), data: bytes.map((all) => (all.length > 0 ? [all] : [])) }),
);
const record: fc.Arbitrary<ResourceRecord> = fc
  .tuple(fc.record({ name, class: u16, ttl: fc.nat(0xffffffff) }), shape)
  .map(([owner, body]) => ({ ...owner, ...body }));
const message: fc.Arbitrary<Message> = fc.record({
  id: u16,
  flags: u16,
  questions: fc.array(fc.record({ name, type: u16, class: u16 }), { maxLength: 2 }),
  answers: fc.array(record, { maxLength: 5 }),
  authorities: fc.array(record, { maxLength: 3 }),
  additionals: fc.array(record, { maxLength: 3 }),
});

function fixed(length: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ minLength: length, maxLength: length }).map((all) => Buffer.from(all));
}

test("a message is read as it was written, whatever bytes its names have", () => {
  fc.assert(fc.property(message, (written) => void expect(readMessage(writeMessage(written))).toEqual(written)));
});

test("bytes of any kind are a message or are refused, and soon", () => {
  const began = performance.now();
  const read = (all: Uint8Array): void => {
    try {
      readMessage(Buffer.from(all));
    } catch (error) {
      expect((error as Error).message).toContain("not a DNS message");
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), read), { numRuns: 2_000 });
  // And those that are nearly one: a byte changed, the end cut off.
  fc.assert(
    fc.property(message, fc.nat(), fc.nat(255), fc.nat(), (one, at, value, cut) => {
      const all = writeMessage(one);
      all[at % all.length] = value;
      read(all);
      read(all.subarray(0, cut % all.length));
    }),
    { numRuns: 2_000 },
  );
  expect(performance.now() - began).toBeLessThan(15_000);
});

test.each([
  ["to itself", [0xc0, 0]],
  ["to each other", [0xc0, 2, 0xc0, 0]],
  ["forwards", [0xc0, 2, 0]],
  ["through a label back to it", [1, 97, 0xc0, 0]],
])("a pointer that leads %s is refused", (_, all) => {
  for (let at = 0; at < all.length; at++) {
    try {
      readName(Buffer.from(all), at);
    } catch (error) {
      expect((error as Error).message).toContain("not a DNS message");
    }
  }
  expect(() => readName(Buffer.from(all), 0)).toThrow("not a DNS message");
});

test("the largest message of pointers is read in a moment", () => {
  // Each name is a label and a pointer to the one before: by itself the last would have 16,000 labels.
  const chain = Buffer.alloc(0x4000);
  chain.write("\x01a\0", 0, "latin1");
  for (let at = 3, before = 0; at + 4 < chain.length; before = at, at += 4) {
    chain.set([1, 97, 0xc0 | (before >> 8), before & 255], at);
  }
  expect(() => readName(chain, 0x3ff3)).toThrow("longer than 255 bytes");
});

test("names that differ just in how their labels are cut are not the same", () => {
  const { name: one } = readName(Buffer.from("\x03a.b\x01c\0", "latin1"), 0);
  const { name: other } = readName(Buffer.from("\x01a\x01b\x01c\0", "latin1"), 0);
  expect([one, other]).toEqual(["a\\.b.c", "a.b.c"]);
  expect(labelsOf(one)).toEqual(["a\\.b", "c"]);
});

test("what can't be written is known before", () => {
  expect(["a.b", "", "a".repeat(63), "a\\.b"].map(isWritableName)).toEqual([true, true, true, true]);
  expect(["a..b", ".a", "a".repeat(64), Array(64).fill("abc").join(".")].map(isWritableName)).toEqual([false, false, false, false]);
});

test("a name that is there already takes two bytes", () => {
  const answers = Array.from({ length: 28 }, (_, index) => ({
    name: "db.shop.svc.cluster.local",
    type: TYPE.A,
    class: 1,
    ttl: 5,
    data: [Buffer.from([10, 244, 1, index])],
  }));
  const questions = [{ name: "db.shop.svc.cluster.local", type: TYPE.A, class: 1 }];
  const all = writeMessage({ id: 1, flags: 0, questions, answers, authorities: [], additionals: [] });
  expect(all.length).toBe(12 + 27 + 4 + 28 * 16);
});
