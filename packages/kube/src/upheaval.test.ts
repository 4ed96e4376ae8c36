import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { watchForUpheaval } from "./upheaval.ts";

test("a clock that jumps either way and addresses that change are told, once each; nothing else is", async () => {
  let offset = 0;
  let addresses = "10.0.0.2";
  const reasons: string[] = [];
  const stop = watchForUpheaval((reason) => reasons.push(reason), {
    intervalMs: 10,
    now: () => Date.now() + offset,
    addresses: () => addresses,
  });
  await sleep(60);
  expect(reasons).toEqual([]);
  offset = 3_600_000;
  await sleep(60);
  offset = 0;
  await sleep(60);
  addresses = "192.168.1.7";
  await sleep(60);
  expect(reasons).toEqual(["the clock jumped", "the clock jumped", "the machine's addresses changed"]);
  stop();
  addresses = "";
  await sleep(60);
  expect(reasons).toHaveLength(3);
});

test("looks at the machine's real addresses", async () => {
  const reasons: string[] = [];
  const stop = watchForUpheaval((reason) => reasons.push(reason), { intervalMs: 5 });
  await sleep(50);
  stop();
  expect(reasons).toEqual([]);
});
