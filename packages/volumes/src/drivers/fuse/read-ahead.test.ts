import { describe, expect, it } from "vitest";
import type { Asked } from "./entries.ts";
import type { Node } from "./nodes.ts";
import { createReadAhead, createRooms, type ReadAhead } from "./read-ahead.ts";
import { PIECE } from "./sftp-packets.ts";

const KIB = 1024;
const node: Node = { id: 2, parent: undefined, name: "f", lookups: 1, kind: 0o100000 };

/** A file of this size, whose bytes come when they are let. */
function opened({ size = 100_000 * KIB, keptMs = 60_000, rooms = createRooms() } = {}) {
  const asked: number[] = [];
  const come: Array<() => void> = [];
  let changes = 0;
  let written = 0;
  const ahead = createReadAhead({
    ...{ node, remote: "h", rooms },
    session: {
      readInto(packet, into) {
        const from = Number(packet.readBigUInt64BE(packet.length - 12));
        expect(packet.readUInt32BE(packet.length - 4)).toBe(into.length);
        asked.push(from);
        return new Promise((resolve) => come.push(() => resolve(Math.max(0, Math.min(into.length, size - from)))));
      },
    },
    entries: {
      ask: (): Asked => ({ changes, until: performance.now() + keptMs }),
      isSettled: () => true,
      isWritten: (_, { changes: before }) => written > before,
    },
  });
  return {
    ahead,
    asked,
    write: () => (written = ++changes),
    async letCome() {
      for (const each of come.splice(0)) each();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

function read(ahead: ReadAhead, to: number, { from = 0, by = 128 * KIB } = {}): void {
  for (let at = from; at < to; at += by) ahead.follow(at, by);
}

describe("read ahead", () => {
  it("of a file that is read here and there nothing is", () => {
    const { ahead, asked } = opened();
    for (const at of [0, 5_000, 900, 77_000, 300].map((kib) => kib * KIB)) read(ahead, at + 128 * KIB, { from: at });
    expect(asked).toEqual([]);
  });

  it("nor while it isn't known to go on, nor where the kernel does it", () => {
    const { ahead, asked } = opened();
    read(ahead, 128 * KIB);
    read(ahead, 20_000 * KIB, { from: 10_000 * KIB, by: 1_000 * KIB });
    expect(asked).toEqual([]);
  });

  it("in sequence each byte is asked for once, the farther ahead the longer it goes on, and no farther than 2 MiB and a piece", async () => {
    const { ahead, asked, letCome } = opened();
    let far = 0;
    for (let at = 0; at < 20_000 * KIB; at += 128 * KIB) {
      read(ahead, at + 128 * KIB, { from: at });
      await letCome();
      far = Math.max(far, (asked.at(-1) ?? 0) + PIECE - at - 128 * KIB);
      if (at >= 256 * KIB) expect(ahead.at(at + 128 * KIB)).toBeDefined();
    }
    expect(asked).toEqual(asked.map((_, index) => 256 * KIB + index * PIECE));
    expect(far).toBeGreaterThanOrEqual(2_048 * KIB);
    expect(far).toBeLessThan(2_048 * KIB + PIECE);
  });

  it("what was written since, or has been there for long, isn't given; what is still to come is", async () => {
    const { ahead, write, letCome } = opened({ keptMs: 30 });
    read(ahead, 512 * KIB);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ahead.at(512 * KIB)).toBeDefined();
    await letCome();
    expect(ahead.at(512 * KIB)).toBeDefined();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ahead.at(512 * KIB)).toBeUndefined();

    const other = opened();
    read(other.ahead, 512 * KIB);
    expect(other.ahead.at(512 * KIB)).toBeDefined();
    other.write();
    expect(other.ahead.at(512 * KIB)).toBeUndefined();
    write();
  });

  it("who has a file open and doesn't read it any more takes no room from others", async () => {
    const rooms = createRooms();
    const idle = Array.from({ length: 20 }, () => opened({ rooms, keptMs: 50 }));
    for (const { ahead, letCome } of idle) {
      read(ahead, 4_096 * KIB);
      await letCome();
    }
    while (rooms.take()) {}
    const reader = opened({ rooms });
    read(reader.ahead, 4_096 * KIB);
    expect(reader.asked).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    read(reader.ahead, 8_192 * KIB, { from: 4_096 * KIB });
    expect(reader.asked.length).toBeGreaterThan(8);
  });

  it("has so much room and no more for all files, and gives it back when what was asked for has come", async () => {
    const rooms = createRooms();
    const files = Array.from({ length: 20 }, () => opened({ rooms }));
    for (const { ahead } of files) read(ahead, 4_096 * KIB);
    const pieces = (): number => files.reduce((sum, { asked }) => sum + asked.length, 0);
    expect(pieces()).toBe(64);
    for (const { ahead } of files) ahead.close();
    expect(rooms.take()).toBeUndefined();
    for (const { letCome } of files) await letCome();
    const last = opened({ rooms });
    read(last.ahead, 4_096 * KIB);
    expect(last.asked.length).toBeGreaterThan(4);
  });
});
