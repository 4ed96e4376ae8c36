import type { Duplex } from "node:stream";
import { inspectorError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Store } from "../store.ts";
import { outgoing, type ReplayEdit } from "./outgoing.ts";
import { sendHttp1 } from "./send-http1.ts";
import { sendHttp2 } from "./send-http2.ts";

/** Somewhere a request can be sent to again. */
export interface ReplayTarget {
  /** What the user calls it: `local`, `cluster`. */
  name: string;
  /** `http://` or `https://`, host and port; the path is the request's. */
  origin: string;
  /** How it is reached, where that isn't by its origin. */
  connect?(options: { signal: AbortSignal }): Promise<Duplex>;
}

export interface ReplayRequest {
  target: ReplayTarget;
  edit?: ReplayEdit;
  signal?: AbortSignal;
  /** Default 60,000 ms: somebody may stand at a breakpoint. */
  timeoutMs?: number;
}

/**
 * Sends a captured request again and captures what comes back as an exchange of its own. Rejects with `INSPECTOR_BODY_CUT` where the body wasn't
 * kept whole, `INSPECTOR_REPLAY_INVALID` where the edit can't be sent; a failure on the way is that exchange's, and said by `INSPECTOR_REPLAY_FAILED`.
 */
export async function replay(
  store: Store,
  original: Exchange,
  { target, edit = {}, signal, timeoutMs = 60_000 }: ReplayRequest,
): Promise<Exchange> {
  const what = outgoing(original, edit);
  const base = new URL(target.origin);
  // Who called then isn't who calls now.
  const { peer: _peer, caller: _caller, callerNote: _note, ...connection } = original.connection;
  const exchange = store.add({
    connection: { ...connection, route: `sent again to ${target.name} (${target.origin})` },
    startedAt: Date.now(),
    method: what.method,
    path: what.path,
    httpVersion: what.httpVersion,
    requestHeaders: what.headers,
    replayOf: original.id,
  });
  store.addBody(exchange, "requestBody", what.body);
  const since = (): number => Date.now() - exchange.startedAt;
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const until = signal ? AbortSignal.any([signal, limit]) : limit;
    const stream = await target.connect?.({ signal: until });
    try {
      await (what.httpVersion === "2" ? sendHttp2 : sendHttp1)(what, {
        ...{ base, signal: until, ...(stream && { stream }) },
        onSent: () => {
          exchange.timings.sent = since();
        },
        onAnswer(head) {
          exchange.timings.answered = since();
          store.answer(exchange, head);
        },
        onBody: (part) => store.addBody(exchange, "responseBody", part),
        onTrailers: (trailers) => store.addTrailers(exchange, trailers),
      });
      store.settle(exchange, "done", since());
    } finally {
      stream?.destroy();
    }
  } catch (error) {
    const why = String((error as Error).message);
    store.settle(exchange, "failed", since(), why);
    throw inspectorError(
      "INSPECTOR_REPLAY_FAILED",
      `${what.method} ${what.path} was sent again to ${target.name} (${target.origin}) and not answered: ${why}`,
      {
        cause: error,
        hint: limit.aborted ? `it took longer than ${timeoutMs / 1000} s` : hintOf(error),
        details: { exchange: exchange.id },
      },
    );
  }
  return exchange;
}

const hintOf = (error: unknown): string => (error as { hint?: string }).hint ?? "is something listening there?";
