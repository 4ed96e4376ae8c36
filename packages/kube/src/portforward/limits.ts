import { CARRIER_KINDS, type CarrierKind } from "./carrier.ts";
import type { ChoiceLimits } from "./choice.ts";
import { portForwardError } from "./errors.ts";
import { DEFAULT_ENDINGS, type StreamEndings } from "./stream.ts";

/** Options of the pool. Times are in ms, sizes in bytes. */
export interface PoolLimits extends StreamEndings, ChoiceLimits {
  /** Carriers that may be used, the best first. Default: all. */
  carriers: readonly CarrierKind[];
  /** Bound for one upgrade, and for the server's answer to a new stream. Default 10,000. */
  connectMs: number;
  /** How long a refusal is waited for where a port has never taken a connection. Default 50. */
  settleMs: number;
  /** A connection without streams is closed after this. Default 60,000. */
  idleMs: number;
  /** Time between pings. Default 5,000. */
  pingMs: number;
  /** Silence after a ping that means death. Default 5,000. */
  deadMs: number;
  /** What may wait in one stream for its reader while the connection goes on for the others. Default 1 MiB. */
  maxBufferedPerStream: number;
  /**
   * Ask V8 for a minor garbage collection every 4 MiB moved, which halves the CPU of bulk transfers in a process with a large heap.
   * Default true.
   */
  relieveGarbage: boolean;
  /** Bytes a second above which a connection counts as busy and isn't shared. Default 512 KiB. */
  busyBytesPerSecond: number;
}

const DEFAULT_LIMITS: PoolLimits = {
  ...DEFAULT_ENDINGS,
  carriers: CARRIER_KINDS,
  connectMs: 10_000,
  settleMs: 50,
  idleMs: 60_000,
  pingMs: 5_000,
  deadMs: 5_000,
  maxBufferedPerStream: 1024 * 1024,
  relieveGarbage: true,
  busyBytesPerSecond: 512 * 1024,
  spread: 8,
  maxConnections: 16,
  streamsPerConnection: 256,
};

const MINIMUM: Readonly<Record<Exclude<keyof PoolLimits, "carriers" | "relieveGarbage">, number>> = {
  finReplyMs: 0,
  finIdleMs: 0,
  reasonMs: 0,
  connectMs: 1,
  settleMs: 0,
  idleMs: 0,
  pingMs: 1,
  deadMs: 1,
  maxBufferedPerStream: 64 * 1024,
  busyBytesPerSecond: 1,
  spread: 1,
  maxConnections: 1,
  streamsPerConnection: 1,
};

/** Fills in the defaults. Throws PORTFORWARD_OPTIONS. */
export function poolLimits(options: Partial<PoolLimits>): PoolLimits {
  const limits = { ...DEFAULT_LIMITS };
  for (const name of Object.keys(MINIMUM) as Array<keyof typeof MINIMUM>) {
    const value = options[name];
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || value < MINIMUM[name]) {
      throw portForwardError("PORTFORWARD_OPTIONS", `${name} is ${value}`, { hint: `A whole number from ${MINIMUM[name]}.` });
    }
    limits[name] = value;
  }
  if (options.relieveGarbage !== undefined) limits.relieveGarbage = options.relieveGarbage;
  if (options.carriers !== undefined) {
    const known = options.carriers.length > 0 && options.carriers.every((kind) => CARRIER_KINDS.includes(kind));
    if (!known) {
      throw portForwardError("PORTFORWARD_OPTIONS", `carriers is ${JSON.stringify(options.carriers)}`, {
        hint: `One or more of ${CARRIER_KINDS.join(", ")}.`,
      });
    }
    limits.carriers = [...options.carriers];
  }
  return limits;
}
