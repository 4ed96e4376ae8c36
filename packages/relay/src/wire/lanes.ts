import type { Mux } from "./mux.ts";

/** A lane that moves more than this in a second, in bytes, is left to what is on it. */
const BUSY_BYTES = 4 * 1024 * 1024;
/** With all of these busy, the one with the fewest streams is taken. */
const MAX_LANES = 4;
/** A lane besides the first one is ended when it has carried nothing for so long, in ms. */
const IDLE_MS = 30_000;
const LOOK_MS = 1_000;

/** The sessions over which one end dials: one, and more where bulk transfers would be in the way of everything else. */
export interface Lanes {
  /** For a new stream. It is never waited for another lane, which is there for who comes after. */
  pick(): Mux;
  destroy(): void;
}

interface Lane {
  readonly mux: Mux;
  /** What it had moved when it was looked at last, and when it last carried something. */
  bytes: number;
  busy: boolean;
  usedAt: number;
}

/** `open` gives another session; where it rejects, what there is has to do. Ends with `first`. */
export function createLanes(first: Mux, open: () => Promise<Mux>): Lanes {
  const lane = (mux: Mux): Lane => ({ mux, bytes: mux.bytes, busy: false, usedAt: performance.now() });
  let lanes = [lane(first)];
  let opening = false;
  let over = false;

  const isBusy = ({ mux, bytes, busy }: Lane): boolean => mux.streams > 0 && (busy || mux.bytes - bytes > BUSY_BYTES);

  const add = async (): Promise<void> => {
    opening = true;
    try {
      const mux = await open();
      if (over) return mux.destroy();
      const added = lane(mux);
      lanes.push(added);
      void mux.closed.then(() => {
        lanes = lanes.filter((each) => each !== added);
      });
    } catch {
      // The next stream that finds all of them busy asks for it again.
    } finally {
      opening = false;
    }
  };

  const look = (): void => {
    const now = performance.now();
    for (const each of lanes) {
      each.busy = each.mux.bytes - each.bytes > BUSY_BYTES;
      each.bytes = each.mux.bytes;
      if (each.mux.streams > 0) each.usedAt = now;
      else if (each.mux !== first && now - each.usedAt > IDLE_MS) each.mux.destroy();
    }
  };
  const timer = setInterval(look, LOOK_MS);
  timer.unref();

  const destroy = (): void => {
    over = true;
    clearInterval(timer);
    for (const { mux } of lanes) mux.destroy();
  };
  void first.closed.then(destroy);

  return {
    pick() {
      const free = lanes.find((each) => !isBusy(each) && !each.mux.isClosed);
      if (free) return free.mux;
      if (lanes.length < MAX_LANES && !opening) void add();
      return lanes.reduce((least, each) => (each.mux.streams < least.mux.streams ? each : least)).mux;
    },
    destroy,
  };
}
