import { gzipSync } from "node:zlib";
import type { ShipsideError } from "@shipside/core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { FILTER_KEYS, type FilterTerm, formatFilter, matchesFilter, parseFilter } from "./filter.ts";
import { makeExchange } from "./fixtures/exchange.ts";

const free = FILTER_KEYS.filter((key) => !["status", "is", "larger", "slower", "header"].includes(key));
const value = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const term: fc.Arbitrary<FilterTerm> = fc.record({
  key: fc.constantFrom(...free),
  values: fc.array(value, { minLength: 1, maxLength: 3 }),
  negated: fc.boolean(),
});

it("reads what it writes", () => {
  fc.assert(
    fc.property(fc.array(term, { maxLength: 4 }), (terms) => {
      expect(parseFilter(formatFilter({ terms }))).toEqual({ terms });
    }),
  );
});

it("answers any text with a filter or a coded error", () => {
  const exchange = makeExchange();
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom("a", ":", "-", "|", '"', "\\", " ", "=", "status", "5") })),
      (text) => {
        try {
          matchesFilter(parseFilter(text), exchange);
        } catch (error) {
          expect((error as ShipsideError).code).toBe("INSPECTOR_FILTER_INVALID");
          expect((error as ShipsideError).hint).toBeTruthy();
        }
      },
    ),
  );
});

it("negation is the opposite, and more terms never find more", () => {
  const exchange = makeExchange({ path: "/abc", responseBody: "hello" });
  fc.assert(
    fc.property(term, term, (one, two) => {
      const holds = matchesFilter({ terms: [one] }, exchange);
      expect(matchesFilter({ terms: [{ ...one, negated: !one.negated }] }, exchange)).toBe(!holds);
      if (!holds) expect(matchesFilter({ terms: [one, two] }, exchange)).toBe(false);
    }),
  );
});

const exchange = makeExchange({
  method: "POST",
  path: "/api/carts?x=1",
  status: 503,
  requestHeaders: [
    ["Host", "shop.local"],
    ["X-User", "alice"],
  ],
  responseHeaders: [
    ["Content-Type", "application/json"],
    ["Content-Encoding", "gzip"],
  ],
  responseBody: gzipSync('{"error":"not found here"}'),
});

it.each([
  ["status:5xx", true],
  ["status:500-599", true],
  ["status:4xx|503", true],
  ["-status:5xx", false],
  ["method:get|post", true],
  ["path:/API", true],
  ["header:x-user=ALICE", true],
  ["header:x-user", true],
  ["header:x-user=bob", false],
  ['body:"not found"', true],
  ["type:json method:POST path:/api", true],
  ["carts 503", true],
  ["larger:1k", false],
  ["slower:4ms", true],
  ["is:done -is:pinned", true],
  ["", true],
  ["host:shop path:/nowhere", false],
])("%s → %s", (text, found) => {
  expect(matchesFilter(parseFilter(text), exchange)).toBe(found);
});

it.each(["status:abc", 'path:"open', "is:green", "larger:big", "slower:x", "header:=x", "path:"])(
  "says what is wrong with %s",
  (text) => {
    expect(() => parseFilter(text)).toThrow(expect.objectContaining({ code: "INSPECTOR_FILTER_INVALID" }));
  },
);
