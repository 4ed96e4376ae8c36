import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeMatch, INTERCEPT_HEADER, markingHeaders, parseMatch } from "./match.ts";

const me = { user: "alice", key: "alice-4f9a2c" };

describe("parseMatch", () => {
  test("nothing said: the header with the user's name", () => {
    expect(parseMatch({}, me)).toEqual({ headers: [{ name: INTERCEPT_HEADER, value: "alice" }] });
    expect(parseMatch({}, { ...me, user: "Ålice B\n" })).toEqual({ headers: [{ name: INTERCEPT_HEADER, value: "-lice-B-" }] });
  });

  test("--user: the value that is this developer's alone", () => {
    expect(parseMatch({ user: true, path: "/a" }, me)).toEqual({
      headers: [{ name: INTERCEPT_HEADER, value: "alice-4f9a2c" }],
      path: { exact: "/a" },
    });
  });

  test.each([
    ["k: v", { name: "k", value: "v" }],
    ["X-User:foo", { name: "x-user", value: "foo" }],
    ["x-user=foo", { name: "x-user", value: "foo" }],
    ["a: b: c~d", { name: "a", value: "b: c~d" }],
    ["empty:", { name: "empty", value: "" }],
    ["k~^v[0-9]+$", { name: "k", regex: "^v[0-9]+$" }],
  ])("header %j", (text, header) => {
    expect(parseMatch({ headers: [text] }, me)).toEqual({ headers: [header] });
  });

  test.each([
    ["/cart", { exact: "/cart" }],
    ["/cart*", { prefix: "/cart" }],
    ["/*", { prefix: "/" }],
    ["~^/v[12]/", { regex: "^/v[12]/" }],
  ])("path %j", (text, path) => {
    expect(parseMatch({ path: text }, me)).toEqual({ path });
  });

  test("methods, baggage", () => {
    expect(parseMatch({ methods: ["get", "POST"], baggage: ["user=alice=b", "t= x y "] }, me)).toEqual({
      methods: ["GET", "POST"],
      baggage: [
        { key: "user", value: "alice=b" },
        { key: "t", value: "x y" },
      ],
    });
  });

  test.each([
    { headers: ["no header"] },
    { headers: [": v"] },
    { headers: ["k: a\nb"] },
    { headers: ["k~["] },
    { headers: ["k~"] },
    { path: "cart" },
    { path: "/a*b" },
    { path: "/a?b=c" },
    { path: "" },
    { path: "~(" },
    { methods: ["G ET"] },
    { baggage: ["novalue"] },
    { baggage: ["=v"] },
    { all: true, path: "/" },
    { all: true, user: true },
  ])("%j is refused, with what it should look like", (words) => {
    expect(() => parseMatch(words, me)).toThrow(
      expect.objectContaining({ code: "PROXY_OPTION_INVALID", hint: expect.any(String) }),
    );
  });

  test("any header that is taken has a name in lower case and a value without line ends", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        let match: ReturnType<typeof parseMatch>;
        try {
          match = parseMatch({ headers: [text] }, me);
        } catch (error) {
          return (error as { code?: string }).code === "PROXY_OPTION_INVALID";
        }
        const header = match.headers![0]!;
        return header.name === header.name.toLowerCase() && ("regex" in header || !/[\r\n\0]/.test(header.value));
      }),
    );
  });
});

test("a match in words, and the headers that make a request one", () => {
  const match = parseMatch({ headers: ["k: v", "l~x"], baggage: ["a=b c"], path: "/p*", methods: ["GET", "PUT"] }, me);
  expect(describeMatch(match)).toBe("requests with k: v and l matching /x/ and baggage a=b c and path /p* and method GET or PUT");
  expect(markingHeaders(match)).toEqual({ k: "v", baggage: "a=b%20c" });
  expect(describeMatch({ all: true })).toBe("every request and connection");
});
