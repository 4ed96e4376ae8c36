import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";
import { inspectorError } from "./errors.ts";
import { type Exchange, type HeaderList, headerOf } from "./exchange.ts";
import { isHeaderValue, isOfTheConnection, isToken } from "./headers.ts";
import type { OpenExchange, Store } from "./store.ts";

/** Somewhere a request can be sent to again. */
export interface ReplayTarget {
  /** What the user calls it: `local`, `cluster`. */
  name: string;
  /** `http://` or `https://`, host and port; the path is the request's. */
  origin: string;
  /** How it is reached, where that isn't by its origin. */
  connect?(options: { signal: AbortSignal }): Promise<Duplex>;
}

/** What is sent instead of what was captured. What isn't named stays. */
export interface ReplayEdit {
  method?: string;
  path?: string;
  headers?: HeaderList;
  body?: Uint8Array;
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
  const what = checked(original, edit);
  const base = new URL(target.origin);
  // Who called then isn't who calls now.
  const { peer: _peer, caller: _caller, ...connection } = original.connection;
  const exchange = store.add({
    connection: { ...connection, route: `sent again to ${target.name} (${target.origin})` },
    startedAt: Date.now(),
    method: what.method,
    path: what.path,
    httpVersion: "1.1",
    requestHeaders: what.headers,
    replayOf: original.id,
  });
  store.addBody(exchange, "requestBody", what.body);
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const until = signal ? AbortSignal.any([signal, limit]) : limit;
    const stream = await target.connect?.({ signal: until });
    try {
      await send(store, exchange, { base, ...(stream && { stream }) }, what, until);
    } finally {
      stream?.destroy();
    }
  } catch (error) {
    exchange.state = "failed";
    exchange.note = String((error as Error).message);
    exchange.timings.done = Date.now() - exchange.startedAt;
    store.touch(exchange);
    throw inspectorError(
      "INSPECTOR_REPLAY_FAILED",
      `${what.method} ${what.path} was sent again to ${target.name} (${target.origin}) and not answered`,
      {
        cause: error,
        hint: limit.aborted ? `it took longer than ${timeoutMs / 1000} s` : hintOf(error),
        details: { exchange: exchange.id },
      },
    );
  }
  return exchange;
}

interface Outgoing {
  method: string;
  path: string;
  headers: HeaderList;
  body: Uint8Array;
}

function checked(original: Exchange, edit: ReplayEdit): Outgoing {
  const invalid = (why: string): Error =>
    inspectorError("INSPECTOR_REPLAY_INVALID", `request ${original.id} can't be sent again so: ${why}`, {
      hint: "correct that part of the request",
    });
  if (original.httpVersion === "") throw invalid(`it is a connection of ${original.method}, and no request`);
  const { requestBody } = original;
  if (edit.body === undefined && requestBody.kept.length < requestBody.bytes)
    throw inspectorError(
      "INSPECTOR_BODY_CUT",
      `request ${original.id} can't be sent again: ${requestBody.kept.length} of its ${requestBody.bytes} bytes were kept`,
      {
        hint: "give a body of your own, or raise maxBodyBytes",
      },
    );
  const { method = original.method, path = original.path, body = requestBody.kept } = edit;
  const headers = (edit.headers ?? original.requestHeaders).filter(([name]) => !isOfTheConnection(name));
  if (!isToken(method) || method === "CONNECT") throw invalid(`${JSON.stringify(method)} is no method that can be sent again`);
  if (original.httpVersion === "2" && /^application\/grpc\b/i.test(headerOf(headers, "content-type") ?? ""))
    throw inspectorError(
      "INSPECTOR_REPLAY_INVALID",
      `request ${original.id} can't be sent again: it is a call of gRPC, which takes HTTP/2`,
      {
        hint: "a request is sent again by HTTP/1.1; grpcurl sends calls",
      },
    );
  if (original.status === 101) throw invalid("it became a WebSocket, or another protocol");
  if (!/^[\x21-\x7e]+$/.test(path) || !/^(?:\/|\*$|https?:\/\/)/.test(path)) throw invalid(`${JSON.stringify(path)} is no path`);
  for (const [name, value] of headers) {
    if (!isToken(name)) throw invalid(`${JSON.stringify(name)} is no name of a header`);
    if (!isHeaderValue(value)) throw invalid(`the value of ${name} holds characters that a header can't`);
  }
  return { method, path, headers, body };
}

function send(
  store: Store,
  exchange: OpenExchange,
  { base, stream }: { base: URL; stream?: Duplex },
  { method, path, headers, body }: Outgoing,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const bodiless = body.length === 0 && (method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE");
    const flat = headers.flat();
    if (headerOf(headers, "host") === undefined) flat.push("host", base.host);
    if (!bodiless) flat.push("content-length", String(body.length));
    const request = (base.protocol === "https:" ? httpsRequest : httpRequest)({
      host: base.hostname.replace(/^\[|\]$/g, ""),
      port: base.port || (base.protocol === "https:" ? 443 : 80),
      method,
      path: path.startsWith("http") ? `${new URL(path).pathname}${new URL(path).search}` : path,
      headers: flat,
      ...(stream ? { createConnection: () => stream } : { agent: false }),
      signal,
    });
    const since = (): number => Date.now() - exchange.startedAt;
    request.on("error", reject);
    request.once("finish", () => {
      exchange.timings.sent = since();
    });
    request.once("upgrade", (_answer, socket) => {
      socket.destroy();
      reject(new Error("the answer leads to another protocol"));
    });
    request.once("response", (response) => {
      const { rawHeaders } = response;
      const list = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ""] as const] : []));
      exchange.timings.answered = since();
      store.answer(exchange, { status: response.statusCode ?? 0, statusText: response.statusMessage ?? "", headers: list });
      response.on("data", (part: Uint8Array) => store.addBody(exchange, "responseBody", part));
      response.on("error", reject);
      response.once("end", () => {
        exchange.timings.done = since();
        exchange.state = "done";
        store.touch(exchange);
        resolve();
      });
      response.once("close", () => reject(new Error("the answer broke off")));
    });
    request.end(body);
  });
}

const hintOf = (error: unknown): string => (error as { hint?: string }).hint ?? "is something listening there?";
