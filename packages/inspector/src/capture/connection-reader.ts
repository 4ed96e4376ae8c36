import { type ConnectionFacts, type HeaderList, headerOf } from "../exchange.ts";
import type { OpenExchange, Store } from "../store.ts";
import { createEventStreamReader } from "./event-stream-reader.ts";
import { createHttp1Parser, type Framing, type Http1Parser } from "./http1-parser.ts";
import { PREFACE } from "./http2-frames.ts";
import { createHttp2Reader } from "./http2-reader.ts";
import { recognise } from "./protocols.ts";
import { createSummaryReader } from "./summary-reader.ts";
import { createWebSocketReader } from "./websocket-reader.ts";

type Direction = "in" | "out";

/** What a server may say before its client does is kept up to here, in bytes: SETTINGS of HTTP/2, a greeting. */
const MOST_EARLY = 64 * 1024;

interface Early {
  direction: Direction;
  bytes: Uint8Array;
  at: number;
}

/** Makes exchanges of a connection's bytes. Times are ms since 1970, taken when the bytes passed. */
export interface ConnectionReader {
  data(direction: Direction, bytes: Uint8Array, at: number): void;
  end(direction: Direction, at: number): void;
  close(error: Error | undefined, at: number): void;
  /** Bytes are missing here: what was under way is incomplete, and reading goes on at the next request that starts a chunk. */
  gap(): void;
}

const REQUEST_START = /^[A-Z]{3,16} \S/;

export function createConnectionReader(facts: ConnectionFacts, store: Store, onUnread: (why: string) => void): ConnectionReader {
  let now = 0;
  /** Requests that wait for their answer, in order; the head of the list is the one that is answered. */
  let pending: OpenExchange[] = [];
  let requesting: OpenExchange | undefined;
  let upgraded: OpenExchange | undefined;
  let reading: { in: Http1Parser; out: Http1Parser } | undefined;
  let lost = false;
  /** Whether it has ever made sense: one that breaks off in the middle was still HTTP. */
  let understood = false;
  let told = false;
  /** What passed before it could be told which protocol it is. */
  let early: Early[] | undefined = [];
  /** Who reads it where it is no HTTP/1. */
  let whole: ConnectionReader | undefined;

  const since = (exchange: OpenExchange): number => Math.max(0, now - exchange.startedAt);
  const settle = (exchange: OpenExchange, state: "done" | "failed", note?: string): void =>
    store.settle(exchange, state, since(exchange), note);
  const giveUp = (note: string): void => {
    for (const exchange of pending) settle(exchange, "failed", note);
    if (upgraded) settle(upgraded, "failed", note);
    pending = [];
    requesting = upgraded = reading = undefined;
    lost = true;
  };
  const unread = (why: string): void => {
    giveUp(`the rest can't be read: ${why}`);
    if (!told && !understood) onUnread(why);
    told = true;
  };

  const request = createRequestEvents();
  const answer = createAnswerEvents();

  function createRequestEvents(): Parameters<typeof createHttp1Parser>[1] {
    return {
      head({ method, path, version, headers }) {
        understood = true;
        requesting = store.add({ connection: facts, startedAt: now, method, path, httpVersion: version, requestHeaders: headers });
        pending.push(requesting);
        return bodyOf(headers, { bytes: 0 });
      },
      body: (bytes) => requesting && store.addBody(requesting, "requestBody", bytes),
      done() {
        if (requesting) requesting.timings.sent = since(requesting);
        requesting = undefined;
      },
      tunnel() {},
      lost: unread,
    };
  }

  function createAnswerEvents(): Parameters<typeof createHttp1Parser>[1] {
    let events: { push(bytes: Uint8Array): void } | undefined;
    return {
      head({ status, statusText, headers }): Framing {
        const exchange = pending[0];
        if (!exchange) {
          unread("an answer that nobody asked for");
          return "tunnel";
        }
        if (status < 200 && status !== 101) return { bytes: 0 };
        if (status === 101 && /^h2c$/i.test(headerOf(headers, "upgrade") ?? "")) {
          pending.shift();
          whole = createHttp2Reader(facts, store, onUnread, exchange);
          return "tunnel";
        }
        exchange.timings.answered = since(exchange);
        store.answer(exchange, { status, statusText, headers });
        if (status === 101 || (exchange.method === "CONNECT" && status < 300)) {
          pending.shift();
          beginTunnel(exchange);
          return "tunnel";
        }
        const isEvents =
          /^text\/event-stream\b/i.test(headerOf(headers, "content-type") ?? "") && !headerOf(headers, "content-encoding");
        events = isEvents
          ? createEventStreamReader((message) => store.addMessage(exchange, { at: since(exchange), direction: "out", ...message }))
          : undefined;
        if (exchange.method === "HEAD" || status === 204 || status === 304) return { bytes: 0 };
        return bodyOf(headers, "until-close");
      },
      body(bytes) {
        if (!pending[0]) return;
        store.addBody(pending[0], "responseBody", bytes);
        events?.push(bytes);
      },
      done() {
        // The end of an interim answer is none of the exchange.
        if (pending[0]?.status !== undefined) settle(pending.shift()!, "done");
      },
      tunnel: (bytes) => (whole ? whole.data("out", bytes, now) : tunnel?.out(bytes)),
      lost: unread,
    };
  }

  let tunnel: Record<Direction, (bytes: Uint8Array) => void> | undefined;
  function beginTunnel(exchange: OpenExchange): void {
    upgraded = exchange;
    const isWebSocket = /^websocket$/i.test(headerOf(exchange.responseHeaders, "upgrade") ?? "");
    const deflate = /permessage-deflate/i.test(headerOf(exchange.responseHeaders, "sec-websocket-extensions") ?? "");
    const side = (direction: Direction): ((bytes: Uint8Array) => void) => {
      const body = direction === "in" ? "requestBody" : "responseBody";
      if (!isWebSocket) return (bytes) => store.addBody(exchange, body, bytes);
      const reader = createWebSocketReader(deflate, (message) =>
        store.addMessage(exchange, { at: since(exchange), direction, ...message }),
      );
      return (bytes) => {
        exchange[body].bytes += bytes.length;
        reader.push(bytes);
      };
    };
    tunnel = { in: side("in"), out: side("out") };
  }

  /** Of which protocol it is, what the client says first tells; undefined while that may still be either. */
  const isHttp2 = (chunks: readonly Early[]): boolean | undefined => {
    const said = Buffer.concat(chunks.filter(({ direction }) => direction === "in").map(({ bytes }) => bytes));
    const start = said.toString("latin1", 0, PREFACE.length);
    if (said.length >= PREFACE.length || !PREFACE.startsWith(start)) return start === PREFACE;
    return chunks.reduce((sum, { bytes }) => sum + bytes.length, 0) > MOST_EARLY ? false : undefined;
  };
  const begin = (chunks: readonly Early[], found: boolean): void => {
    early = undefined;
    const said = (by: Direction): Buffer => Buffer.concat(chunks.filter((each) => each.direction === by).map(({ bytes }) => bytes));
    const other = found ? undefined : recognise(said("in"), said("out"));
    if (found) whole = createHttp2Reader(facts, store, onUnread);
    else if (other) whole = createSummaryReader(other, { facts, store, startedAt: chunks[0]?.at ?? now });
    for (const { direction, bytes, at } of chunks) reader.data(direction, bytes, at);
  };

  const reader: ConnectionReader = {
    data(direction, bytes, at) {
      now = at;
      if (early) {
        const chunks = [...early, { direction, bytes, at }];
        const found = isHttp2(chunks);
        if (found !== undefined) return begin(chunks, found);
        early.push({ direction, bytes: Uint8Array.from(bytes), at });
        return;
      }
      if (whole) return whole.data(direction, bytes, at);
      if (tunnel && direction === "in") {
        tunnel.in(bytes);
        return;
      }
      if (!reading) {
        if (lost && (direction === "out" || !REQUEST_START.test(Buffer.from(bytes.subarray(0, 32)).toString("latin1")))) return;
        reading = { in: createHttp1Parser("request", request), out: createHttp1Parser("response", answer) };
      }
      reading[direction].push(bytes);
    },
    end(direction, at) {
      now = at;
      if (whole) return whole.end(direction, at);
      reading?.[direction].end();
    },
    close(error, at) {
      now = at;
      if (whole) return whole.close(error, at);
      if (early && early.length > 0) begin(early, false);
      const ended = error ? `the connection broke: ${error.message}` : "the connection ended before the answer";
      if (upgraded) settle(upgraded, error ? "failed" : "done", error && ended);
      giveUp(ended);
    },
    gap: () => {
      if (whole) return whole.gap();
      early = undefined;
      tunnel = undefined;
      giveUp("a part of it was not captured: too much came at once");
    },
  };
  return reader;
}

/** RFC 9112, 6.3; `otherwise` is what holds where no header says anything. */
function bodyOf(headers: HeaderList, otherwise: Framing): Framing {
  const coding = headerOf(headers, "transfer-encoding");
  if (coding !== undefined) return /chunked\s*$/i.test(coding) ? "chunked" : "until-close";
  const length = headerOf(headers, "content-length");
  return length !== undefined && /^\d{1,15}$/.test(length) ? { bytes: Number(length) } : otherwise;
}
