import type { HostsEntry, HostsOwner } from "@shipside/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createNameBoard, mergeEntries } from "./name-board.ts";

function memoryHosts() {
  const hosts = {
    lines: [] as readonly HostsEntry[],
    fails: false,
    closed: false,
    owner: {
      plan: async () => ({ added: [], removed: [], conflicts: [], unchanged: true }),
      async apply(entries) {
        if (hosts.fails) throw Object.assign(new Error("read-only"), { code: "HOSTS_UNWRITABLE" });
        hosts.lines = entries;
        return {
          added: [],
          removed: [],
          conflicts: [{ name: "leaf", ours: "127.72.0.1", theirs: "10.0.0.1", line: 3 }],
          unchanged: false,
        };
      },
      restore: async () => void (hosts.lines = []),
      close: async () => void (hosts.closed = true),
      [Symbol.asyncDispose]: async () => {},
    } satisfies HostsOwner as HostsOwner,
  };
  return hosts;
}

test("sessions share one set; the first to have a name keeps it, and gives it up when it goes", async () => {
  const hosts = memoryHosts();
  const board = createNameBoard(async () => hosts.owner);
  await board.set("a", [{ address: "127.72.0.1", names: ["leaf", "leaf.sample"] }]);
  const { conflicts } = await board.set("b", [
    { address: "127.72.0.2", names: ["leaf", "leaf.other"] },
    { address: "127.72.0.1", names: ["leaf.sample"] },
  ]);
  expect(conflicts).toContainEqual({ name: "leaf", ours: "127.72.0.2", theirs: "127.72.0.1", session: "a" });
  expect(hosts.lines).toEqual([
    { address: "127.72.0.1", names: ["leaf", "leaf.sample"] },
    { address: "127.72.0.2", names: ["leaf.other"] },
  ]);
  await board.set("a", []);
  expect(hosts.lines).toEqual([
    { address: "127.72.0.2", names: ["leaf", "leaf.other"] },
    { address: "127.72.0.1", names: ["leaf.sample"] },
  ]);
  await board.set("b", []);
  expect(hosts.lines).toEqual([]);
  await board.close();
  expect(hosts.closed).toBe(true);
});

test("a line of the user's is told to the session whose name it is", async () => {
  const hosts = memoryHosts();
  await using board = createNameBoard(async () => hosts.owner);
  expect((await board.set("a", [{ address: "127.72.0.1", names: ["leaf"] }])).conflicts).toHaveLength(1);
  expect((await board.set("b", [{ address: "127.72.0.3", names: ["core"] }])).conflicts).toEqual([]);
});

test("a hosts file that can't be written is a state, not a failure, and is tried again", async () => {
  const hosts = memoryHosts();
  hosts.fails = true;
  await using board = createNameBoard(async () => hosts.owner);
  const entries = [{ address: "127.72.0.1", names: ["leaf"] }];
  expect((await board.set("a", entries)).state).toMatchObject({ where: "commands", error: { code: "HOSTS_UNWRITABLE" } });
  hosts.fails = false;
  expect((await board.set("a", entries)).state).toEqual({ where: "hosts" });
  expect(hosts.lines).toEqual(entries);
});

test("merging loses no name and gives none two addresses", () => {
  const address = fc.integer({ min: 1, max: 5 }).map((n) => `127.72.0.${n}`);
  const name = fc.constantFrom("a", "b", "c", "d");
  const entry = fc.record({ address, names: fc.array(name, { minLength: 1, maxLength: 3 }) });
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom("s1", "s2", "s3"), fc.array(entry, { maxLength: 5 })), (sets) => {
      const { entries } = mergeEntries(new Map(Object.entries(sets)));
      const names = entries.flatMap((each) => each.names);
      expect(new Set(names).size).toBe(names.length);
      expect(new Set(names)).toEqual(new Set(Object.values(sets).flatMap((set) => set.flatMap((each) => each.names))));
      expect(new Set(entries.map((each) => each.address)).size).toBe(entries.length);
    }),
  );
});
