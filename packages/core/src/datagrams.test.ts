import fc from "fast-check";
import { expect, test } from "vitest";
import { datagramReader, encodeDatagram } from "./datagrams.ts";

test("datagrams come out as they went in, however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), fc.array(fc.integer({ min: 1, max: 50 })), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(encodeDatagram));
      const read = datagramReader();
      const got: Buffer[] = [];
      let at = 0;
      for (let i = 0; at < bytes.length; i++) {
        const next = at + (cuts[i % (cuts.length || 1)] ?? bytes.length);
        got.push(...read(bytes.subarray(at, next)));
        at = next;
      }
      expect(got.map((datagram) => [...datagram])).toEqual(sent.map((datagram) => [...datagram]));
    }),
  );
});
