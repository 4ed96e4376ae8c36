import { type Duplex, duplexPair } from "node:stream";
import { expect, onTestFinished, test, vi } from "vitest";
import { createLanes } from "./lanes.ts";
import { createMux, type Mux } from "./mux.ts";

const nothing = (): undefined => undefined;

/** A session whose far end reads all and says nothing. */
function session(): Mux {
  const [near, far] = duplexPair();
  const other = createMux({ wire: far, end: "relay", silenceMs: 10_000, onOpen: ({ stream }) => void stream.resume() });
  const mux = createMux({ wire: near, end: "ours", silenceMs: 10_000 });
  onTestFinished(() => {
    mux.destroy();
    other.destroy();
  });
  return mux;
}

/** Picks from lanes whose first one goes on moving bytes, until that is `expected`. */
const picked = (lanes: { pick(): Mux }, bulk: Duplex, expected: () => Mux | undefined): Promise<void> =>
  vi.waitFor(
    () => {
      bulk.write(Buffer.alloc(8 * 1024 * 1024));
      expect(lanes.pick()).toBe(expected());
    },
    { timeout: 10_000 },
  );

test("what comes after a bulk transfer gets another lane, once there is one; the bulk stays where it is", async () => {
  const first = session();
  const opened: Mux[] = [];
  const lanes = createLanes(first, async () => {
    opened.push(session());
    return opened.at(-1)!;
  });
  onTestFinished(() => lanes.destroy());
  expect(lanes.pick()).toBe(first);
  const bulk = lanes.pick().open({}, nothing);
  await picked(lanes, bulk, () => opened[0]);
  expect(opened).toHaveLength(1);
  // Its own work done, the first one is as good as any.
  bulk.destroy();
  expect(lanes.pick()).toBe(first);
});

test("a lane that is lost is no longer taken, one that can't be had neither; they end together", async () => {
  const first = session();
  const opened: Mux[] = [];
  let asked = 0;
  const lanes = createLanes(first, async () => {
    if (++asked === 1) throw new Error("not now");
    opened.push(session());
    return opened.at(-1)!;
  });
  const bulk = first.open({}, nothing);
  await picked(lanes, bulk, () => opened[0]);
  opened[0]!.destroy();
  await picked(lanes, bulk, () => opened[1]);
  first.destroy();
  await vi.waitFor(() => expect(opened[1]!.isClosed).toBe(true), 10_000);
});
