import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { expect, it } from "vitest";
import { hasEnded, parseProcessStat } from "./process-stat.ts";

it("reads it whatever the program is called", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", " ", "(", ")", ") Z 7 ", "\n"), maxLength: 15 }), (name) => {
      const stat = `812 (${name}) S 7 812 700 34816 812 4194560 1013 0 0 0 31 11 0 0 20 0 11 0 987654321 22 33\n`;
      const expected = { name, state: "S", parent: 7, session: 700, terminal: 34816, cpuTicks: 42, start: "987654321" };
      expect(parseProcessStat(stat)).toEqual(expected);
    }),
  );
});

it.each(["", "812", "812 (node", "812 (node) S 7", ")("])("finds nothing in %j", (text) => {
  expect(parseProcessStat(text)).toBeUndefined();
});

it.runIf(process.platform === "linux")("reads this process's own", async () => {
  const stat = parseProcessStat(await readFile("/proc/self/stat", "latin1"))!;
  expect(stat.parent).toBe(process.ppid);
  expect(hasEnded(stat)).toBe(false);
  const { user, system } = process.cpuUsage();
  expect(stat.cpuTicks).toBeLessThanOrEqual((user + system) / 10_000 + 2);
});
