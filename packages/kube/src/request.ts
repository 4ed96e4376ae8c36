import { EventEmitter } from "node:events";
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { abortError, hasCode, type Logger, ShipsideError } from "@shipside/core";
import { createBackoff, pause } from "./backoff.ts";
import type { CredentialSource, Credentials } from "./credentials.ts";
import { kubeError } from "./errors.ts";
import type { Action } from "./forbidden.ts";
import { networkError } from "./network-error.ts";
import { describe, statusError } from "./status-error.ts";
import type { Upgraded, Wire } from "./wire.ts";

export interface ApiRequest {
  action: Action;
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Path and query. */
  path: string;
  headers?: OutgoingHttpHeaders;
  body?: string;
  signal?: AbortSignal | undefined;
}

/** Requests with what every one of them needs: credentials (refreshed once on 401), time limits, retries, coded errors. */
export interface Requester {
  /** The body of a success, parsed. */
  json<T>(request: ApiRequest): Promise<T>;
  /** The response of a success, for as long as the server sends; `signal` ends it. One attempt. The time limit is for the headers. */
  stream(request: ApiRequest & { signal: AbortSignal }): Promise<IncomingMessage>;
  upgrade(request: Omit<ApiRequest, "body"> & { signal: AbortSignal }): Promise<Upgraded>;
}

export interface RequesterOptions {
  wire: Wire;
  credentials: CredentialSource;
  server: string;
  /** For a whole request with its retries, in ms. */
  timeoutMs: number;
  logger: Logger;
  /** Ends everything. */
  signal: AbortSignal;
}

const MAX_ATTEMPTS = 5;
/** More than any object that etcd takes, times a page. */
const MAX_BODY = 512 << 20;
const MAX_ERROR_BODY = 64 << 10;

export function createRequester(options: RequesterOptions): Requester {
  const { wire, credentials, server, logger } = options;

  /** Sends, and once more with fresh credentials after a 401. Resolves with a success; any other answer is an error. */
  const send = async <R extends IncomingMessage | Upgraded>(
    action: Action,
    { signal, untimed }: Exchange,
    attempt: (credentials: Credentials) => Promise<R | IncomingMessage>,
    succeeded: (answer: R | IncomingMessage) => answer is R,
  ): Promise<R> => {
    let using = await untimed(credentials.current(signal));
    for (let again = true; ; again = false) {
      const answer = await attempt(using);
      if (succeeded(answer)) return answer;
      const response = answer as IncomingMessage;
      const status = response.statusCode ?? 0;
      const body = (await readBody(response, MAX_ERROR_BODY, server).catch(() => Buffer.alloc(0))).toString("utf8");
      const error = statusError({ status, headers: response.headers, body, action, server });
      if (status !== 401 || !again) throw error;
      const fresh = await untimed(credentials.refresh(using, signal)).catch((cause: unknown) => {
        throw cause instanceof ShipsideError ? cause : error;
      });
      if (!fresh) throw error;
      logger.debug("credentials refreshed after the API server refused them", { server });
      using = fresh;
    }
  };

  const isOk = (response: IncomingMessage | Upgraded): response is IncomingMessage =>
    "statusCode" in response && response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 300;
  const isUpgraded = (answer: IncomingMessage | Upgraded): answer is Upgraded => "socket" in answer && "head" in answer;

  const once = async <T>(request: ApiRequest, exchange: Exchange): Promise<T> => {
    const { action, method, path, body } = request;
    const headers = { "Accept-Encoding": "gzip", ...request.headers };
    const { signal } = exchange;
    const response = await send<IncomingMessage>(
      action,
      exchange,
      (current) =>
        wire.send({
          method,
          path,
          headers,
          ...(body !== undefined && { body }),
          connection: "pooled",
          credentials: current,
          signal,
        }),
      isOk,
    );
    const text = (await readBody(response, MAX_BODY, server)).toString("utf8");
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw kubeError("KUBE_PROTOCOL", `could not ${describe(action)}: ${server} answered something that is not JSON`, { cause });
    }
  };

  return {
    json: <T>(request: ApiRequest) =>
      within(options, request, async (exchange) => {
        const { signal } = exchange;
        const backoff = createBackoff({ baseMs: 200, maxMs: 3_000 });
        for (let attempt = 1; ; attempt++) {
          try {
            return await once<T>(request, exchange);
          } catch (error) {
            if (signal.aborted || attempt >= MAX_ATTEMPTS || !mayRetry(error, request.method)) throw error;
            const asked = (error as ShipsideError).details?.["retryAfterMs"];
            const wait = Math.max(backoff.next(), typeof asked === "number" ? asked : 0);
            if (wait > options.timeoutMs) throw error;
            logger.debug("request is tried again", {
              path: request.path,
              attempt,
              waitMs: Math.round(wait),
              code: (error as ShipsideError).code,
            });
            await pause(wait, signal);
            if (signal.aborted) throw error;
          }
        }
      }),
    stream: ({ action, method, path, headers, signal }) =>
      within(options, { action, signal }, (exchange) =>
        send<IncomingMessage>(
          action,
          exchange,
          (current) =>
            wire.send({
              method,
              path,
              ...(headers && { headers }),
              connection: "own",
              credentials: current,
              signal: exchange.signal,
            }),
          isOk,
        ),
      ),
    upgrade: ({ action, method, path, headers, signal }) =>
      within(options, { action, signal }, (exchange) =>
        send<Upgraded>(
          action,
          exchange,
          (current) => wire.upgrade({ method, path, ...(headers && { headers }), credentials: current, signal: exchange.signal }),
          isUpgraded,
        ),
      ),
  };
}

interface Exchange {
  /** Fires when the caller gives up, the cluster is closed, or the time is over (then the reason is `KUBE_TIMEOUT`). */
  signal: AbortSignal;
  /** The clock stands still meanwhile: a person may be logging in. What is waited for has a limit of its own. */
  untimed<T>(waiting: Promise<T>): Promise<T>;
}

/** Runs `work` under the time limit. Where it gives a stream, the signal goes on to end that, without the limit. */
async function within<T>(
  options: RequesterOptions,
  { action, signal }: { action: Action; signal?: AbortSignal | undefined },
  work: (exchange: Exchange) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const sources = [options.signal, ...(signal ? [signal] : [])];
  const onAbort = (): void => controller.abort(abortError(sources.find((source) => source.aborted)!));
  if (sources.some((source) => source.aborted)) onAbort();
  for (const source of sources) source.addEventListener("abort", onAbort, { once: true });
  const detach = (): void => {
    for (const source of sources) source.removeEventListener("abort", onAbort);
  };

  let left = options.timeoutMs;
  let since = 0;
  let timer: NodeJS.Timeout | undefined;
  const start = (): void => {
    since = Date.now();
    timer = setTimeout(() => {
      controller.abort(
        kubeError(
          "KUBE_TIMEOUT",
          `could not ${describe(action)}: ${options.server} did not answer within ${options.timeoutMs / 1000} s`,
          {
            hint: "the network or the API server is slow; requestTimeoutMs raises the limit",
            details: { server: options.server, timeoutMs: options.timeoutMs },
          },
        ),
      );
    }, left);
  };
  const stop = (): void => {
    clearTimeout(timer);
    left = Math.max(1, left - (Date.now() - since));
  };
  const untimed = async <R>(waiting: Promise<R>): Promise<R> => {
    stop();
    try {
      return await waiting;
    } finally {
      start();
    }
  };

  let streaming = false;
  start();
  try {
    controller.signal.throwIfAborted();
    const result = await work({ signal: controller.signal, untimed });
    if (result instanceof EventEmitter) {
      streaming = true;
      result.once("close", detach);
    }
    return result;
  } catch (error) {
    throw controller.signal.aborted ? abortError(controller.signal) : error;
  } finally {
    clearTimeout(timer);
    if (!streaming) detach();
  }
}

/** 429 was not carried out, whatever the verb. The rest only where doing it twice does no harm. */
function mayRetry(error: unknown, method: string): boolean {
  if (hasCode(error, "KUBE_THROTTLED")) return true;
  if (method !== "GET") return false;
  if (hasCode(error, "KUBE_SERVER_ERROR")) return ((error as ShipsideError).details?.["status"] as number) >= 500;
  // A kept-alive connection that the server closed meanwhile; refused or unresolvable is told at once.
  const reason = (error as ShipsideError).details?.["reason"];
  return hasCode(error, "KUBE_UNREACHABLE") && (reason === "ECONNRESET" || reason === "EPIPE");
}

async function readBody(response: IncomingMessage, limit: number, server: string): Promise<Buffer> {
  const gzip = response.headers["content-encoding"] === "gzip";
  const source: Readable = gzip ? response.pipe(createGunzip()) : response;
  if (gzip) response.on("error", (error) => source.destroy(error));
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) throw kubeError("KUBE_PROTOCOL", `${server} sent more than ${limit >> 20} MiB in one answer`);
      chunks.push(chunk);
    }
  } catch (error) {
    response.destroy();
    throw networkError(error, server, "reading the answer");
  }
  return Buffer.concat(chunks);
}
