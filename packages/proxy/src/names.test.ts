import fc from "fast-check";
import { expect, test } from "vitest";
import { backendName, exposeRelayName, interceptRelayName } from "./names.ts";

const LABEL = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

test("names are labels of at most 63 characters for any input, also with what a Deployment's pods append", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), fc.string(), (name, uid) => {
      const relay = interceptRelayName({ name, uid });
      for (const each of [relay, exposeRelayName(uid, name)]) expect(`${each}-5f6c7d8b9f-x2x4z`.length).toBeLessThanOrEqual(63);
      for (const each of [relay, exposeRelayName(uid, name), backendName(relay)]) {
        expect(each).toMatch(LABEL);
        expect(each.length).toBeLessThanOrEqual(63);
      }
    }),
  );
});

test("readable, stable, and different for what differs", () => {
  const long = "a".repeat(63);
  expect(interceptRelayName({ name: "core", uid: "u" })).toMatch(/^shipside-core-[0-9a-f]{8}$/);
  expect(interceptRelayName({ name: "core", uid: "u" })).toBe(interceptRelayName({ name: "core", uid: "u" }));
  const names = [
    interceptRelayName({ name: "core", uid: "u" }),
    interceptRelayName({ name: "core", uid: "v" }),
    interceptRelayName({ name: long, uid: "u" }),
    interceptRelayName({ name: `${long.slice(1)}b`, uid: "u" }),
    exposeRelayName("a", long),
    exposeRelayName("b", long),
  ];
  expect(new Set([...names, ...names.map(backendName)]).size).toBe(names.length * 2);
});
