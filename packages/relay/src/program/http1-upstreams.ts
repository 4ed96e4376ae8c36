import type { Duplex } from "node:stream";
import { dialBackend } from "./backend.ts";
import { byteSource } from "./byte-source.ts";
import type { ConnectionInfo } from "./developers.ts";
import type { HeldLease } from "./lease.ts";
import type { Side } from "./tunnel.ts";
import { openDeveloper, type PortContext } from "./upstream.ts";

export interface Upstream extends Side {
  /** Whose it is; undefined: the cluster's. */
  readonly developer: HeldLease | undefined;
  idleSince: number;
}

/** The connections that one client's connection has behind it: nobody else's requests ever travel on them. */
export interface Upstreams {
  /** One that is there and can take a request: a developer's, or the cluster's. */
  ready(developer: HeldLease | undefined): Upstream | undefined;
  /** Rejects as `dialBackend`. */
  backend(): Promise<Upstream>;
  developer(held: HeldLease): Promise<Upstream | undefined>;
  /** The one that served last: when it is the cluster's and ends, so does the client's connection, as if there were nobody between. */
  readonly last: Upstream | undefined;
  /** It can take another request. */
  keep(upstream: Upstream): void;
  /** It can't. */
  retire(upstream: Upstream): void;
  close(): void;
}

/** An upstream that others were used after is used again only within this time, in ms: its server may be about to close it. */
const STALE_MS = 1_000;
/** How long the far side may take to end, after we have. */
export const LINGER_MS = 2_000;

export function createUpstreams(context: PortContext, info: ConnectionInfo, signal: AbortSignal): Upstreams {
  const kept = new Map<HeldLease | undefined, Upstream>();
  const open = new Set<Upstream>();
  let last: Upstream | undefined;

  const made = (stream: Duplex, developer?: HeldLease): Upstream => {
    const upstream: Upstream = { stream, source: byteSource(stream), developer, idleSince: 0 };
    open.add(upstream);
    stream.once("close", () => open.delete(upstream));
    return upstream;
  };
  const ready = (developer: HeldLease | undefined): Upstream | undefined => {
    const upstream = kept.get(developer);
    if (!upstream) return undefined;
    kept.delete(developer);
    const { source, stream } = upstream;
    const fresh = upstream === last || performance.now() - upstream.idleSince < STALE_MS;
    if (fresh && stream.writable && !source.ended && source.buffered === 0) return upstream;
    retire(upstream);
    return undefined;
  };
  const retire = (upstream: Upstream): void => {
    if (last === upstream) last = undefined;
    linger(upstream.stream, LINGER_MS);
  };

  return {
    ready,
    backend: async () => ready(undefined) ?? made(await dialBackend(context, info, signal)),
    async developer(held) {
      const upstream = ready(held);
      if (upstream) return upstream;
      const stream = await openDeveloper(context, held, info, signal);
      return stream && made(stream, held);
    },
    get last() {
      return last;
    },
    keep(upstream) {
      upstream.idleSince = performance.now();
      last = upstream;
      kept.set(upstream.developer, upstream);
    },
    retire,
    close() {
      for (const upstream of open) retire(upstream);
    },
  };
}

/** Ends a stream, and gives its far side a while to read what was written before it is destroyed. */
export function linger(stream: Duplex, ms: number): void {
  if (stream.destroyed) return;
  stream.end();
  stream.resume();
  if (stream.readableEnded && stream.writableFinished) return void stream.destroy();
  const timer = setTimeout(() => stream.destroy(), ms).unref();
  stream.once("close", () => clearTimeout(timer));
}
