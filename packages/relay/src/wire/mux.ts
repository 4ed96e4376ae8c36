import type { Duplex } from "node:stream";
import { relayError } from "../errors.ts";
import { createFrameDecoder, encodeCredit, encodeHeader, encodeText, FRAME, type FrameType } from "./frames.ts";
import { connectionReset, MuxStream, type StreamLines } from "./mux-stream.ts";

/** What a stream is for, or the answer to that: JSON. */
export type Text = Readonly<Record<string, unknown>>;

/** A stream that the far end has opened, and that waits for an answer. */
export interface Asked {
  readonly question: Text;
  /** Its bytes. It closes when the far end gives it up. */
  readonly stream: Duplex;
  accept(answer?: Text): void;
  refuse(reason: Text): void;
}

/** How a stream's far end has answered: not at all where the stream is closed before. */
export type Answer = { accepted: Text } | { refused: Text };

/** Many streams on one. */
export interface Mux {
  readonly isClosed: boolean;
  /** Open ones. */
  readonly streams: number;
  /** Moved so far, both ways. */
  readonly bytes: number;
  /** Resolves when it is over, with what ended it unless that was {@link Mux.destroy}. */
  readonly closed: Promise<Error | undefined>;
  /**
   * Opens a stream, which may be written to at once. A refusal destroys it, with the error that `onAnswer` returns. Throws
   * `RELAY_LINK_LOST` where the session is over.
   */
  open(question: Text, onAnswer: (answer: Answer) => Error | undefined): Duplex;
  /** Resets every stream, at both ends, and ends the wire. */
  destroy(): void;
}

export interface MuxOptions {
  /** Belongs to the session from now on. */
  wire: Duplex;
  end: keyof typeof WINDOWS;
  /** How long the far end may be silent until it is taken for dead, in ms. It is looked once a second. */
  silenceMs: number;
  /** Called for each stream of the far end's. Without it, this is the end that opens them. */
  onOpen?(asked: Asked): void;
}

/** What one stream that is read may have on the way, in bytes: with d ms there and back, it carries no more than that in d ms. */
const WIDEST_WINDOW = 4 * 1024 * 1024;
/** What all streams together may have beyond their first windows, in bytes. A developer's machine has the room, a pod has less. */
const WINDOWS = { ours: 256 * 1024 * 1024, relay: 32 * 1024 * 1024 } as const;
/** More at a time are refused. */
const MAX_STREAMS = 16_384;
/** What may wait in the wire before writers do, in bytes: what another stream sends comes behind that. */
const MAX_BACKLOG = 256 * 1024;
/** Who asks and asks without reading what we answer is cut off at this backlog, in bytes. */
const MAX_REPLY_BACKLOG = 16 * 1024 * 1024;
const LAST_STREAM = 0xffff_ffff;
/** How long what nobody waits for may wait for company, in ms: where connections are many and short, a reset goes with the next question. */
const SOON_MS = 2;
/** When something leaves at the latest: with what this turn of the event loop sends, with what the next one does, or after `SOON_MS`. */
type Hurry = "this turn" | "next turn" | "soon";
/** What is shorter than this, in bytes, is handed over with what comes after it in the same piece. */
const SMALL = 4 * 1024;
/** The far end is asked this often for a sign of life, in ms. */
const PING_MS = 1_000;

export function createMux({ wire, end, silenceMs, onOpen }: MuxOptions): Mux {
  const streams = new Map<number, MuxStream>();
  /** How the streams that we opened were answered, until they are. */
  const answers = new Map<number, (answer: Answer) => Error | undefined>();
  let waiting = new Set<MuxStream>();
  let lastStream = 0;
  let windows = 0;
  let moved = 0;
  let now: NodeJS.Immediate | undefined;
  let soon: NodeJS.Timeout | undefined;
  let isClosed = false;
  let heard = performance.now();
  let ticked = heard;
  const closed = Promise.withResolvers<Error | undefined>();

  const flush = (): void => {
    clearImmediate(now);
    clearTimeout(soon);
    now = undefined;
    soon = undefined;
    wire.uncork();
  };
  /**
   * What is written in one turn of the event loop leaves together, whichever streams it is of: on its way through an API server and a kubelet
   * each piece costs as much as many. What is in no hurry goes with the next that is.
   */
  const write = (bytes: Buffer, hurry: Hurry = "this turn"): void => {
    if (isClosed) return;
    if (!now && !soon) wire.cork();
    if (hurry === "soon") soon ??= setTimeout(flush, SOON_MS);
    else if (hurry === "this turn") now ??= setImmediate(flush);
    else {
      now ??= setImmediate(() => {
        now = setImmediate(flush);
      });
    }
    moved += bytes.length;
    wire.write(bytes);
    if (wire.writableLength > MAX_REPLY_BACKLOG)
      lose(relayError("RELAY_PROTOCOL", "the other end of the link asks without reading"));
  };
  const send = (type: FrameType, stream: number, hurry?: Hurry): void => write(encodeHeader(type, stream, 0), hurry);

  const lose = (error?: Error): void => {
    if (isClosed) return;
    isClosed = true;
    clearInterval(timer);
    clearImmediate(now);
    clearTimeout(soon);
    wire.destroy();
    for (const stream of [...streams.values()]) stream.cut(connectionReset(error));
    closed.resolve(error);
  };

  const addStream = (id: number): MuxStream => {
    const lines: StreamLines = {
      data(bytes) {
        write(encodeHeader(FRAME.DATA, id, bytes.length));
        write(bytes);
      },
      // A connection is often ended in the turn before another is taken.
      fin: () => send(FRAME.FIN, id, "next turn"),
      reset: () => send(FRAME.RESET, id, "soon"),
      credit: (bytes) => write(encodeCredit(id, bytes)),
      get full() {
        return wire.writableLength >= MAX_BACKLOG;
      },
      waitForRoom: () => void waiting.add(stream),
      grow(bytes) {
        if (windows + bytes > WINDOWS[end]) return false;
        windows += bytes;
        return true;
      },
      shrink(bytes) {
        windows -= bytes;
      },
      over() {
        streams.delete(id);
        answers.delete(id);
        waiting.delete(stream);
      },
    };
    const stream = new MuxStream(lines, WIDEST_WINDOW);
    // Stays: it may be reset before anybody listens.
    stream.on("error", () => {});
    streams.set(id, stream);
    return stream;
  };

  const asked = (id: number, payload: Buffer): void => {
    if (!onOpen || id <= lastStream) throw relayError("RELAY_PROTOCOL", `the other end can't open stream ${id} of the link`);
    lastStream = id;
    const question = parseText(payload);
    if (streams.size >= MAX_STREAMS) {
      write(encodeText(FRAME.REFUSE, id, { message: `${MAX_STREAMS} connections are open already` }));
      return;
    }
    const stream = addStream(id);
    let answered = false;
    const answer = (type: FrameType, text?: Text): void => {
      // Who has sent bytes already doesn't wait for a yes.
      const hurry = type === FRAME.ACCEPT && stream.readableLength > 0 ? "soon" : "this turn";
      if (!answered && streams.has(id)) write(encodeText(type, id, text), hurry);
      answered = true;
    };
    onOpen({
      question,
      stream,
      accept: (text) => answer(FRAME.ACCEPT, text),
      refuse(text) {
        if (answered) return;
        answer(FRAME.REFUSE, text);
        stream.cut();
      },
    });
  };

  const take = (type: FrameType, id: number, payload: Buffer): void => {
    if (isClosed) return;
    if (type === FRAME.PING) return void send(FRAME.PONG, 0);
    if (type === FRAME.PONG) return;
    if (type === FRAME.OPEN) return void asked(id, payload);
    const stream = find(id);
    // What the far end sent before it knew that the stream is over.
    if (!stream) return;
    if (type === FRAME.FIN) stream.ended();
    else if (type === FRAME.RESET) stream.cut(connectionReset());
    else if (type === FRAME.CREDIT) stream.credited(payload.readUInt32BE());
    else {
      const onAnswer = answers.get(id);
      if (!onAnswer) throw relayError("RELAY_PROTOCOL", `stream ${id} of the link was answered, and not asked for`);
      answers.delete(id);
      const text = payload.length > 0 ? parseText(payload) : {};
      if (type === FRAME.ACCEPT) onAnswer({ accepted: text });
      else stream.cut(onAnswer({ refused: text }));
    }
  };

  const find = (id: number): MuxStream | undefined => {
    if (id > lastStream) throw relayError("RELAY_PROTOCOL", `a frame came for stream ${id} of the link, which was never opened`);
    return streams.get(id);
  };

  let small: { stream: MuxStream; parts: Buffer[] } | undefined;
  const handOver = (): void => {
    if (!small) return;
    const { stream, parts } = small;
    small = undefined;
    stream.received(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
  };
  /** Small frames of one stream, as answers are, go to their reader as one: each may wake another process. */
  const data = (id: number, bytes: Buffer): void => {
    const stream = find(id);
    if (small && small.stream !== stream) handOver();
    if (!stream) return;
    if (bytes.length < SMALL) (small ??= { stream, parts: [] }).parts.push(bytes);
    else {
      handOver();
      stream.received(bytes);
    }
  };
  const frame = (type: FrameType, id: number, payload: Buffer): void => {
    handOver();
    take(type, id, payload);
  };
  const decoder = createFrameDecoder({ data, frame });

  wire.on("error", (error: Error) => lose(error));
  wire.on("close", () => lose(relayError("RELAY_LINK_LOST", "the link was cut")));
  wire.on("end", () => lose(relayError("RELAY_LINK_LOST", "the other end has ended the link")));
  wire.on("data", (chunk: Buffer) => {
    if (isClosed) return;
    heard = performance.now();
    moved += chunk.length;
    try {
      decoder.push(chunk);
      handOver();
    } catch (error) {
      lose(error as Error);
    }
  });
  wire.on("drain", () => {
    // In turn: who still has something to send afterwards stands at the end.
    const turn = waiting;
    waiting = new Set();
    for (const stream of turn) stream.flush();
  });
  const timer = setInterval(() => {
    const time = performance.now();
    // This process itself stood still: what has come meanwhile is not yet read.
    if (time - ticked > 2 * PING_MS) heard = time;
    ticked = time;
    if (time - heard > silenceMs) {
      lose(relayError("RELAY_LINK_LOST", `the other end of the link has been silent for ${Math.round(time - heard)} ms`));
    } else send(FRAME.PING, 0);
  }, PING_MS);
  timer.unref();
  wire.resume();
  if (wire.destroyed) setImmediate(() => lose(relayError("RELAY_LINK_LOST", "the link was cut")));

  return {
    get isClosed() {
      return isClosed;
    },
    get streams() {
      return streams.size;
    },
    get bytes() {
      return moved;
    },
    closed: closed.promise,
    open(question, onAnswer) {
      if (lastStream === LAST_STREAM) lose(relayError("RELAY_LINK_LOST", "the link has no more numbers for streams"));
      if (isClosed || onOpen) throw relayError("RELAY_LINK_LOST", "the link takes no more streams");
      const frame = encodeText(FRAME.OPEN, lastStream + 1, question);
      const id = ++lastStream;
      const stream = addStream(id);
      answers.set(id, onAnswer);
      // The first bytes of a connection that was just taken are read in the turn after.
      write(frame, "next turn");
      return stream;
    },
    destroy: () => lose(),
  };
}

function parseText(payload: Buffer): Text {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString());
  } catch (cause) {
    throw relayError("RELAY_PROTOCOL", "what came in a frame of the link's is not JSON", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw relayError("RELAY_PROTOCOL", "what came in a frame of the link's is no JSON object");
  }
  return value as Text;
}
