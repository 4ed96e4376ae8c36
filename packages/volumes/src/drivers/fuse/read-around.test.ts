import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Asked } from "./entries.ts";
import type { Node } from "./nodes.ts";
import { createAround } from "./read-around.ts";

const BLOCK = 128 * 1024;
const FAR_MS = 6;

/** Files whose questions take so long, and a block so much more. */
function opened({ waitMs = FAR_MS, blockMs = 0, keptMs = 60_000, isSettled = true, around = createAround() } = {}) {
  const node: Node = { id: 2, parent: undefined, name: "f", lookups: 1, kind: 0o100000 };
  const asked: number[] = [];
  let changes = 0;
  let written = 0;
  /** Answers come in order. */
  let line: Promise<unknown> = Promise.resolve();
  const takes = async (ms: number): Promise<void> => (ms === 0 ? undefined : sleep(ms));
  const answer = (): Promise<unknown> => Promise.all([takes(waitMs), line]);
  const file = around({
    ...{ node, remote: "h" },
    session: {
      async readInto(packet, into) {
        asked.push(Number(packet.readBigUInt64BE(packet.length - 12)));
        expect(into.length).toBe(BLOCK);
        line = answer().then(() => takes(blockMs));
        await line;
        return into.length;
      },
    },
    entries: {
      ask: (): Asked => ({ changes, until: performance.now() + keptMs }),
      isSettled: () => isSettled,
      isWritten: (_, { changes: before }) => written > before,
    },
  });
  return {
    ...{ file, asked, node },
    /** Of a few bytes, which the server is asked for where they aren't there. */
    async read(offset: number, size = 4_096): Promise<void> {
      const found = file.at(offset);
      if (found) return void (await found.found);
      const came = answer();
      file.follow(offset, size, came);
      await came;
    },
    write: () => (written = ++changes),
  };
}

describe("what lies around what is read here and there", () => {
  it("comes with it, once a question is known to take its time", async () => {
    const { read, file, asked } = opened();
    await read(10 * BLOCK);
    expect(asked).toEqual([]);
    await read(7 * BLOCK + 5_000);
    await read(3 * BLOCK - 1);
    expect(asked).toEqual([7 * BLOCK, 2 * BLOCK]);
    for (const each of [7 * BLOCK, 8 * BLOCK - 1, 2 * BLOCK]) expect(file.at(each)).toBeDefined();
    for (const each of [7 * BLOCK - 1, 8 * BLOCK, 10 * BLOCK]) expect(file.at(each)).toBeUndefined();
    await read(7 * BLOCK + 50_000);
    expect(asked).toHaveLength(2);
    file.close();
    expect(file.at(7 * BLOCK)).toBeUndefined();
  });

  it("not nearby, nor around what is as long itself", async () => {
    const near = opened({ waitMs: 0 });
    const long = opened();
    for (const each of [5, 1, 9, 3]) {
      await near.read(each * BLOCK);
      await long.read(each * BLOCK, BLOCK);
    }
    expect([...near.asked, ...long.asked]).toEqual([]);
  });

  it("one question at a time has it", async () => {
    const { read, asked } = opened();
    await read(0);
    await Promise.all([5, 1, 9, 3].map((each) => read(each * BLOCK)));
    expect(asked).toEqual([5 * BLOCK]);
  });

  it("not where it takes the line more time than it spares, and again where it spares some", async () => {
    const line = opened({ blockMs: 30 });
    for (let each = 0; each < 40; each++) await line.read(each * 2 * BLOCK);
    // 100 ms are spent by four, a fifth may be under way by then, and what readers wait allows for another.
    expect(line.asked.length).toBeGreaterThanOrEqual(4);
    expect(line.asked.length).toBeLessThanOrEqual(6);
    const before = line.asked.length;
    // Found are those that did come, each with 6 ms spared.
    for (let round = 0; round < 4; round++) for (const each of line.asked.slice(0, before)) await line.read(each + round * 4_096);
    await line.read(101 * BLOCK);
    expect(line.asked.at(-1)).toBe(101 * BLOCK);
  });

  it("is believed for as long as the file is known to be the same, and not a moment longer", async () => {
    const { read, file, node, write } = opened({ keptMs: 30 });
    for (const each of [0, 5]) await read(each * BLOCK);
    await sleep(60);
    expect(file.at(5 * BLOCK)).toBeUndefined();
    node.sameUntil = performance.now() + 30;
    expect(file.at(5 * BLOCK)).toBeDefined();
    await sleep(40);
    expect(file.at(5 * BLOCK)).toBeUndefined();
    node.sameUntil = performance.now() + 60_000;
    expect(file.at(5 * BLOCK)).toBeDefined();
    write();
    expect(file.at(5 * BLOCK)).toBeUndefined();

    const young = opened({ keptMs: 30, isSettled: false });
    for (const each of [0, 5]) await young.read(each * BLOCK);
    expect(young.file.at(5 * BLOCK)).toBeDefined();
    await sleep(60);
    young.node.sameUntil = performance.now() + 60_000;
    expect(young.file.at(5 * BLOCK)).toBeUndefined();
  });

  it("takes 32 MiB of all files and no more: what was of use longest ago goes first", async () => {
    const around = createAround();
    const [one, other] = [opened({ waitMs: 3, around }), opened({ waitMs: 3, around })];
    await one.read(1_000 * BLOCK);
    for (let each = 0; each < 130; each++) for (const { read } of [one, other]) await read(each * BLOCK);
    expect(one.asked.length + other.asked.length).toBe(260);
    const has = (each: number): boolean[] => [one, other].map(({ file }) => file.at(each * BLOCK) !== undefined);
    expect([0, 1, 2, 3, 129].map(has)).toEqual([
      [false, false],
      [false, false],
      [true, true],
      [true, true],
      [true, true],
    ]);
  });
});
