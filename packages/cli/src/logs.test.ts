import { expect, test } from "vitest";
import { logLine, sinceOf } from "./commands/logs.ts";

const now = new Date("2026-05-05T12:00:00Z");

test.each([
  ["30s", "2026-05-05T11:59:30.000Z"],
  ["10m", "2026-05-05T11:50:00.000Z"],
  ["1.5h", "2026-05-05T10:30:00.000Z"],
  ["2d", "2026-05-03T12:00:00.000Z"],
  ["2026-01-31T12:00Z", "2026-01-31T12:00:00.000Z"],
])("--since %s", (given, expected) => {
  expect(sinceOf(given, now).toISOString()).toBe(expected);
});

test.each(["soon", "10", "5w", ""])("--since %j is no time", (given) => {
  expect(() => sinceOf(given, now)).toThrow(expect.objectContaining({ code: "USAGE" }));
});

test("an entry for a person", () => {
  const plain = (_style: string, text: string): string => text;
  const line = logLine({ time: "2026-05-05T12:00:00Z", level: "warn", message: "port not served", port: 80, why: "held" }, plain);
  expect(line).toMatch(/^2026-05-05 \d\d:00:00 {2}warn {3}port not served {2}port=80 why=held$/);
  expect(logLine({ time: "", level: "error", message: "raw" }, plain)).toBe("error  raw");
});
