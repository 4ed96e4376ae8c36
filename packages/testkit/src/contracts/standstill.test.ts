import { expect, test } from "vitest";
import { standstill } from "./standstill.ts";

test("is what it came to, however late it begins and however it pauses", async () => {
  let looks = 0;
  // Nothing yet, then a pause shorter than a standstill, then the last of it.
  const counts = [0, 0, 0, 0, 0, 0, 7, 7, 7, 9];
  expect(await standstill(() => counts[looks++] ?? 9)).toBe(9);
  expect(looks).toBeGreaterThan(counts.length);
});
