import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCron } from "./cron-schedule.ts";

const next = (schedule: string, after: string, zone?: string): string | undefined => {
  const at = parseCron(schedule, zone)!(Date.parse(after));
  return at === undefined ? undefined : new Date(at).toISOString().slice(0, 16);
};

test.each([
  ["* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:01"],
  ["*/15 * * * *", "2026-01-01T00:15:00Z", "2026-01-01T00:30"],
  ["0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T03:00"],
  ["30 8 * * mon-fri", "2026-01-02T09:00:00Z", "2026-01-05T08:30"],
  ["0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00"],
  ["0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00"],
  ["0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00"],
  ["5,10-12 4 1 jun *", "2026-06-01T04:10:00Z", "2026-06-01T04:11"],
  ["@monthly", "2026-01-31T00:00:00Z", "2026-02-01T00:00"],
  ["0 0 31 2 *", "2026-01-01T00:00:00Z", undefined],
])("%s after %s is %s", (schedule, after, expected) => expect(next(schedule, after)).toBe(expected));

test("a time zone is honoured, across its change of clocks too", () => {
  expect(next("0 9 * * *", "2026-01-10T12:00:00Z", "America/New_York")).toBe("2026-01-10T14:00");
  expect(next("0 9 * * *", "2026-07-10T12:00:00Z", "America/New_York")).toBe("2026-07-10T13:00");
  expect(next("30 5 * * *", "2026-01-10T12:00:00Z", "Asia/Kolkata")).toBe("2026-01-11T00:00");
});

test.each([
  "",
  "* * * *",
  "60 * * * *",
  "* 24 * * *",
  "* * 0 * *",
  "a * * * *",
  "*/0 * * * *",
  "5-1 * * * *",
  "@never",
  "@every 0s",
])("%j is no schedule", (text) => expect(parseCron(text)).toBeUndefined());

test("no zone, no schedule", () => expect(parseCron("* * * * *", "Nowhere/Land")).toBeUndefined());

test("what comes next is later, fits, and nothing before it does", () => {
  const minute = fc.integer({ min: 0, max: 59 });
  const hour = fc.integer({ min: 0, max: 23 });
  fc.assert(
    fc.property(minute, hour, fc.integer({ min: 0, max: 2 ** 41 }), (m, h, after) => {
      const at = parseCron(`${m} ${h} * * *`)!(after)!;
      expect(at).toBeGreaterThan(after);
      expect(at - after).toBeLessThanOrEqual(24 * 3_600_000);
      expect([new Date(at).getUTCHours(), new Date(at).getUTCMinutes()]).toEqual([h, m]);
    }),
  );
});
