import { createHash } from "node:crypto";
import type { Closable, Logger } from "@shipside/core";
import { tunnelError } from "./errors.ts";
import { memoryPoolState, openPoolState, type PoolState } from "./pool-state.ts";

/** Of 127/8, away from where others listen. */
export const DEFAULT_CIDR = "127.72.0.0/14";

/** An IPv4 range, without the addresses whose last octet is 0 or 255: some software takes those for networks and broadcasts. */
export interface AddressRange {
  readonly cidr: string;
  /** How many addresses may be used. */
  readonly size: number;
  at(index: number): string;
  has(address: string): boolean;
}

/** Throws `POOL_INVALID`. */
export function parseRange(cidr: string): AddressRange {
  const invalid = (why: string): Error =>
    tunnelError("POOL_INVALID", `address pool ${JSON.stringify(cidr)}: ${why}`, { hint: `such as ${DEFAULT_CIDR}, the default` });
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  if (!match) throw invalid("not of the form a.b.c.d/prefix");
  const [a, b, c, d, prefix] = match.slice(1).map(Number) as [number, number, number, number, number];
  if ([a, b, c, d].some((octet) => octet > 255)) throw invalid("an octet is above 255");
  if (prefix < 8 || prefix > 32) throw invalid("the prefix must be between 8 and 32");
  const count = 2 ** (32 - prefix);
  const base = a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d;
  if (base % count !== 0) throw invalid(`the first address of that range is ${dotted(base - (base % count))}`);

  // Ranges are aligned, so the unusable ones are those of every whole 256 (or those at the ends of a part of one).
  const blocks = count / 256;
  const low = base % 256 === 0 ? 1 : 0;
  const size = blocks >= 1 ? blocks * 254 : count - low - ((base + count) % 256 === 0 ? 1 : 0);
  if (size < 1) throw invalid("no address in it may be used (a last octet of 0 or 255 is left out)");
  return {
    cidr,
    size,
    at: (index) => dotted(blocks >= 1 ? base + Math.floor(index / 254) * 256 + 1 + (index % 254) : base + low + index),
    has(address) {
      const number = address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
      return number >= base && number < base + count && number % 256 !== 0 && number % 256 !== 255;
    },
  };
}

/**
 * An address for each of `keys`: the one that `taken` holds already, else the one its hash says, else (where another key has that) the
 * next free one of a walk that its hash also says. Pure; `taken` is key → address. Throws `POOL_EXHAUSTED`.
 */
export function assign(range: AddressRange, keys: readonly string[], taken: ReadonlyMap<string, string>): Map<string, string> {
  const result = new Map<string, string>();
  const used = new Set(taken.values());
  // Sorted: where two new keys collide, who comes first doesn't hang on the order in which a watch told of them.
  for (const key of [...new Set(keys)].sort()) {
    const known = taken.get(key);
    const address = known !== undefined && range.has(known) ? known : freeAddress(range, key, used);
    used.add(address);
    result.set(key, address);
  }
  return result;
}

function freeAddress(range: AddressRange, key: string, used: ReadonlySet<string>): string {
  const digest = createHash("sha256").update(key).digest();
  let index = digest.readUInt32BE(0) % range.size;
  for (let step = 0; step < range.size; step++) {
    const address = range.at(index);
    if (!used.has(address)) return address;
    index = (index + 1) % range.size;
  }
  throw tunnelError("POOL_EXHAUSTED", `no address is left in ${range.cidr} for ${key}: all ${range.size} belong to services`, {
    hint: "use a larger range (pool.cidr), or delete the pool's state file to forget services that are gone",
    details: { cidr: range.cidr, size: range.size },
  });
}

export interface IpPool extends Closable {
  /**
   * The same key gets the same address on every run; the state file forgets those that were asked for longest ago, where there are very
   * many, but none that `inUse` names. Throws `POOL_EXHAUSTED`, `POOL_LOCKED`.
   */
  assign(keys: readonly string[], inUse?: ReadonlySet<string>): Promise<Map<string, string>>;
}

export interface IpPoolOptions {
  /** Default {@link DEFAULT_CIDR}. */
  cidr?: string;
  /** Where the mapping is kept; `false` keeps it in memory: two processes may then give one address to two services. */
  stateFile?: string | false;
  logger: Logger;
}

/** Keys are assigned under the state file's lock, so that two processes never give one address to two keys. */
export function openIpPool(options: IpPoolOptions): IpPool {
  const range = parseRange(options.cidr ?? DEFAULT_CIDR);
  const state: PoolState = options.stateFile === false ? memoryPoolState() : openPoolState(options.stateFile, options.logger);
  return {
    async assign(keys, inUse) {
      // The range is part of what is kept: two processes with ranges of their own don't take each other's addresses away.
      const kept = (key: string): string => `${range.cidr} ${key}`;
      let assigned: ReadonlyMap<string, string> = new Map();
      const used = new Set([...(inUse ?? [])].map(kept));
      await state.update(
        (taken) => (assigned = assign(range, keys.map(kept), taken)),
        (key) => used.has(key),
      );
      return new Map(keys.map((key) => [key, assigned.get(kept(key))!]));
    },
    close: () => state.close(),
    [Symbol.asyncDispose]: () => state.close(),
  };
}

function dotted(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}
