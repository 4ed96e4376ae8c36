import fc from "fast-check";
import { expect, test } from "vitest";
import { authorityOf, parseAuthority } from "./authority.ts";

test("what was written is read, for names and addresses of both families", () => {
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), (name, port) => {
      expect(parseAuthority(authorityOf(name, port))).toEqual({ host: name, port });
    }),
  );
});

test.each(["", "host", "host:0", "host:65536", ":80", "a b:80", "u@host:80", "::1:80", "[::1]", "host:80/x"])(
  "%j is none",
  (text) => {
    expect(parseAuthority(text)).toBeUndefined();
  },
);
