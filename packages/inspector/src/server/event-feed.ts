import type { ServerResponse } from "node:http";
import type { Exchange } from "../exchange.ts";
import { type Filter, matchesFilter } from "../filter.ts";
import type { Inspector, InspectorStats } from "../inspector.ts";
import type { SessionSource, SessionView } from "../sessions.ts";
import { type ExchangeSummary, summaryOf } from "../summary.ts";

/** What a client is told, at most ten times a second. */
export interface FeedBatch {
  /** New or changed, and fitting the filter. Oldest first. */
  changed: ExchangeSummary[];
  /** No longer kept, or no longer fitting. */
  removed: number[];
  stats: InspectorStats;
}

/** What is open, at most once a second, with counts that only grow: who wants rates has them from two. */
export interface FeedSessions {
  /** ms since 1970. */
  at: number;
  sessions: readonly SessionView[];
}

const BATCH_MS = 100;
const SESSIONS_MS = 1000;
/** How long one batch may keep the traffic waiting. */
const TURN_MS = 5;
const ALIVE_MS = 15_000;
/** Bytes that may wait for a slow client, and changes that may wait behind them. */
const MOST_WAITING = 1024 * 1024;
const MOST_CHANGES = 50_000;

/**
 * Sends what changes as server-sent events `batch` and `sessions`; `reload` where the client was too slow, and must list anew. Ends with the
 * response, or by the function that is returned.
 */
export function feed(
  { inspector, sessions, filter }: { inspector: Inspector; sessions: SessionSource; filter: Filter },
  response: ServerResponse,
): () => void {
  const changed = new Map<number, Exchange>();
  const removed = new Set<number>();
  let behind = false;
  let last = "";

  const send = (event: string, data: unknown): void => {
    response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const flush = (): void => {
    if (response.writableLength > MOST_WAITING) return;
    if (behind) {
      behind = false;
      send("reload", {});
      return;
    }
    const stats = inspector.stats();
    const said = JSON.stringify(stats);
    if (changed.size === 0 && removed.size === 0 && said === last) return;
    last = said;
    const batch: FeedBatch = { changed: [], removed: [...removed], stats };
    const until = performance.now() + TURN_MS;
    for (const exchange of changed.values()) {
      changed.delete(exchange.id);
      if (matchesFilter(filter, exchange)) batch.changed.push(summaryOf(exchange));
      else batch.removed.push(exchange.id);
      // A filter that looks into bodies takes its time: the rest comes with the next batch.
      if (performance.now() > until) break;
    }
    removed.clear();
    send("batch", batch);
  };
  const bound = (): void => {
    if (changed.size + removed.size < MOST_CHANGES) return;
    behind = true;
    changed.clear();
    removed.clear();
  };
  const unsubscribe = inspector.subscribe({
    changed(exchange) {
      changed.set(exchange.id, exchange);
      bound();
    },
    removed(id) {
      changed.delete(id);
      removed.add(id);
      bound();
    },
  });
  let open = "";
  let same = 0;
  const sendSessions = (): void => {
    if (response.writableLength > MOST_WAITING) return;
    const now = sessions();
    const text = JSON.stringify(now);
    same = text === open ? same + 1 : 0;
    // Said once more when nothing moves any longer: that is a rate of nothing.
    if (same > 1) return;
    open = text;
    send("sessions", { at: Date.now(), sessions: now } satisfies FeedSessions);
  };
  const ticking = setInterval(flush, BATCH_MS).unref();
  const looking = setInterval(sendSessions, SESSIONS_MS).unref();
  const alive = setInterval(() => response.write(":\n\n"), ALIVE_MS).unref();
  const end = (): void => {
    unsubscribe();
    clearInterval(ticking);
    clearInterval(looking);
    clearInterval(alive);
    response.end();
  };
  response.on("error", () => {});
  response.once("close", end);
  flush();
  sendSessions();
  return end;
}
