import fc from "fast-check";
import { expect, test } from "vitest";
import { createBackoff, pause } from "./backoff.ts";

test("delays double up to the bound, are spread, and start anew after a reset", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.integer({ min: 5_000, max: 100_000 }),
      fc.noShrink(fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }))),
      (baseMs, maxMs, random) => {
        const backoff = createBackoff({ baseMs, maxMs, random: () => random.next().value });
        for (let i = 0; i < 50; i++) {
          const bound = Math.min(maxMs, baseMs * 2 ** Math.min(i, 30));
          const delay = backoff.next();
          expect(delay).toBeGreaterThanOrEqual(bound / 10);
          expect(delay).toBeLessThanOrEqual(bound);
        }
        backoff.reset();
        expect(backoff.next()).toBeLessThanOrEqual(baseMs);
      },
    ),
  );
});

test("200 clients that fail at the same moment come back spread over the whole interval", () => {
  const delays = Array.from({ length: 200 }, () => createBackoff({ baseMs: 1_000, maxMs: 30_000 }).next());
  const perTenth = Array.from({ length: 10 }, (_, i) => delays.filter((ms) => ms >= i * 100 && ms < (i + 1) * 100).length);
  expect(Math.max(...perTenth)).toBeLessThan(60);
  expect(perTenth.filter((count) => count > 0).length).toBeGreaterThanOrEqual(8);
});

test("a pause ends early with its signal, and never rejects", async () => {
  const abort = new AbortController();
  const started = Date.now();
  setTimeout(() => abort.abort(), 20);
  await pause(60_000, abort.signal);
  expect(Date.now() - started).toBeLessThan(5_000);
  await pause(60_000, AbortSignal.abort());
});
