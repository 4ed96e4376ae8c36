import { PerformanceObserver } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createRelief } from "./relief.ts";

const MINOR = 1;

test("collects new space only, once every 4 MiB, and leaves no gc() behind", async () => {
  const kinds: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) kinds.push((entry as unknown as { detail: { kind: number } }).detail.kind);
  });
  observer.observe({ entryTypes: ["gc"] });
  const relief = createRelief();
  for (let moved = 0; moved < 3; moved++) relief(1024 * 1024);
  await sleep(20);
  const before = kinds.filter((kind) => kind === MINOR).length;
  for (let moved = 0; moved < 9; moved++) relief(1024 * 1024);
  await sleep(20);
  observer.disconnect();
  expect(kinds.filter((kind) => kind === MINOR).length - before).toBeGreaterThanOrEqual(3);
  expect((globalThis as { gc?: unknown }).gc).toBeUndefined();
});
