import { type Closable, createCloser, type Logger } from "@shipside/core";
import { relayError } from "../errors.ts";
import type { AcceptPort, Lease, RelayStatus } from "../protocol.ts";
import { parseLease } from "./lease-input.ts";
import { compileMatch, type Matcher, overlaps, type RequestFacts, takesAll } from "./route.ts";

/** A lease that the relay holds, with what has come of it so far. */
export interface HeldLease {
  readonly lease: Lease;
  /** The link that it came by; another one after its developer has reconnected. */
  readonly client: string;
  readonly since: Date;
  /** Whether that link's way back stands. */
  readonly connected: boolean;
  requests: number;
  connections: number;
}

export interface Leases extends Closable {
  /**
   * Makes or renews a lease. Throws `LEASE_INVALID`, `RELAY_PATTERN`, and `LEASE_TAKEN` (details: `holder`, `since`) where another's
   * overlaps and `takeOver` isn't set; with it, those are ended. The same wish of the same holder is no other's.
   */
  put(client: string, id: string, lease: unknown, options?: { takeOver?: boolean }): Lease;
  /** Whether there was one. */
  delete(id: string): boolean;
  /** A link's way back stands, or has ended: its leases live on for `aloneMs`. */
  linked(client: string): void;
  unlinked(client: string): void;
  get(id: string): HeldLease | undefined;
  /** Whose a request is, and who wants a copy of it. */
  route(port: number, request: RequestFacts): { lease: HeldLease | undefined; mirrors: readonly HeldLease[] };
  /** Who takes everything of a port: connections as a whole are theirs. */
  whole(port: number): HeldLease | undefined;
  readonly count: number;
  list(): RelayStatus["leases"];
}

export interface LeasesOptions {
  accept: readonly AcceptPort[];
  logger: Logger;
  /** How long a lease lives without its link, in ms. Default 5,000. */
  aloneMs?: number;
}

interface Entry extends HeldLease {
  lease: Lease;
  client: string;
  connected: boolean;
  matches: Matcher;
  whole: boolean;
  timer?: NodeJS.Timeout | undefined;
}

const NOBODY: readonly HeldLease[] = [];
const sameWish = (a: Lease, b: Lease): boolean => a.wish !== undefined && a.wish === b.wish && a.holder === b.holder;

export function createLeases({ accept, logger, aloneMs = 5_000 }: LeasesOptions): Leases {
  /** In the order in which they were made. */
  const entries = new Map<string, Entry>();
  const links = new Set<string>();
  const closer = createCloser();

  const end = (entry: Entry, why: string): void => {
    clearTimeout(entry.timer);
    if (!entries.delete(entry.lease.id)) return;
    entry.connected = false;
    logger.info(`a lease has ended: ${why}`, { lease: entry.lease.id, holder: entry.lease.holder });
  };

  const setConnected = (entry: Entry, connected: boolean): void => {
    entry.connected = connected;
    clearTimeout(entry.timer);
    entry.timer = connected ? undefined : setTimeout(() => end(entry, `its link was away for ${aloneMs} ms`), aloneMs).unref();
  };

  const conflictsOf = (lease: Lease): Entry[] =>
    lease.mirror
      ? []
      : [...entries.values()].filter(
          (held) =>
            held.lease.id !== lease.id &&
            !held.lease.mirror &&
            !sameWish(held.lease, lease) &&
            held.lease.ports.some((port) => lease.ports.includes(port)) &&
            overlaps(held.lease.match, lease.match),
        );

  const takenBy = (held: Entry): Error =>
    relayError("LEASE_TAKEN", `${held.lease.holder} has had some of this traffic since ${held.since.toISOString()}`, {
      hint: "agree with them on other values to match, or take it over with --take-over",
      details: { holder: held.lease.holder, since: held.since.toISOString(), lease: held.lease.id },
    });

  closer.defer(() => {
    for (const entry of entries.values()) clearTimeout(entry.timer);
    entries.clear();
  });

  return {
    put(client, id, input, { takeOver = false } = {}) {
      const lease = parseLease(input, id, accept);
      const before = entries.get(id);
      const stranger = before && before.lease.holder !== lease.holder ? [before] : [];
      const conflicts = [...stranger, ...conflictsOf(lease)];
      if (conflicts.length > 0 && !takeOver) throw takenBy(conflicts[0]!);
      for (const held of conflicts) {
        logger.warn(`${lease.holder} takes over from ${held.lease.holder}`, { lease: id, from: held.lease.id });
        end(held, "it was taken over");
      }
      const renewed = entries.get(id);
      const entry: Entry = Object.assign(renewed ?? { since: new Date(), requests: 0, connections: 0 }, {
        lease,
        client,
        connected: false,
        matches: compileMatch(lease.match),
        whole: takesAll(lease.match) && !lease.mirror,
      });
      entries.set(id, entry);
      setConnected(entry, links.has(client));
      if (!renewed) logger.info("a lease was made", { lease: id, holder: lease.holder });
      return lease;
    },
    delete(id) {
      const entry = entries.get(id);
      if (entry) end(entry, "its holder ended it");
      return entry !== undefined;
    },
    linked(client) {
      links.add(client);
      for (const entry of entries.values()) if (entry.client === client) setConnected(entry, true);
    },
    unlinked(client) {
      links.delete(client);
      for (const entry of entries.values()) if (entry.client === client) setConnected(entry, false);
    },
    get: (id) => entries.get(id),
    route(port, request) {
      let lease: Entry | undefined;
      let mirrors: Entry[] | undefined;
      for (const entry of entries.values()) {
        const { mirror } = entry.lease;
        const before = mirror ? mirrors?.find((other) => sameWish(other.lease, entry.lease)) : lease;
        const wanted = !before || (entry.connected && !before.connected);
        if (!wanted || !entry.lease.ports.includes(port) || !entry.matches(request)) continue;
        if (mirror) mirrors = [...(mirrors ?? []).filter((other) => other !== before), entry];
        else lease = entry;
      }
      return { lease, mirrors: mirrors ?? NOBODY };
    },
    whole(port) {
      let first: Entry | undefined;
      for (const entry of entries.values()) {
        if (!entry.whole || !entry.lease.ports.includes(port)) continue;
        if (entry.connected) return entry;
        first ??= entry;
      }
      return first;
    },
    get count() {
      return entries.size;
    },
    list: () =>
      [...entries.values()].map(({ lease, since, connected, requests, connections }) => ({
        ...lease,
        since: since.toISOString(),
        connected,
        requests,
        connections,
      })),
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}
