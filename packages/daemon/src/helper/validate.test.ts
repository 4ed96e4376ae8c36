import fc from "fast-check";
import { expect, test } from "vitest";
import { LIMITS } from "./requests.ts";
import { isPoolAddress, validate } from "./validate.ts";

const entry = { address: "127.72.0.1", names: ["leaf"] };

test.each([
  { id: 1, op: "hello" },
  { id: 1, op: "listen", address: "127.72.0.1", port: 0 },
  { id: 1, op: "listen", address: "127.255.0.1", port: 65_535 },
  { id: 1, op: "unlisten", address: "127.0.0.2", port: 1 },
  { id: 1, op: "bind", address: "127.72.0.1", port: 0 },
  { id: 1, op: "unbind", address: "127.0.0.2", port: 53 },
  { id: 1, op: "hosts.apply", entries: [] },
  { id: 1, op: "hosts.apply", entries: [entry, { address: "127.72.0.2", names: ["a", "a.b.svc.cluster.local"] }] },
  { id: Number.MAX_SAFE_INTEGER, op: "hosts.restore" },
  { id: 1, op: "bye" },
])("takes %j as it is, built anew", (message) => {
  const verdict = validate(message);
  expect(verdict).toEqual({ request: message });
  expect((verdict as { request: unknown }).request).not.toBe(message);
});

const cyclic: Record<string, unknown> = { id: 1, op: "hosts.apply" };
cyclic["entries"] = [cyclic];
const deep = JSON.parse(`${'{"entries":['.repeat(5_000)}${"]}".repeat(5_000)}`) as unknown;
const proxy = new Proxy({}, { ownKeys: () => Reflect.ownKeys({ get: 1 }), get: () => process.exit(1) });
const thrower = {
  id: 1,
  get op(): string {
    throw new Error("no");
  },
};
/** Says one thing when it is looked at, and another when it is used. */
const turncoat = () => {
  let looked = 0;
  return Object.defineProperty({ id: 1, op: "listen", port: 80 }, "address", {
    enumerable: true,
    get: () => (looked++ === 0 ? "127.72.0.1" : "10.0.0.1"),
  });
};

test.each<[string, unknown]>([
  ["no object", "hello"],
  ["null", null],
  ["a list", [{ id: 1, op: "hello" }]],
  ["a function", () => {}],
  ["no id", { op: "hello" }],
  ["an id that is no number", { id: "1", op: "hello" }],
  ["an id that is none", { id: 0, op: "hello" }],
  ["an unknown op", { id: 1, op: "exec" }],
  ["an op of Object's", { id: 1, op: "constructor" }],
  ["an op in a list", { id: 1, op: ["hello"] }],
  ["one field too many", { id: 1, op: "hello", path: "/etc/shadow" }],
  ["one field too few", { id: 1, op: "listen", address: "127.72.0.1" }],
  ["a field for a prototype", JSON.parse('{"id":1,"op":"hello","__proto__":{"admin":true}}')],
  ["an op that is inherited", Object.assign(Object.create({ op: "bye" }), { id: 1 })],
  ["127.0.0.1", { id: 1, op: "listen", address: "127.0.0.1", port: 80 }],
  ["an address outside", { id: 1, op: "listen", address: "10.0.0.1", port: 80 }],
  ["an address outside, for UDP", { id: 1, op: "bind", address: "10.0.0.1", port: 53 }],
  ["a port of none to give back", { id: 1, op: "unbind", address: "127.72.0.1", port: 0 }],
  ["an address in another form", { id: 1, op: "listen", address: "127.1", port: 80 }],
  ["an address with a zero before", { id: 1, op: "listen", address: "127.072.0.1", port: 80 }],
  ["a mapped address", { id: 1, op: "listen", address: "::ffff:127.72.0.1", port: 80 }],
  ["an address with a line end", { id: 1, op: "listen", address: "127.72.0.1\n", port: 80 }],
  ["a port as text", { id: 1, op: "listen", address: "127.72.0.1", port: "80" }],
  ["a port too high", { id: 1, op: "listen", address: "127.72.0.1", port: 65_536 }],
  ["entries that only look like a list", { id: 1, op: "hosts.apply", entries: { length: 1, 0: entry } }],
  ["an entry with more", { id: 1, op: "hosts.apply", entries: [{ ...entry, comment: "# x" }] }],
  ["no names", { id: 1, op: "hosts.apply", entries: [{ ...entry, names: [] }] }],
  ["a name with a line end", { id: 1, op: "hosts.apply", entries: [{ ...entry, names: ["a\n10.0.0.1 evil"] }] }],
  ["localhost", { id: 1, op: "hosts.apply", entries: [{ ...entry, names: ["localhost"] }] }],
  ["below localhost", { id: 1, op: "hosts.apply", entries: [{ ...entry, names: ["a.LocalHost"] }] }],
  ["a name that is an address to some", { id: 1, op: "hosts.apply", entries: [{ ...entry, names: ["127.1"] }] }],
  ["a hole in a list", { id: 1, op: "hosts.apply", entries: new Array(3) }],
  ["what holds itself", cyclic],
  ["what is deep", deep],
  ["a proxy", proxy],
  ["a getter that throws", thrower],
  ["ready and more", { ready: true, id: 1 }],
  ["ready that isn't", { ready: 1 }],
  ["an error without a code", { error: { message: "x" } }],
])("refuses %s", (_what, message) => {
  expect(validate(message)).toMatchObject({ refused: expect.any(String), code: "HELPER_REFUSED" });
});

test("what is too large is refused before it is looked through", () => {
  const apply = (entries: unknown): unknown => validate({ id: 7, op: "hosts.apply", entries });
  const limit = { code: "HELPER_LIMIT", id: 7 };
  expect(apply(new Array(LIMITS.entries + 1))).toMatchObject(limit);
  expect(apply([{ ...entry, names: new Array(2 ** 32 - 1) }])).toMatchObject(limit);
  const names = Array.from({ length: 8_000 }, (_, at) => `${"a".repeat(50)}.n${at}`);
  const many = [1, 2, 3].map((n) => ({ address: `127.72.0.${n}`, names }));
  expect(apply(many.slice(0, 2))).toHaveProperty("request");
  expect(apply(many)).toMatchObject(limit);
});

test("a thing that changes while it is looked at is taken as it was looked at", () => {
  expect(validate(turncoat())).toEqual({ request: { id: 1, op: "listen", address: "127.72.0.1", port: 80 } });
});

test("words of the start are cut to what a terminal needs", () => {
  const error = { code: "A_B", message: "m".repeat(5_000), hint: 7, details: { secret: 1 } };
  expect(validate({ error })).toEqual({ word: { error: { code: "A_B", message: "m".repeat(4_096) } } });
  expect(validate({ ready: true })).toEqual({ word: { ready: true } });
});

test("whatever is given: no throw, and nothing gets through that the rules don't name", () => {
  const address = fc.oneof(fc.ipV4(), fc.constantFrom("127.0.0.1", "127.72.0.1", "127.1"), fc.string());
  const shaped = fc.record(
    {
      id: fc.oneof(fc.nat(), fc.anything()),
      op: fc.oneof(fc.constantFrom("listen", "unlisten", "hosts.apply", "hosts.restore", "bye", "hello"), fc.string()),
      address,
      port: fc.oneof(fc.integer(), fc.nat(70_000), fc.anything()),
      entries: fc.oneof(fc.array(fc.record({ address, names: fc.array(fc.oneof(fc.domain(), fc.string())) })), fc.anything()),
    },
    { requiredKeys: ["id", "op"] },
  );
  fc.assert(
    fc.property(fc.oneof(shaped, fc.anything({ withNullPrototype: true, withSparseArray: true, withBigInt: true })), (message) => {
      const verdict = validate(message);
      if (!("request" in verdict)) return;
      const { request } = verdict;
      const addresses =
        "address" in request ? [request.address] : "entries" in request ? request.entries.map((e) => e.address) : [];
      for (const each of addresses) expect(each).toMatch(/^127\.\d+\.\d+\.\d+$/);
      expect(addresses).not.toContain("127.0.0.1");
      if ("port" in request) expect(request.port).toBeLessThan(65_536);
      if ("entries" in request)
        for (const { names } of request.entries) for (const name of names) expect(name).toMatch(/^[\w.-]+$/);
      // Asked again with what came out, the answer is the same.
      expect(validate(request)).toEqual(verdict);
    }),
    { numRuns: 3_000 },
  );
});

test("addresses of the pool", () => {
  expect(["127.0.0.2", "127.255.255.254", "127.72.0.1"].every(isPoolAddress)).toBe(true);
  expect(["127.0.0.1", "128.0.0.1", "::1", "127.0.0", "", 5, null].some(isPoolAddress)).toBe(false);
});
