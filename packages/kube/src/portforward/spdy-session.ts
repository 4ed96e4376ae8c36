import type { Carrier, CarrierFactory, CarrierKind } from "./carrier.ts";
import { portForwardError } from "./errors.ts";
import type { ForwardTarget } from "./failure.ts";
import {
  createFrameDecoder,
  createSynStreamEncoder,
  encodeDataHeader,
  encodeGoAway,
  encodePing,
  encodeReset,
  type FrameHandler,
  MAX_STREAM_ID,
  RST_STATUS,
} from "./spdy-codec.ts";
import { ForwardStream, type StreamEndings } from "./stream.ts";

export interface SessionOptions {
  endings: StreamEndings;
  /** Bytes that may wait in one stream for its reader before the whole connection is made to wait. */
  maxBufferedPerStream: number;
  /** Called with the number of bytes that have been received or sent. */
  moved(bytes: number): void;
  /** Called once, when the connection is gone; `cause` is undefined where we closed it. */
  closed(cause: Error | undefined): void;
  /** Called when a stream is over. */
  released(): void;
}

/** One SPDY connection to one pod, and the streams on it. */
export interface SpdySession {
  readonly kind: CarrierKind;
  readonly streams: number;
  /** Takes no new streams: the far side said so, ids ran out, or `retire` was called. */
  readonly retired: boolean;
  readonly isClosed: boolean;
  /** We have stopped reading, because a stream's reader has. */
  readonly stalled: boolean;
  /** Bytes that the system has not taken yet. */
  readonly backlog: number;
  /** Bytes moved since the start, both ways. */
  readonly bytes: number;
  /** `performance.now()` of the last byte received. */
  readonly heardAt: number;
  /** `performance.now()` of the oldest ping without an answer. */
  readonly pingSince: number | undefined;
  /** A stream ended whose last bytes the pod may never have read, and the server hasn't yet shown that it goes on. */
  readonly suspect: boolean;
  /** `performance.now()` since when the system has taken nothing of the backlog; undefined where there is none. */
  readonly backlogSince: number | undefined;
  open(target: ForwardTarget): ForwardStream;
  /**
   * How long dials have been known to hang, in ms, or 0; asks for proof of those that may. Nothing tells of a good dial, but the server
   * takes what a stream sends after its dial only, and until then it answers no ping that waits in the same queue.
   */
  hangingDials(): number;
  /** Sends `count` pings (the server spreads them over its five workers). */
  ping(count: number): void;
  retire(): void;
  /** GOAWAY and end, where no stream is open; else as `destroy`. */
  close(): void;
  destroy(cause: Error): void;
}

/** The server reads a whole frame before it passes any of it on. */
const MAX_DATA_FRAME = 64 * 1024;
/** Above this backlog writers wait: enough that the system always has something to send. */
const MAX_BACKLOG = 256 * 1024;
/** A server that asks and asks without reading our answers gets none. */
const MAX_REPLY_BACKLOG = 1024 * 1024;
/** moby/spdystream spreads streams (by id) and pings (in turn) over as many queues, each of which one unread stream can block. */
export const SERVER_WORKERS = 5;
/** A stream whose first bytes have had no answer for this long is asked after. */
const UNPROVEN_MS = 500;
/** With more going on than this, the regular pings will do. */
const PROBE_LIMIT = 512;
/** How long the farewell may take. */
const CLOSE_MS = 1_000;
/** Then a fresh connection is due; far below the 31 bits that ids have. */
const LAST_STREAM_ID = MAX_STREAM_ID >>> 1;

export function createSpdySession(connect: CarrierFactory, options: SessionOptions): SpdySession {
  /** By the id of the data stream, and by that of the error stream. */
  const byData = new Map<number, ForwardStream>();
  const byError = new Map<number, ForwardStream>();
  const encoder = createSynStreamEncoder();
  const waiting: Array<() => void> = [];
  const pings = new Map<number, number>();
  let nextId = 1;
  let nextPing = 1;
  let requestId = 0;
  let retired = false;
  let closed = false;
  let failure: Error | undefined;
  let bytes = 0;
  let heardAt = performance.now();
  let flushedAt = heardAt;
  /** Pings sent because of a stream that ended badly. */
  const probes = new Set<number>();
  /** Pings sent behind the first bytes of streams: answered when all of these bytes were taken. */
  let dialProbe: { since: number; pings: Set<number>; streams: ForwardStream[] } | undefined;
  const full = new Set<ForwardStream>();
  let paused = false;

  const limitOf = (): number => (byData.size > 1 ? options.maxBufferedPerStream : 0);

  const pauseFor = (stream: ForwardStream): void => {
    full.add(stream);
    if (paused) return;
    paused = true;
    carrier.pause();
  };

  const roomIn = (stream: ForwardStream): void => {
    if (!full.delete(stream) || full.size > 0 || closed) return;
    paused = false;
    // A pause is no silence of the far side.
    heardAt = performance.now();
    carrier.resume();
  };

  const handler: FrameHandler = {
    data(id, chunk) {
      const stream = byData.get(id);
      if (!stream) {
        byError.get(id)?.receivedReason(chunk);
        return;
      }
      bytes += chunk.length;
      if (!stream.received(chunk) && stream.readableLength > limitOf()) pauseFor(stream);
    },
    end(id) {
      const stream = byData.get(id);
      if (stream) stream.dataEnded();
      else byError.get(id)?.reasonEnded();
    },
    reply: (id) => byData.get(id)?.accepted(),
    reset(id) {
      const stream = byData.get(id);
      if (stream) stream.wasReset();
      else byError.get(id)?.reasonEnded();
    },
    ping(id) {
      if (id % 2 === 1) {
        pings.delete(id);
        probes.delete(id);
        if (dialProbe?.pings.delete(id) && dialProbe.pings.size === 0) {
          for (const stream of dialProbe.streams) stream.taken();
          dialProbe = undefined;
        }
      } else if (carrier.backlog < MAX_REPLY_BACKLOG) carrier.write(encodePing(id));
    },
    goAway() {
      retired = true;
      if (byData.size === 0) session.close();
    },
    synStream(id) {
      throw portForwardError("PORTFORWARD_PROTOCOL", `the server opened stream ${id}, which no port-forward server does`);
    },
  };
  const decoder = createFrameDecoder(handler);

  const carrier: Carrier = connect({
    data(chunk) {
      heardAt = performance.now();
      options.moved(chunk.length);
      try {
        decoder.push(chunk);
      } catch (error) {
        session.destroy(error as Error);
      }
    },
    flushed() {
      flushedAt = performance.now();
      if (waiting.length === 0 || carrier.backlog > MAX_BACKLOG / 2) return;
      for (const resume of waiting.splice(0)) resume();
    },
    closed(cause) {
      retired = true;
      closed = true;
      const reason =
        failure ?? cause ?? portForwardError("PORTFORWARD_LOST", "the server closed the connection that carried the stream");
      for (const stream of [...byData.values()]) stream.lost(reason);
      for (const resume of waiting.splice(0)) resume();
      options.closed(closing ? undefined : reason);
    },
  });
  let closing = false;

  const send = (id: number, chunks: readonly Buffer[], taken: () => void): void => {
    if (closed) {
      taken();
      return;
    }
    let group: Buffer[] = [];
    let length = 0;
    const flush = (): void => {
      if (length === 0) return;
      carrier.write(encodeDataHeader(id, length, false));
      for (const part of group) carrier.write(part);
      bytes += length;
      options.moved(length);
      group = [];
      length = 0;
    };
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) {
        const take = Math.min(chunk.length - at, MAX_DATA_FRAME - length);
        group.push(take === chunk.length ? chunk : chunk.subarray(at, at + take));
        length += take;
        at += take;
        if (length === MAX_DATA_FRAME) flush();
      }
    }
    if (carrier.backlog === 0) flushedAt = performance.now();
    flush();
    if (carrier.backlog <= MAX_BACKLOG) taken();
    else waiting.push(taken);
  };

  /** The ids of pings, one for each queue of the server. */
  const pingAll = (): number[] => {
    const before = nextPing;
    session.ping(SERVER_WORKERS);
    return [...pings.keys()].filter((id) => id >= before && id < nextPing);
  };

  const probe = (): void => {
    if (closed || pings.size > PROBE_LIMIT) return;
    for (const id of pingAll()) probes.add(id);
  };

  const session: SpdySession = {
    kind: carrier.kind,
    get streams() {
      return byData.size;
    },
    get retired() {
      return retired;
    },
    get isClosed() {
      return closed || closing;
    },
    get stalled() {
      return paused;
    },
    get backlog() {
      return carrier.backlog;
    },
    get bytes() {
      return bytes;
    },
    get heardAt() {
      return heardAt;
    },
    get pingSince() {
      return pings.values().next().value;
    },
    get suspect() {
      return probes.size > 0 || dialProbe !== undefined;
    },
    get backlogSince() {
      return carrier.backlog > 0 ? flushedAt : undefined;
    },
    open(target) {
      const errorId = nextId;
      const dataId = nextId + 2;
      nextId += 4;
      if (nextId > LAST_STREAM_ID) retired = true;
      const common = { port: String(target.port), requestid: String(requestId++) };
      const stream: ForwardStream = new ForwardStream(
        {
          send: (chunks, taken) => send(dataId, chunks, taken),
          finish: () => carrier.write(encodeDataHeader(dataId, 0, true)),
          cancel: () => carrier.write(encodeReset(dataId, RST_STATUS.CANCEL)),
          wanted: () => roomIn(stream),
          release() {
            byData.delete(dataId);
            byError.delete(errorId);
            roomIn(stream);
            // The server blocks a fifth of the connection for good on bytes that nobody reads there. Pings show whether it did.
            if (stream.maybeUnread) probe();
            options.released();
          },
        },
        target,
        options.endings,
      );
      if (closed || closing) {
        process.nextTick(() =>
          stream.lost(portForwardError("PORTFORWARD_LOST", "the port-forward connection was closed just before")),
        );
        return stream;
      }
      byData.set(dataId, stream);
      byError.set(errorId, stream);
      // Our half of the error stream is closed from the start: nothing is ever written there.
      carrier.write(encoder.encode(errorId, { streamtype: "error", ...common }, true));
      carrier.write(encoder.encode(dataId, { streamtype: "data", ...common }, false));
      return stream;
    },
    hangingDials() {
      const now = performance.now();
      if (dialProbe) {
        dialProbe.streams = dialProbe.streams.filter((stream) => stream.unprovenSince !== undefined);
        if (dialProbe.streams.length > 0) return now - dialProbe.since;
        dialProbe = undefined;
      }
      if (closed || pings.size > PROBE_LIMIT) return 0;
      const streams = [...byData.values()].filter(({ unprovenSince = now }) => now - unprovenSince > UNPROVEN_MS);
      if (streams.length > 0) dialProbe = { since: now, pings: new Set(pingAll()), streams };
      return 0;
    },
    ping(count) {
      if (closed) return;
      for (let i = 0; i < count; i++) {
        pings.set(nextPing, performance.now());
        carrier.write(encodePing(nextPing));
        nextPing = nextPing >= 0x7fff_fffd ? 1 : nextPing + 2;
      }
    },
    retire() {
      retired = true;
    },
    close() {
      if (closed || closing) return;
      if (byData.size > 0) {
        session.destroy(portForwardError("PORTFORWARD_CLOSED", "the port-forward connection was closed"));
        return;
      }
      closing = true;
      retired = true;
      carrier.write(encodeGoAway(0, 0));
      carrier.end();
      setTimeout(() => carrier.destroy(), CLOSE_MS).unref();
    },
    destroy(cause) {
      if (closed) return;
      retired = true;
      failure ??= cause;
      carrier.destroy();
    },
  };
  return session;
}
