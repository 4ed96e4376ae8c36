import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteQueue } from "./byte-queue.ts";

test("whatever way bytes come in and go out, they are the same bytes in the same order", () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
  const reads = fc.array(fc.record({ whole: fc.boolean(), count: fc.integer({ min: 1, max: 60 }), back: fc.boolean() }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(chunks, reads, (parts, takes) => {
      const queue = new ByteQueue();
      for (const part of parts) queue.push(Buffer.from(part));
      const all = Buffer.concat(parts);
      const out: Buffer[] = [];
      for (const { whole, count, back } of takes) {
        if (queue.length === 0) break;
        const got = whole ? queue.exactly(count) : queue.some(count);
        if (!got) {
          expect(queue.length).toBeLessThan(count);
          continue;
        }
        expect(got.length).toBeLessThanOrEqual(count);
        if (whole) expect(got.length).toBe(count);
        if (back) queue.unshift(got);
        else out.push(got);
      }
      const rest = queue.exactly(queue.length)!;
      expect(Buffer.concat([...out, rest]).equals(all)).toBe(true);
      expect(queue.length).toBe(0);
    }),
  );
});
