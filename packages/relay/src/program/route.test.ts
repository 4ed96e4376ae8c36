import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Match } from "../protocol.ts";
import { parseBaggage } from "./baggage.ts";
import { compileMatch, overlaps, pathOf, type RequestFacts, takesAll } from "./route.ts";

interface Given extends Partial<Omit<RequestFacts, "values">> {
  headers?: ReadonlyArray<readonly [name: string, value: string]>;
}
const facts = ({ headers = [], ...given }: Given = {}): RequestFacts => ({
  ...{ method: "GET", target: "/", ...given },
  values: (name) => headers.filter((header) => header[0] === name).map(([, value]) => value),
});
const holds = (match: Match, given: Given = {}): boolean => compileMatch(match)(facts(given));

const value = fc.constantFrom("", "a", "b", "ab", "a,b");
const path = fc.constantFrom("/", "/a", "/a/b", "/ab", "/b");
const pattern = fc.constantFrom("a", "^a", "^/a", "b$", "^$", ".", "[ab]b");
const match: fc.Arbitrary<Match> = fc.record(
  {
    all: fc.constant(true as const),
    methods: fc.subarray(["GET", "POST", "PUT"], { minLength: 1 }),
    path: fc.oneof(
      path.map((exact) => ({ exact })),
      path.map((prefix) => ({ prefix })),
      pattern.map((regex) => ({ regex })),
    ),
    headers: fc.array(
      fc.oneof(
        fc.record({ name: fc.constantFrom("x-a", "X-A", "x-b"), value }),
        fc.record({ name: fc.constantFrom("x-a", "x-b"), regex: pattern }),
      ),
      { maxLength: 2 },
    ),
    baggage: fc.array(fc.record({ key: fc.constantFrom("k", "l"), value: fc.constantFrom("1", "ü ,") }), { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const request: fc.Arbitrary<RequestFacts> = fc
  .record({
    method: fc.constantFrom("GET", "POST", "PUT"),
    target: fc.tuple(path, fc.constantFrom("", "?q=/b")).map((parts) => parts.join("")),
    a: fc.option(value),
    b: fc.option(value),
    k: fc.option(fc.constantFrom("1", "ü ,")),
  })
  .map(({ method, target, a, b, k }) =>
    facts({
      method,
      target,
      headers: [
        ...(a === null ? [] : [["x-a", a] as const]),
        ...(b === null ? [] : [["x-b", b] as const]),
        ...(k === null ? [] : [["baggage", `z=1, k = ${encodeURIComponent(k)};p=1`] as const]),
      ],
    }),
  );

describe("compileMatch", () => {
  test("each kind of condition", () => {
    expect(holds({ all: true })).toBe(true);
    expect(holds({ headers: [{ name: "X-Who", value: "me" }] }, { headers: [["x-who", "me"]] })).toBe(true);
    expect(holds({ headers: [{ name: "x-who", value: "me" }] }, { headers: [["x-who", "Me"]] })).toBe(false);
    expect(
      holds(
        { headers: [{ name: "x-who", value: "me" }] },
        {
          headers: [
            ["x-who", "you"],
            ["x-who", "me"],
          ],
        },
      ),
    ).toBe(true);
    expect(
      holds(
        {
          headers: [
            { name: "x-who", regex: "^m" },
            { name: "x-b", regex: "." },
          ],
        },
        { headers: [["x-who", "me"]] },
      ),
    ).toBe(false);
    expect(holds({ path: { exact: "/a" } }, { target: "/a?b" })).toBe(true);
    expect(holds({ path: { exact: "/a" } }, { target: "http://host/a" })).toBe(true);
    expect(holds({ path: { prefix: "/a" } }, { target: "/b/a" })).toBe(false);
    expect(holds({ path: { regex: "/v[12]/" } }, { target: "/api/v2/x" })).toBe(true);
    expect(holds({ methods: ["POST"] })).toBe(false);
    expect(
      holds({ baggage: [{ key: "user", value: "jo doe" }] }, { headers: [["baggage", "a=1;x, user = jo%20doe ;ttl=3"]] }),
    ).toBe(true);
  });

  test("conditions are ANDed: a match holds exactly where each of them does", () => {
    fc.assert(
      fc.property(match, request, (all, given) => {
        const parts: Match[] = [
          ...(all.methods ? [{ methods: all.methods }] : []),
          ...(all.path ? [{ path: all.path }] : []),
          ...(all.headers ?? []).map((header) => ({ headers: [header] })),
          ...(all.baggage ?? []).map((entry) => ({ baggage: [entry] })),
        ];
        expect(compileMatch(all)(given)).toBe(parts.every((part) => compileMatch(part)(given)));
      }),
    );
  });
});

describe("overlaps", () => {
  test("what two leases could both match is said to overlap, either way round", () => {
    fc.assert(
      fc.property(match, match, request, (a, b, given) => {
        expect(overlaps(a, b)).toBe(overlaps(b, a));
        if (compileMatch(a)(given) && compileMatch(b)(given)) expect(overlaps(a, b)).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  test("developers who tell each other apart by one value are no conflict", () => {
    const user = (name: string): Match => ({ headers: [{ name: "x-user", value: name }] });
    expect(overlaps(user("a"), user("b"))).toBe(false);
    expect(overlaps(user("a"), user("a"))).toBe(true);
    expect(overlaps(user("a"), { headers: [{ name: "X-User", regex: "^[bc]$" }] })).toBe(false);
    expect(overlaps(user("a"), { headers: [{ name: "x-other", value: "a" }] })).toBe(true);
    expect(overlaps(user("a"), { all: true })).toBe(true);
    expect(overlaps({ baggage: [{ key: "u", value: "a" }] }, { baggage: [{ key: "u", value: "b" }] })).toBe(false);
    expect(overlaps({ path: { prefix: "/a/" } }, { path: { prefix: "/b/" } })).toBe(false);
    expect(overlaps({ path: { prefix: "/a/" } }, { path: { exact: "/a" } })).toBe(false);
    expect(overlaps({ methods: ["GET"] }, { methods: ["POST"] })).toBe(false);
  });
});

test.each([
  ["/", "/"],
  ["/a?b#c", "/a"],
  ["?x", "/"],
  ["*", "*"],
  ["http://h", "/"],
  ["http://h:80?x", "/"],
  ["HTTPS://h/a/b?c", "/a/b"],
  ["//h/a", "//h/a"],
  ["h:443", "h:443"],
])("the path of %s is %s", (target, expected) => {
  expect(pathOf(target)).toBe(expected);
});

test("only a match of nothing but all takes everything", () => {
  expect(takesAll({ all: true })).toBe(true);
  expect(takesAll({ all: true, methods: ["GET"] })).toBe(false);
  expect(takesAll({ headers: [] })).toBe(false);
});

describe("parseBaggage", () => {
  test("entries over several lines, with properties, spaces and escapes", () => {
    expect(parseBaggage(["a=1,b = two words ;p;q=2", "c=%E2%82%AC,,=x,bare,d=a=b,e=%zz"])).toEqual([
      ["a", "1"],
      ["b", "two words"],
      ["c", "€"],
      ["d", "a=b"],
      ["e", "%zz"],
    ]);
  });

  test("what was encoded comes back", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.stringMatching(/^[a-z]+$/), fc.string({ unit: "grapheme" })), { maxLength: 5 }),
        (entries) => {
          const line = entries.map(([key, text]) => `${key}=${encodeURIComponent(text)};prop`).join(" , ");
          expect(parseBaggage([line])).toEqual(entries);
        },
      ),
    );
  });
});
