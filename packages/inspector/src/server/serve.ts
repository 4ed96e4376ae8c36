import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { type Closable, codeOf, createCloser, errorToJson, hasCode } from "@shipside/core";
import { inspectorError } from "../errors.ts";
import { parseFilter } from "../filter.ts";
import type { Inspector } from "../inspector.ts";
import type { SessionSource } from "../sessions.ts";
import { answerApi } from "./api.ts";
import { feed } from "./event-feed.ts";
import { checkOrigin, checkToken, cookieName, isToken } from "./guard.ts";
import { PAGE_POLICY, pageFile } from "./page-files.ts";

export interface ServeOptions {
  inspector: Inspector;
  /** What is open, beside the traffic. Default: nothing. */
  sessions?: SessionSource;
  /** The first one that is tried, 1–65535, or 0 for any. Default 4040. */
  port?: number;
  /** Who has it may see everything. Default: a new one of 24 random bytes. */
  token?: string;
  /** The folder of the page's files. Default: the one in the package. */
  page?: URL;
}

/** The page and its API, on this machine's loopback addresses. */
export interface InspectorServer extends Closable {
  /** The one that it got: the next free one from `port`. */
  readonly port: number;
  readonly token: string;
  /** `127.0.0.1`, and `::1` where the machine has it. */
  readonly addresses: readonly string[];
  /** A link with the token in its fragment, which no browser sends to anybody; with `id`, to one request. */
  link(id?: number): string;
  /** A link that opens the page once within a minute: for a browser's command line, which other users of the machine can read. */
  linkOnce(): string;
}

const PORTS_TRIED = 100;
/** How long a link that works once waits for its browser, in ms. */
const ONCE_MS = 60_000;
const LONGEST_BODY = 8 * 1024 * 1024;
const STATUS_OF: Readonly<Record<string, number>> = {
  INSPECTOR_UNAUTHORIZED: 401,
  INSPECTOR_FORBIDDEN: 403,
  INSPECTOR_NOT_FOUND: 404,
  INSPECTOR_GONE: 404,
  INSPECTOR_PAGE_MISSING: 404,
  INSPECTOR_PINS_FULL: 409,
  INSPECTOR_BODY_CUT: 409,
  INSPECTOR_NO_TARGET: 409,
  INSPECTOR_FILTER_INVALID: 400,
  INSPECTOR_REQUEST_INVALID: 400,
  INSPECTOR_REPLAY_INVALID: 400,
  INSPECTOR_REPLAY_FAILED: 502,
};

/** Rejects with `INSPECTOR_PORT_TAKEN` where none of a hundred ports is free, `INSPECTOR_OPTIONS_INVALID` for a port or token that can't be. */
export async function serveInspector(options: ServeOptions): Promise<InspectorServer> {
  const { inspector, sessions = () => [], port: wanted = 4040, token = newToken(), page } = options;
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65_535)
    throw inspectorError("INSPECTOR_OPTIONS_INVALID", `the inspector can't listen on port ${JSON.stringify(wanted)}`, {
      hint: "give a number from 0 to 65535",
    });
  if (!/^[\w-]{16,}$/.test(token))
    throw inspectorError("INSPECTOR_OPTIONS_INVALID", "the inspector's token is too weak", {
      hint: "give at least 16 letters and digits, or none for a new one",
    });
  const closer = createCloser();
  const once = new Map<string, number>();
  const isOnce = (given: string): boolean => {
    const until = once.get(given) ?? 0;
    once.delete(given);
    return performance.now() < until;
  };
  let port = 0;
  const answer: RequestListener = (request, response) => {
    respond(request, response).catch((error: unknown) => sendError(response, error));
  };
  const bound = await listen(answer, wanted);
  port = bound.port;
  for (const server of bound.servers)
    closer.defer(async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET" } = request;
    response.on("error", () => {});
    const url = new URL(request.url ?? "/", "http://localhost");
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("cache-control", "no-store");
    response.setHeader("referrer-policy", "no-referrer");
    response.setHeader("cross-origin-resource-policy", "same-origin");
    response.setHeader(
      "content-security-policy",
      url.pathname.startsWith("/api/") ? "default-src 'none'; sandbox; frame-ancestors 'none'" : PAGE_POLICY,
    );
    checkOrigin(request.headers, port, method);
    if (!url.pathname.startsWith("/api/")) {
      const file = method === "GET" || method === "HEAD" ? await pageFile(url.pathname, page) : undefined;
      if (!file)
        throw inspectorError("INSPECTOR_NOT_FOUND", `the inspector has no ${method} ${url.pathname.slice(0, 200)}`, {
          hint: "its page is /",
        });
      response
        .writeHead(200, { "content-type": file.type, "content-length": file.bytes.length })
        .end(method === "HEAD" ? undefined : file.bytes);
      return;
    }
    if (method === "POST" && url.pathname === "/api/login") {
      const { token: given } = ((await readJson(request)) ?? {}) as { token?: unknown };
      if (typeof given !== "string" || !(isToken(token, given) || isOnce(given)))
        throw inspectorError("INSPECTOR_UNAUTHORIZED", "that is not the inspector's token", {
          hint: "open the link that was printed when it started",
        });
      response.setHeader("set-cookie", `${cookieName(port)}=${token}; HttpOnly; SameSite=Strict; Path=/`);
      response.writeHead(204).end();
      return;
    }
    checkToken(request.headers, port, token);
    if (method === "GET" && url.pathname === "/api/events") {
      const filter = parseFilter(url.searchParams.get("filter") ?? "");
      response.writeHead(200, { "content-type": "text/event-stream" });
      feed({ inspector, sessions, filter }, response);
      return;
    }
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const body = await readJson(request);
    const { status, json, file } = await answerApi(inspector, {
      sessions,
      method,
      path: url.pathname,
      query: url.searchParams,
      body,
      signal: gone.signal,
    });
    if (file) {
      response.setHeader("content-type", file.type);
      if (file.name) response.setHeader("content-disposition", `attachment; filename="${file.name}"`);
      response.writeHead(status).end(file.bytes);
    } else if (json === undefined) response.writeHead(status).end();
    else response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
  }

  return {
    port,
    token,
    addresses: bound.addresses,
    link: (id) => `http://localhost:${port}/#${new URLSearchParams({ token, ...(id !== undefined && { request: String(id) }) })}`,
    linkOnce() {
      const ticket = newToken();
      for (const [old, until] of once) if (performance.now() > until) once.delete(old);
      once.set(ticket, performance.now() + ONCE_MS);
      return `http://localhost:${port}/#${new URLSearchParams({ token: ticket })}`;
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

const newToken = (): string => randomBytes(24).toString("base64url");

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = STATUS_OF[codeOf(error) ?? ""] ?? 500;
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error: errorToJson(error) }));
}

/** A page of another site can't send JSON without asking first, and is refused then. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > LONGEST_BODY)
      throw inspectorError("INSPECTOR_REQUEST_INVALID", `a body of more than ${LONGEST_BODY} bytes is too long`, {
        hint: "send less",
      });
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? ""))
    throw inspectorError("INSPECTOR_REQUEST_INVALID", "the request's body isn't JSON", {
      hint: "send content-type: application/json",
    });
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (cause) {
    throw inspectorError("INSPECTOR_REQUEST_INVALID", "the request's body isn't JSON", {
      cause,
      hint: "look at its quotes and commas",
    });
  }
}

/** One port on both addresses: else somebody else's server would answer for `localhost`. */
async function listen(answer: RequestListener, wanted: number): Promise<{ port: number; servers: Server[]; addresses: string[] }> {
  let last: unknown;
  for (let tried = 0; tried < PORTS_TRIED && wanted + tried <= 65_535; tried++) {
    const servers: Server[] = [];
    const addresses: string[] = [];
    try {
      const four = await listenOn(answer, "127.0.0.1", wanted === 0 ? 0 : wanted + tried);
      servers.push(four);
      addresses.push("127.0.0.1");
      const { port } = four.address() as { port: number };
      try {
        servers.push(await listenOn(answer, "::1", port));
        addresses.push("::1");
      } catch (error) {
        if (!hasCode(error, "EADDRNOTAVAIL", "EAFNOSUPPORT")) throw error;
      }
      return { port, servers, addresses };
    } catch (error) {
      for (const server of servers) server.close();
      last = error;
      if (!hasCode(error, "EADDRINUSE", "EACCES")) break;
    }
  }
  throw inspectorError("INSPECTOR_PORT_TAKEN", `the inspector could not listen on a port from ${wanted}`, {
    cause: last,
    hint: "give another port",
  });
}

function listenOn(answer: RequestListener, host: string, port: number): Promise<Server> {
  const server = createServer(answer);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      server.on("error", () => {});
      resolve(server);
    });
  });
}
