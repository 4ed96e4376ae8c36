import { type BodyKeeper, keepBody } from "./capture/keep-body.ts";
import { inspectorError } from "./errors.ts";
import type { ConnectionFacts, Exchange, HeaderList, Message } from "./exchange.ts";
import type { Budgets } from "./options.ts";

/** What one exchange costs beside its bytes, roughly. */
const OVERHEAD = 1024;

export interface NewExchange {
  connection: ConnectionFacts;
  startedAt: number;
  method: string;
  path: string;
  httpVersion: string;
  requestHeaders: HeaderList;
  replayOf?: number;
}

/** An exchange while it is written. */
export interface OpenExchange extends Exchange {
  readonly requestBody: BodyKeeper;
  readonly responseBody: BodyKeeper;
}

export interface StoreEvents {
  changed(exchange: Exchange): void;
  removed(id: number): void;
}

/** The exchanges, oldest out first, within a count and a size. What is pinned stays. */
export interface Store {
  add(exchange: NewExchange): OpenExchange;
  answer(exchange: OpenExchange, head: { status: number; statusText: string; headers: HeaderList }): void;
  addTrailers(exchange: OpenExchange, trailers: HeaderList): void;
  addBody(exchange: OpenExchange, side: "requestBody" | "responseBody", part: Uint8Array): void;
  addMessage(exchange: OpenExchange, message: Message): void;
  /** It is over, `doneMs` after it began; nothing where it was already. */
  settle(exchange: OpenExchange, state: "done" | "failed", doneMs: number, note?: string): void;
  /** Tells listeners; call it after a change that no other method made. */
  touch(exchange: Exchange): void;
  get(id: number): Exchange | undefined;
  /** Newest first. */
  list(): Exchange[];
  /** Throws `INSPECTOR_GONE`, and `INSPECTOR_PINS_FULL` where what is pinned would take more than half of the budget. */
  pin(id: number, pinned: boolean): Exchange;
  /** Forgets all but what is pinned. */
  clear(): void;
  /** Returns what takes the listener off again. */
  subscribe(listener: StoreEvents): () => void;
  readonly size: number;
  readonly bytes: number;
  /** How many were let go because newer ones came. */
  readonly evicted: number;
}

export function createStore(budgets: Budgets): Store {
  const held = new Map<number, { exchange: OpenExchange; cost: number }>();
  const listeners = new Set<StoreEvents>();
  let lastId = 0;
  /** No older one that isn't pinned is held: a Map that is walked from its start walks over all that it has lost. */
  let oldest = 1;
  let bytes = 0;
  let evicted = 0;
  let pinned = { count: 0, bytes: 0 };

  const tell = (exchange: Exchange): void => {
    for (const listener of listeners) listener.changed(exchange);
  };
  const remove = (id: number): void => {
    bytes -= held.get(id)?.cost ?? 0;
    held.delete(id);
    for (const listener of listeners) listener.removed(id);
  };
  const evict = (): void => {
    if (held.size <= budgets.maxExchanges && bytes <= budgets.maxBytes) return;
    while (oldest <= lastId && (held.size > budgets.maxExchanges || bytes > budgets.maxBytes)) {
      const entry = held.get(oldest++);
      if (!entry || entry.exchange.pinned) continue;
      remove(oldest - 1);
      evicted++;
    }
  };
  const grow = (exchange: OpenExchange, by: number): void => {
    const entry = held.get(exchange.id);
    if (!entry || by === 0) return;
    entry.cost += by;
    bytes += by;
    if (exchange.pinned) pinned.bytes += by;
    evict();
  };

  return {
    add(fresh) {
      const id = ++lastId;
      const exchange: OpenExchange = {
        id,
        ...fresh,
        replayOf: fresh.replayOf,
        requestBody: keepBody(budgets.maxBodyBytes),
        responseBody: keepBody(budgets.maxBodyBytes),
        status: undefined,
        statusText: "",
        responseHeaders: [],
        responseTrailers: [],
        timings: {},
        state: "open",
        note: undefined,
        messages: [],
        messageCount: 0,
        pinned: false,
      };
      const cost = OVERHEAD + fresh.path.length + sizeOf(fresh.requestHeaders);
      held.set(id, { exchange, cost });
      bytes += cost;
      evict();
      tell(exchange);
      return exchange;
    },
    answer(exchange, { status, statusText, headers }) {
      exchange.status = status;
      exchange.statusText = statusText;
      exchange.responseHeaders = headers;
      grow(exchange, sizeOf(headers));
      tell(exchange);
    },
    addTrailers(exchange, trailers) {
      exchange.responseTrailers = trailers;
      grow(exchange, sizeOf(trailers));
      tell(exchange);
    },
    addBody(exchange, side, part) {
      grow(exchange, exchange[side].add(part));
    },
    addMessage(exchange, message) {
      exchange.messageCount++;
      if (exchange.messages.length < budgets.maxMessages) {
        exchange.messages.push(message);
        grow(exchange, 128 + 2 * message.text.length);
      }
      tell(exchange);
    },
    settle(exchange, state, doneMs, note) {
      if (exchange.state !== "open") return;
      exchange.state = state;
      exchange.note ??= note;
      exchange.timings.done = doneMs;
      tell(exchange);
    },
    touch: tell,
    get: (id) => held.get(id)?.exchange,
    list: () => [...held.values()].map(({ exchange }) => exchange).reverse(),
    pin(id, wanted) {
      const entry = held.get(id);
      if (!entry) throw gone(id);
      const { exchange, cost } = entry;
      if (wanted === exchange.pinned) return exchange;
      const next = wanted
        ? { count: pinned.count + 1, bytes: pinned.bytes + cost }
        : { count: pinned.count - 1, bytes: pinned.bytes - cost };
      if (wanted && (next.bytes > budgets.maxBytes / 2 || next.count > Math.max(1, budgets.maxExchanges / 2)))
        throw inspectorError(
          "INSPECTOR_PINS_FULL",
          `request ${id} can't be pinned: what is pinned would take more than half of what may be kept`,
          {
            hint: "unpin another one first, or export it as HAR",
          },
        );
      pinned = next;
      exchange.pinned = wanted;
      if (!wanted) oldest = Math.min(oldest, id);
      tell(exchange);
      return exchange;
    },
    clear() {
      for (const [id, { exchange }] of held) if (!exchange.pinned) remove(id);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get size() {
      return held.size;
    },
    get bytes() {
      return bytes;
    },
    get evicted() {
      return evicted;
    },
  };
}

export function gone(id: number): Error {
  return inspectorError("INSPECTOR_GONE", `request ${id} isn't kept`, {
    hint: "it was let go for newer ones, or never was; pin a request to keep it",
  });
}

function sizeOf(headers: HeaderList): number {
  let size = 0;
  for (const [name, value] of headers) size += 64 + name.length + value.length;
  return size;
}
