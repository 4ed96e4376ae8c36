/** As they stood on the wire: order, case and repetition kept. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** What is known of a connection before its first byte. All of it is shown, filtered by, and never interpreted. */
export interface ConnectionFacts {
  /** Into the local process, or out of it. */
  direction: "incoming" | "outgoing";
  /** Who called, as the connection shows it: `address:port`. */
  peer?: string;
  /** The name of who called, where it is known: `namespace/pod`, or a process of this machine. */
  caller?: string;
  /** Why there is no name for who called, in words. */
  callerNote?: string;
  namespace?: string;
  service?: string;
  /** The port that it was for, 1–65535. */
  port?: number;
  /** The port of this machine that serves it, 1–65535. */
  localPort?: number;
  /** Where it was sent, and by which rule, in words. */
  route?: string;
  /** The session that it belongs to. */
  session?: string;
}

/** Who called, as it is found out later. */
export type CallerFacts = Pick<ConnectionFacts, "caller" | "callerNote">;

export interface Body {
  /** What went over the wire, without the framing of chunks. */
  bytes: number;
  /** The first of them, as far as the limit; still compressed where `content-encoding` says so. */
  kept: Uint8Array;
}

/** A WebSocket message or an event of an event stream. */
export interface Message {
  /** ms since the exchange began. */
  at: number;
  /** `in`: sent by the one who made the request. */
  direction: "in" | "out";
  kind: "text" | "binary" | "close" | "ping" | "pong" | "event";
  /** Of the whole message; the text may be cut. */
  bytes: number;
  /** Text as it is; binary as hex. At most 4,096 characters. */
  text: string;
}

/** A request and its answer, as far as it has come. */
export interface Exchange {
  /** Counts up from 1, also over what was dropped from the store. */
  readonly id: number;
  readonly connection: ConnectionFacts;
  /** ms since 1970. */
  readonly startedAt: number;
  readonly method: string;
  /** As it stood in the request line: mostly a path with a query. */
  readonly path: string;
  /** `1.0`, `1.1` or `2`; "" where it is no request, but the summary of a connection that is no HTTP: its method names the protocol. */
  readonly httpVersion: string;
  readonly requestHeaders: HeaderList;
  readonly requestBody: Body;
  /** Undefined until the answer's head is there. */
  status: number | undefined;
  statusText: string;
  responseHeaders: HeaderList;
  /** What came behind the answer's body: gRPC tells its status there. */
  responseTrailers: HeaderList;
  readonly responseBody: Body;
  /** ms since the start: the request's end, the answer's head, the answer's end. */
  readonly timings: { sent?: number; answered?: number; done?: number };
  state: "open" | "done" | "failed";
  /** Why it failed, or in which way it is kept only in part. */
  note: string | undefined;
  readonly messages: Message[];
  /** How many messages there were; the first of them are kept. */
  messageCount: number;
  pinned: boolean;
  /** The id of the exchange that this one repeats. */
  readonly replayOf: number | undefined;
}

/** The first value of a header; names are compared without case (RFC 9110, 5.1). */
export function headerOf(headers: HeaderList, name: string): string | undefined {
  return headers.find(([each]) => each.toLowerCase() === name)?.[1];
}
