import type { Duplex } from "node:stream";
import { abortError, type ErrorJson, errorFromJson, errorToJson } from "@shipside/core";
import { relayError } from "../errors.ts";
import type { Asked, Mux } from "./mux.ts";

/** A request of the control API, as it travels: the body, if there is one, is the stream's bytes, and so is the answer's. */
export interface ControlQuestion {
  method: string;
  path: string;
  /** Parsed JSON; undefined where there was none. */
  body: unknown;
}

export interface ControlAnswer {
  status: number;
  body?: unknown;
}

/** More than any body of the control API is long, in bytes. */
const LONGEST_BODY = 1024 * 1024;

/** Asks the far end of a session. Rejects with its own error where it answers with one, `RELAY_LINK_LOST` where it doesn't answer. */
export async function askControl(session: Mux, { method, path, body }: ControlQuestion, signal: AbortSignal): Promise<unknown> {
  if (signal.aborted) throw abortError(signal);
  let status = 0;
  const stream = session.open({ method, path }, (answer) => {
    if ("accepted" in answer) status = Number(answer.accepted["status"]);
    return undefined;
  });
  const onAbort = (): void => void stream.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  let received: string;
  try {
    stream.end(body === undefined ? undefined : JSON.stringify(body));
    received = await readText(stream);
  } catch (cause) {
    if (signal.aborted) throw abortError(signal);
    throw relayError("RELAY_LINK_LOST", `${method} ${path}: the link ended before the relay answered`, { cause });
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  const value = parse(received, `${method} ${path}: the relay's answer`);
  if (status >= 200 && status < 400) return value;
  throw typeof (value as ErrorJson | undefined)?.code === "string"
    ? errorFromJson(value as ErrorJson)
    : relayError("RELAY_REQUEST_FAILED", `${method} ${path}: the relay answered ${status}`);
}

/** Whether a stream was opened for a request of the control API. */
export const isControl = ({ question }: Asked): boolean => typeof question["method"] === "string";

/** Answers one. What `handle` throws is answered as it is, with status 400. Never rejects. */
export async function answerControl(
  { question, stream, accept }: Asked,
  handle: (question: ControlQuestion) => Promise<ControlAnswer>,
): Promise<void> {
  const { method, path } = question;
  let answer: ControlAnswer;
  try {
    const body = parse(await readText(stream), "the request's body");
    answer = await handle({ method: String(method), path: String(path), body });
  } catch (error) {
    answer = { status: 400, body: errorToJson(error) };
  }
  if (stream.destroyed) return;
  accept({ status: answer.status });
  stream.end(answer.body === undefined ? undefined : JSON.stringify(answer.body));
}

/** All of a stream, as long as that isn't too much. */
async function readText(stream: Duplex): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    parts.push(chunk);
    length += chunk.length;
    if (length > LONGEST_BODY) throw relayError("RELAY_REQUEST_FAILED", "the body is too long");
  }
  return Buffer.concat(parts).toString();
}

function parse(json: string, what: string): unknown {
  if (json === "") return undefined;
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw relayError("RELAY_PROTOCOL", `${what} is not JSON`, { cause });
  }
}
