import fc from "fast-check";
import { expect, test } from "vitest";
import { lineReader, parseHello, parseRequest, parseResponse } from "./protocol.ts";

test("messages come out as they went in, however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (messages, cuts) => {
      const stream = Buffer.from(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
      const seen: unknown[] = [];
      const read = lineReader((message) => seen.push(message));
      for (let at = 0, i = 0; at < stream.length; i++) {
        const n = cuts[i % cuts.length]!;
        read(stream.subarray(at, at + n));
        at += n;
      }
      expect(seen).toEqual(JSON.parse(JSON.stringify(messages)));
    }),
  );
});

test("a line without end is refused instead of kept", () => {
  const read = lineReader(() => {}, 10);
  read(Buffer.from("123456789"));
  expect(() => read(Buffer.from("0123"))).toThrow(/longer than 10/);
});

test("no parser throws, and none takes a stranger for its own", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(parseHello(value)).toBeUndefined();
      parseRequest(value);
      parseResponse(value);
    }),
  );
});

test("a hello of another version is understood", () => {
  expect(parseHello({ shipside: { protocol: 9, version: "3.0.0", pid: 1, kind: "something new", more: true } })).toEqual({
    protocol: 9,
    version: "3.0.0",
    pid: 1,
    kind: "daemon",
  });
});
