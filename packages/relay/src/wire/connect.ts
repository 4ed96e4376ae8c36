import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import { abortError, codeOf } from "@shipside/core";
import { type RelayErrorCode, relayError } from "../errors.ts";
import { HEADERS } from "../protocol.ts";
import { exactStream } from "./exact-stream.ts";

export interface ConnectRequest {
  /** `host:port`; an IPv6 address in brackets. */
  authority: string;
  /** Of `HEADERS`, by their names on the wire. */
  headers?: Readonly<Record<string, string>>;
  signal: AbortSignal;
}

const DIAL_CODES: readonly string[] = ["DIAL_REFUSED", "DIAL_GONE", "DIAL_FAILED"] satisfies RelayErrorCode[];

/**
 * Opens a connection at the other end of a session. Rejects with `DIAL_REFUSED`, `DIAL_GONE` or `DIAL_FAILED` as the other end says, and
 * with `RELAY_LINK_LOST` where the session ends before it has answered.
 */
export function openConnect(session: ClientHttp2Session, request: ConnectRequest): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const { authority, signal } = request;
    const stream = ask(session, request);
    const onAbort = (): void => {
      stream.close(constants.NGHTTP2_CANCEL);
      done(() => reject(abortError(signal)));
    };
    const onFailed = (error?: unknown): void => done(() => reject(lost(authority, error)));
    const done = (settle: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      stream.off("close", onFailed);
      settle();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    // Stays: whatever comes later is told by the exact stream, or to nobody.
    stream.on("error", onFailed);
    stream.on("close", onFailed);
    stream.once("response", (answer) => {
      if (answer[":status"] === 200) return done(() => resolve(exactStream(stream)));
      stream.close(constants.NGHTTP2_CANCEL);
      done(() => reject(refusal(authority, answer)));
    });
  });
}

/**
 * The same without waiting for the answer, so that the first bytes go along with the question. A refusal is the stream's error, with the
 * same code, and `refused` is told: what was written then was read by nobody.
 */
export function openConnectAhead(session: ClientHttp2Session, request: ConnectRequest, refused: () => void): Duplex {
  const stream = ask(session, request);
  stream.once("response", (answer) => {
    if (answer[":status"] === 200) return;
    refused();
    duplex.destroy(refusal(request.authority, answer));
  });
  const duplex = exactStream(stream);
  return duplex;
}

function ask(session: ClientHttp2Session, { authority, headers, signal }: ConnectRequest): ClientHttp2Stream {
  if (signal.aborted) throw abortError(signal);
  if (session.closed || session.destroyed) throw lost(authority);
  return session.request({ ":method": "CONNECT", ":authority": authority, ...headers }, { endStream: false });
}

function lost(authority: string, cause?: unknown): Error {
  return relayError("RELAY_LINK_LOST", `${authority}: the link ended before the connection stood`, { cause });
}

function refusal(authority: string, answer: IncomingHttpHeaders): Error {
  const said = String(answer[HEADERS.error] ?? "");
  const code = (DIAL_CODES.includes(said) ? said : "DIAL_FAILED") as RelayErrorCode;
  return relayError(code, `${authority}: ${decodeURIComponent(String(answer[HEADERS.message] ?? "no reason was given"))}`);
}

/** Answers a CONNECT: the connection stands, and its bytes are those of the duplex. */
export function acceptConnect(stream: ServerHttp2Stream): Duplex {
  stream.respond({ ":status": 200 });
  return exactStream(stream);
}

/** Answers a CONNECT with why there is no connection: the code where it is one of the dialer's, else `DIAL_FAILED`. */
export function refuseConnect(stream: ServerHttp2Stream, error: unknown): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  const code = codeOf(error) ?? "";
  const message = error instanceof Error ? error.message : String(error);
  stream.respond(
    {
      ":status": 502,
      [HEADERS.error]: DIAL_CODES.includes(code) ? code : "DIAL_FAILED",
      [HEADERS.message]: encodeURIComponent(message.slice(0, 500)),
    },
    { endStream: true },
  );
}
