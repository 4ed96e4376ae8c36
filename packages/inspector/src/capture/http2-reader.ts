import { type ConnectionFacts, type HeaderList, headerOf } from "../exchange.ts";
import type { OpenExchange, Store } from "../store.ts";
import type { ConnectionReader } from "./connection-reader.ts";
import { createEventStreamReader } from "./event-stream-reader.ts";
import { createHpackDecoder } from "./hpack.ts";
import { FLAG, FRAME, type Frame, frameReader, PREFACE } from "./http2-frames.ts";

type Direction = "in" | "out";

interface Stream {
  exchange: OpenExchange;
  /** Directions that have ended. */
  ended: Set<Direction>;
  events: { push(bytes: Uint8Array): void } | undefined;
}

/** RFC 9113, 7. */
const ERRORS =
  "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED".split(
    " ",
  );

/**
 * Makes exchanges of an HTTP/2 connection, from its preface on: with prior knowledge (RFC 9113, 3.3), or behind the answer that upgraded to it
 * (RFC 7540, 3.2), when `upgraded` is the request that is answered on the first stream. It looks on: what one side may not send it takes
 * as it comes, and where a header block can't be read it gives up, for all later ones hang on it.
 */
export function createHttp2Reader(
  facts: ConnectionFacts,
  store: Store,
  onLost: (why: string) => void,
  upgraded?: OpenExchange,
): ConnectionReader {
  let now = 0;
  let lost = false;
  let preface = PREFACE.length;
  const streams = new Map<number, Stream>();
  if (upgraded) streams.set(1, { exchange: upgraded, ended: new Set(["in"]), events: undefined });
  const decoders = { in: createHpackDecoder(), out: createHpackDecoder() };
  /** A header block whose end hasn't come. */
  const blocks: Partial<Record<Direction, { frame: Frame; parts: Uint8Array[] }>> = {};

  const since = (exchange: OpenExchange): number => Math.max(0, now - exchange.startedAt);
  const settle = (exchange: OpenExchange, state: "done" | "failed", note?: string): void =>
    store.settle(exchange, state, since(exchange), note);
  const giveUp = (note: string): void => {
    for (const { exchange } of streams.values()) settle(exchange, "failed", note);
    streams.clear();
    lost = true;
  };
  const end = (id: number, direction: Direction): void => {
    const stream = streams.get(id);
    if (!stream) return;
    stream.ended.add(direction);
    if (direction === "in") stream.exchange.timings.sent ??= since(stream.exchange);
    else settle(stream.exchange, "done");
    // An answer may be over before its request is.
    if (stream.ended.size === 2) streams.delete(id);
  };

  const onRequest = (id: number, fields: readonly (readonly [string, string])[]): void => {
    if (streams.has(id)) return;
    const of = (name: string): string | undefined => fields.find(([each]) => each === name)?.[1];
    const authority = of(":authority");
    const headers: HeaderList = [
      ...(authority === undefined ? [] : [["host", authority] as const]),
      ...fields.filter(([name]) => !name.startsWith(":") && (name !== "host" || authority === undefined)),
    ];
    const exchange = store.add({
      ...{ connection: facts, startedAt: now, httpVersion: "2", requestHeaders: headers },
      ...{ method: of(":method") ?? "?", path: of(":path") ?? of(":authority") ?? "?" },
    });
    streams.set(id, { exchange, ended: new Set(), events: undefined });
  };
  const onAnswer = (id: number, fields: readonly (readonly [string, string])[]): void => {
    const stream = streams.get(id);
    if (!stream) return;
    const { exchange } = stream;
    const status = Number(fields.find(([name]) => name === ":status")?.[1]);
    const headers = fields.filter(([name]) => !name.startsWith(":"));
    if (exchange.status !== undefined) {
      store.addTrailers(exchange, headers);
      return;
    }
    if (!(status >= 200)) return;
    exchange.timings.answered = since(exchange);
    store.answer(exchange, { status, statusText: "", headers });
    if (/^text\/event-stream\b/i.test(headerOf(headers, "content-type") ?? "") && !headerOf(headers, "content-encoding"))
      stream.events = createEventStreamReader((message) =>
        store.addMessage(exchange, { at: since(exchange), direction: "out", ...message }),
      );
  };
  const onBlock = (direction: Direction, { type, flags, stream }: Frame, block: Uint8Array): void => {
    const fields = decoders[direction].decode(block);
    if (!fields) {
      giveUp("the rest can't be read: its headers can't be unpacked");
      onLost("headers of HTTP/2 that can't be unpacked");
      return;
    }
    // What a server pushes was asked by nobody; its headers count for those that follow.
    if (type === FRAME.push) return;
    if (direction === "in") onRequest(stream, fields);
    else onAnswer(stream, fields);
    if ((flags & FLAG.endStream) !== 0) end(stream, direction);
  };

  const onFrame =
    (direction: Direction) =>
    (frame: Frame): void => {
      if (lost) return;
      const { type, flags, stream, payload } = frame;
      const under = blocks[direction];
      if (type === FRAME.headers || type === FRAME.push || (type === FRAME.continuation && under)) {
        // A promise begins with the number of the stream that it is for.
        const part = type === FRAME.push ? payload.subarray(4) : payload;
        const parts = [...(type === FRAME.continuation ? under!.parts : []), part];
        const first = type === FRAME.continuation ? under!.frame : frame;
        if ((flags & FLAG.endHeaders) === 0) {
          // The frame's bytes are the traffic's own: they are kept as a copy.
          blocks[direction] = { frame: first, parts: parts.map((each) => Uint8Array.from(each)) };
          return;
        }
        delete blocks[direction];
        onBlock(direction, first, parts.length === 1 ? part : Buffer.concat(parts));
      } else if (type === FRAME.data) {
        const found = streams.get(stream);
        if (found && payload.length > 0) {
          store.addBody(found.exchange, direction === "in" ? "requestBody" : "responseBody", payload);
          if (direction === "out") found.events?.push(payload);
        }
        if (frame.last && (flags & FLAG.endStream) !== 0) end(stream, direction);
      } else if (type === FRAME.reset) {
        const found = streams.get(stream);
        streams.delete(stream);
        if (!found) return;
        const code = payload.length === 4 ? Buffer.from(payload).readUInt32BE(0) : undefined;
        const why = code === undefined ? "no reason given" : (ERRORS[code] ?? code);
        settle(found.exchange, "failed", `${direction === "in" ? "the caller" : "the server"} took it back: ${why}`);
      }
    };
  const read = { in: frameReader(onFrame("in")), out: frameReader(onFrame("out")) };

  return {
    data(direction, bytes, at) {
      if (lost) return;
      now = at;
      let rest = bytes;
      if (direction === "in" && preface > 0) {
        const skipped = Math.min(preface, bytes.length);
        preface -= skipped;
        rest = bytes.subarray(skipped);
      }
      if (read[direction](rest)) return;
      giveUp("the rest can't be read: a frame that HTTP/2 doesn't have");
      onLost("frames that HTTP/2 doesn't have");
    },
    end(_direction, at) {
      now = at;
    },
    close(error, at) {
      now = at;
      giveUp(error ? `the connection broke: ${error.message}` : "the connection ended before the answer");
    },
    gap: () => giveUp("a part of it was not captured: too much came at once"),
  };
}
