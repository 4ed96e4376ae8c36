import type { Duplex } from "node:stream";
import { abortError, codeOf } from "@shipside/core";
import { type RelayErrorCode, relayError } from "../errors.ts";
import type { Answer, Asked, Mux } from "./mux.ts";

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
export function openConnect(session: Mux, request: ConnectRequest): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const { authority, signal } = request;
    const done = (settle: () => void): undefined => {
      signal.removeEventListener("abort", onAbort);
      stream.off("close", onClose);
      settle();
    };
    const stream = ask(session, request, (answer) =>
      done(() => ("accepted" in answer ? resolve(stream) : reject(refusal(authority, answer.refused)))),
    );
    const onAbort = (): void => {
      done(() => reject(abortError(signal)));
      stream.destroy();
    };
    const onClose = (): void => done(() => reject(unanswered(session, authority)));
    signal.addEventListener("abort", onAbort, { once: true });
    stream.on("close", onClose);
  });
}

/**
 * The same without waiting for the answer, so that the first bytes go along with the question. A refusal is the stream's error, with the
 * same code, and `refused` is told: what was written then was read by nobody.
 */
export function openConnectAhead(session: Mux, request: ConnectRequest, refused: () => void): Duplex {
  return ask(session, request, (answer) => {
    if ("accepted" in answer) return undefined;
    refused();
    return refusal(request.authority, answer.refused);
  });
}

function ask(session: Mux, request: ConnectRequest, onAnswer: (answer: Answer) => Error | undefined): Duplex {
  const { authority, headers, signal } = request;
  if (signal.aborted) throw abortError(signal);
  if (session.isClosed) throw unanswered(session, authority);
  return session.open({ authority, ...(headers && { headers }) }, onAnswer);
}

function unanswered(session: Mux, authority: string): Error {
  return session.isClosed
    ? relayError("RELAY_LINK_LOST", `${authority}: the link ended before the connection stood`)
    : relayError("DIAL_FAILED", `${authority}: the connection was given up at the other end of the link before it stood`);
}

function refusal(authority: string, { code, message }: Readonly<Record<string, unknown>>): Error {
  const known = (typeof code === "string" && DIAL_CODES.includes(code) ? code : "DIAL_FAILED") as RelayErrorCode;
  return relayError(known, `${authority}: ${typeof message === "string" ? message : "no reason was given"}`);
}

/** A connection that the other end asks for; undefined where what it asks for is none. */
export function connectQuestion({ question }: Asked): Pick<Required<ConnectRequest>, "authority" | "headers"> | undefined {
  const { authority, headers = {} } = question;
  if (typeof authority !== "string" || typeof headers !== "object" || headers === null) return undefined;
  return { authority, headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => typeof value === "string")) };
}

/** The connection stands, and its bytes are those of the duplex. */
export function acceptConnect(asked: Asked): Duplex {
  asked.accept();
  return asked.stream;
}

/** There is no connection: by the error's code where it is one of the dialer's, else `DIAL_FAILED`. */
export function refuseConnect(asked: Asked, error: unknown): void {
  const code = codeOf(error) ?? "";
  const message = error instanceof Error ? error.message : String(error);
  asked.refuse({ code: DIAL_CODES.includes(code) ? code : "DIAL_FAILED", message: message.slice(0, 500) });
}
