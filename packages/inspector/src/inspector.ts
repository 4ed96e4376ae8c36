import type { Server } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import {
  type Closable,
  createCloser,
  type SpliceOptions,
  type SpliceResult,
  safeTap,
  type Tap,
  type TappedConnection,
} from "@shipside/core";
import { type Capture, createCapture } from "./capture/capture.ts";
import { joinTapped } from "./capture/join.ts";
import { createWorkQueue } from "./capture/queue.ts";
import { watchServer } from "./capture/watch-server.ts";
import { type AnswerDiff, diffAnswers } from "./diff.ts";
import { inspectorError } from "./errors.ts";
import type { CallerFacts, ConnectionFacts, Exchange } from "./exchange.ts";
import { type Filter, matchesFilter, parseFilter } from "./filter.ts";
import { type Budgets, budgetsOf } from "./options.ts";
import { type ReplayRequest, type ReplayTarget, replay } from "./replay/replay.ts";
import { createStore, gone, type StoreEvents } from "./store.ts";

export interface InspectorOptions {
  budgets?: Partial<Budgets>;
  /**
   * Where an exchange can be sent to again, the first one being the usual one. Default: `local`, the port of 127.0.0.1 that served it; none where
   * that isn't known.
   */
  replayTargets?: (exchange: Exchange) => readonly ReplayTarget[];
}

export interface InspectorStats {
  /** Exchanges, and what they take of memory, in bytes. */
  kept: number;
  keptBytes: number;
  /** Exchanges let go for newer ones. */
  evicted: number;
  /** Since the beginning: connections looked at, and the bytes on them. */
  connections: number;
  bytes: number;
  /** Not looked at because too much came at once: bytes, and in how many pieces they came. */
  droppedBytes: number;
  drops: number;
  /** Connections that were no HTTP/1. */
  unread: number;
}

/** Looks on at connections, keeps what passed within its budgets, and never holds anything up. */
export interface Inspector extends Closable {
  readonly budgets: Readonly<Budgets>;
  /** For one connection whose bytes are told by hand; core's seam for onlookers. `caller`: who that is, where it takes a while to find out. */
  connection(facts: ConnectionFacts, later?: { caller?: Promise<CallerFacts> }): TappedConnection;
  /** What the proxy's `tap` option takes. UDP is not looked at. */
  readonly tap: Tap;
  /** `splice` of core with the inspector looking on. `caller` makes the requests. */
  join(caller: Duplex, server: Duplex, facts: ConnectionFacts, options?: SpliceOptions): Promise<SpliceResult>;
  /** Looks on at what a server of `node:http` or `node:https` takes from now on. Returns what ends that. */
  watch(server: Server | HttpsServer): () => void;

  get(id: number): Exchange | undefined;
  /** Newest first. Yields to the traffic while it searches. Rejects with `INSPECTOR_FILTER_INVALID`. */
  list(options?: { filter?: string | Filter; limit?: number; before?: number }): Promise<Exchange[]>;
  pin(id: number, pinned: boolean): Exchange;
  clear(): void;
  replayTargets(exchange: Exchange): readonly ReplayTarget[];
  replay(id: number, request: Omit<ReplayRequest, "target"> & { target?: ReplayTarget | string }): Promise<Exchange>;
  diff(left: number, right: number, options?: { reveal?: boolean }): Promise<AnswerDiff>;
  subscribe(listener: StoreEvents): () => void;
  stats(): InspectorStats;
  /** Resolves once all that has passed by now is kept: for tests and for a clean end. */
  settled(): Promise<void>;
}

/** How long a search goes on before the traffic has its turn, in ms. */
const SEARCH_MS = 5;

/** Throws `INSPECTOR_OPTIONS_INVALID`. */
export function createInspector(options: InspectorOptions = {}): Inspector {
  const budgets = budgetsOf(options.budgets);
  const store = createStore(budgets);
  const queue = createWorkQueue(budgets.maxQueuedBytes);
  const capture: Capture = createCapture(store, queue);
  const closer = createCloser();
  const ended = new AbortController();
  closer.defer(() => queue.clear());
  closer.defer(() => ended.abort());
  const { replayTargets: targets = localTarget } = options;
  const replayTargets = (exchange: Exchange): readonly ReplayTarget[] => (exchange.httpVersion === "" ? [] : targets(exchange));

  const connection: Inspector["connection"] = (facts, later) => {
    if (closer.closing) return {};
    const known = { ...facts };
    later?.caller?.then(
      (caller) => {
        Object.assign(known, caller);
        for (const exchange of store.list()) if (exchange.connection === known) store.touch(exchange);
      },
      () => {},
    );
    return capture.connection(known);
  };
  const must = (id: number): Exchange => {
    const exchange = store.get(id);
    if (!exchange) throw gone(id);
    return exchange;
  };

  return {
    budgets,
    connection,
    tap: ({ protocol, ...facts }) => (protocol === "TCP" ? connection({ direction: "incoming", ...facts }) : undefined),
    join: (caller, server, facts, spliceOptions) =>
      joinTapped(
        caller,
        server,
        safeTap(
          () => connection(facts),
          () => {},
        ),
        spliceOptions,
      ),
    watch(server) {
      const unwatch = watchServer(server, connection);
      closer.defer(unwatch);
      return unwatch;
    },
    get: (id) => store.get(id),
    async list({ filter = "", limit = budgets.maxExchanges, before = Number.POSITIVE_INFINITY } = {}) {
      const wanted = typeof filter === "string" ? parseFilter(filter) : filter;
      const found: Exchange[] = [];
      let until = performance.now() + SEARCH_MS;
      for (const exchange of store.list()) {
        if (found.length >= limit) break;
        if (exchange.id < before && matchesFilter(wanted, exchange)) found.push(exchange);
        if (performance.now() < until) continue;
        await new Promise((resolve) => setImmediate(resolve));
        until = performance.now() + SEARCH_MS;
      }
      return found;
    },
    pin: (id, pinned) => store.pin(id, pinned),
    clear: () => store.clear(),
    replayTargets,
    async replay(id, { target, signal, ...request }) {
      const exchange = must(id);
      const known = replayTargets(exchange);
      const chosen =
        typeof target === "object" ? target : target === undefined ? known[0] : known.find(({ name }) => name === target);
      if (!chosen)
        throw inspectorError(
          "INSPECTOR_NO_TARGET",
          `request ${id} can't be sent again${target === undefined ? "" : ` to ${JSON.stringify(target)}`}`,
          {
            hint:
              known.length > 0
                ? `it can be sent to ${known.map(({ name }) => name).join(", ")}`
                : "nobody serves it on this machine",
          },
        );
      const either = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
      return replay(store, exchange, { ...request, target: chosen, signal: either });
    },
    diff: async (left, right, diffOptions) => diffAnswers(must(left), must(right), diffOptions),
    subscribe: (listener) => store.subscribe(listener),
    stats: () => ({ kept: store.size, keptBytes: store.bytes, evicted: store.evicted, ...capture.counts }),
    settled: () => queue.settled(),
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

function localTarget({ connection: { direction, localPort } }: Exchange): ReplayTarget[] {
  return direction === "incoming" && localPort !== undefined ? [{ name: "local", origin: `http://127.0.0.1:${localPort}` }] : [];
}
