import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type Http2Stream,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { codeOf } from "@shipside/core";
import { forwardedHeaders } from "./forwarded.ts";
import { createSessionUpstreams, endTogether, SESSION_MEMORY, SETTINGS, type SessionUpstreams } from "./http2-upstreams.ts";
import type { HeldLease } from "./lease.ts";
import type { RequestFacts } from "./route.ts";
import type { PortContext } from "./upstream.ts";

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_FLAG_END_STREAM } = constants;

/** Methods that can be sent again when it isn't known whether they arrived (RFC 9110, 9.2.2). */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);
/** No `date` of ours. Node takes the option here as well (lib/internal/http2/core.js), but its types don't. */
const AS_IT_IS: object = { sendDate: false };
/** What a copy may be behind, in bytes, before it is given up. */
const BEHIND = 1024 * 1024;

/**
 * Serves a connection that began with HTTP/2's preface, stream by stream, each to whom it belongs: headers, 1xx, data, trailers and resets
 * both ways, with the flow control of each side. Resolves when the session is over. Never rejects.
 */
export function serveHttp2(
  socket: Socket,
  context: PortContext,
  { peer, first }: { peer: { address: string; port: number }; first: Buffer },
): Promise<void> {
  return new Promise((resolve) => {
    const gone = new AbortController();
    const info = {
      port: context.port.port,
      peer: `${peer.address.includes(":") ? `[${peer.address}]` : peer.address}:${peer.port}`,
    };
    const upstreams = createSessionUpstreams(context, info, gone.signal);
    socket.unshift(first);
    const session = performServerHandshake(socket, { settings: SETTINGS, maxSessionMemory: SESSION_MEMORY });
    const drain = (): void => session.close();
    endTogether(session, socket);
    session.on("error", () => {});
    session.once("close", () => {
      context.draining.removeEventListener("abort", drain);
      gone.abort();
      upstreams.close();
      resolve();
    });
    context.draining.addEventListener("abort", drain, { once: true });
    session.on("stream", (stream, headers, flags) => {
      stream.on("error", () => {});
      const ended = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
      void serveStream({ stream, headers, ended, address: peer.address, context, upstreams });
    });
    if (context.draining.aborted) drain();
  });
}

interface Incoming {
  stream: ServerHttp2Stream;
  headers: IncomingHttpHeaders;
  /** It has no body. */
  ended: boolean;
  address: string;
  context: PortContext;
  upstreams: SessionUpstreams;
}

async function serveStream(incoming: Incoming): Promise<void> {
  const { stream, headers, ended, context, upstreams } = incoming;
  const { lease, mirrors } =
    context.leases.count === 0 ? { mirrors: [] } : context.leases.route(context.port.port, factsOf(headers));
  const onward = onwardHeaders(incoming);
  for (const held of mirrors) void copy(incoming, held, onward);
  try {
    for (let tries = 0; lease && tries < 2; tries++) {
      const session = await upstreams.developer(lease);
      if (stream.destroyed) return;
      if (!session) break;
      if (tries === 0) lease.requests++;
      const outcome = await relayStream(incoming, session, onward);
      if (outcome.answered || stream.destroyed) return;
      const again = ended && (outcome.code === NGHTTP2_REFUSED_STREAM || REPEATABLE.has(headers[":method"] ?? ""));
      if (!again) return refuse(stream, 502);
      context.logger.info("a request was not answered by its developer's end", { lease: lease.lease.id });
    }
    let outcome = await relayStream(incoming, await upstreams.backend(), onward);
    if (!outcome.answered && ended && outcome.code === NGHTTP2_REFUSED_STREAM && !stream.destroyed) {
      outcome = await relayStream(incoming, await upstreams.backend(), onward);
    }
    if (!outcome.answered && !stream.destroyed) resetStream(stream, outcome.code || NGHTTP2_INTERNAL_ERROR);
  } catch (error) {
    if (stream.destroyed) return;
    context.logger.warn("the pods could not be reached", { port: context.port.port, code: codeOf(error) });
    refuse(stream, codeOf(error) === "DIAL_REFUSED" ? 503 : 502);
  }
}

function refuse(stream: ServerHttp2Stream, status: number): void {
  if (stream.headersSent) {
    resetStream(stream, NGHTTP2_INTERNAL_ERROR);
    return;
  }
  stream.respond({ ":status": status }, { endStream: true });
  if (!stream.readableEnded) stream.close(NGHTTP2_NO_ERROR);
}

const listOf = (value: string | string[] | undefined): readonly string[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

function factsOf(headers: IncomingHttpHeaders): RequestFacts {
  const given = (name: string): string | string[] | undefined =>
    name === "host" && headers.host === undefined ? headers[":authority"] : headers[name];
  return {
    method: headers[":method"] ?? "",
    target: headers[":path"] ?? "",
    values: (name) => (name.startsWith(":") ? [] : listOf(given(name)).map((value) => value.trim())),
  };
}

function onwardHeaders({ headers, address, context }: Incoming): IncomingHttpHeaders {
  const given = (name: string): string | undefined => (headers[name] === undefined ? undefined : listOf(headers[name]).join(", "));
  const added = forwardedHeaders(given, {
    address,
    host: headers[":authority"] ?? headers.host,
    secure: context.secure !== undefined,
  });
  return { ...headers, ...Object.fromEntries(added.map(([name, value]) => [name.toLowerCase(), value])) };
}

interface StreamOutcome {
  /** Something of an answer has been passed on, or the client is gone. */
  answered: boolean;
  /** With what the upstream reset it. */
  code: number;
}

/** One stream through one session. Never rejects: a session that is gone is an outcome. */
function relayStream(
  { stream, ended }: Incoming,
  session: ClientHttp2Session,
  headers: IncomingHttpHeaders,
): Promise<StreamOutcome> {
  return new Promise((resolve) => {
    let answered = false;
    let request: ClientHttp2Stream;
    try {
      request = session.request(headers, { endStream: ended, waitForTrailers: !ended });
    } catch {
      return resolve({ answered, code: NGHTTP2_REFUSED_STREAM });
    }
    let up: IncomingHttpHeaders = {};
    let down: IncomingHttpHeaders = {};
    const onTrailers = (trailers: IncomingHttpHeaders): void => {
      up = trailers;
    };
    const onClose = (): void => {
      if (!request.closed) resetStream(request, stream.rstCode || NGHTTP2_CANCEL);
    };
    stream.on("trailers", onTrailers);
    stream.once("close", onClose);
    request.on("error", () => {});
    request.on("wantTrailers", () => request.sendTrailers(up));
    if (!ended) carry(stream, request);

    request.on("headers", (interim) => {
      if (stream.destroyed || stream.headersSent) return;
      answered = true;
      stream.additionalHeaders(interim);
    });
    request.on("response", (response, flags) => {
      answered = true;
      if (stream.destroyed || stream.headersSent) return;
      if (flags & NGHTTP2_FLAG_END_STREAM) {
        stream.respond(response, { ...AS_IT_IS, endStream: true });
        return;
      }
      stream.respond(response, { ...AS_IT_IS, waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers(down));
      carry(request, stream);
    });
    request.on("trailers", (trailers) => {
      down = trailers;
    });
    request.once("close", () => {
      stream.off("trailers", onTrailers);
      stream.off("close", onClose);
      stream.unpipe(request);
      const code = request.rstCode;
      const whole = request.readableEnded && code === NGHTTP2_NO_ERROR;
      if (answered && !stream.destroyed && !whole) resetStream(stream, code || NGHTTP2_INTERNAL_ERROR);
      // An answer that came before the request was all there is the end of both (RFC 9113, 8.1).
      if (answered && whole && !stream.readableEnded) {
        if (stream.writableFinished) stream.close(NGHTTP2_NO_ERROR);
        else stream.once("finish", () => stream.close(NGHTTP2_NO_ERROR));
      }
      resolve({ answered: answered || stream.destroyed, code });
    });
  });
}

/** Data with backpressure. A stream that was reset seems to end as well (its `rstCode` says so): that is passed on as what it is. */
function carry(from: Http2Stream, to: Http2Stream): void {
  from.pipe(to, { end: false });
  from.once("end", () => {
    if (from.rstCode === NGHTTP2_NO_ERROR) to.end();
    else resetStream(to, from.rstCode);
  });
}

/**
 * RST_STREAM, and no END_STREAM before it: Node ends a stream that it closes, and the far side would take what it has for the whole. A
 * write of this tick, which looks whether it was the last, is let pass.
 */
function resetStream(stream: Http2Stream, code: number): void {
  stream._final = (done) => done();
  setImmediate(() => stream.destroyed || stream.close(code));
}

/** Copies a request to a developer; a copy that can't follow is cut off, its answer is thrown away. */
async function copy({ stream, ended, upstreams }: Incoming, held: HeldLease, headers: IncomingHttpHeaders): Promise<void> {
  held.requests++;
  let waiting: Buffer[] | undefined = [];
  let bytes = 0;
  let request: ClientHttp2Stream | undefined;
  let over = ended;
  const give = (chunk: Buffer): void => {
    if (request) {
      if (request.writable && request.writableLength <= BEHIND) request.write(chunk);
      else request.close(NGHTTP2_CANCEL);
      return;
    }
    bytes += chunk.length;
    if (bytes <= BEHIND) waiting?.push(chunk);
    else waiting = undefined;
  };
  const finish = (): void => {
    over = true;
    request?.end();
  };
  if (!ended) {
    stream.on("data", give);
    stream.once("close", finish);
    stream.once("end", finish);
    // Whoever takes the request decides when it flows.
    stream.pause();
  }
  const session = await upstreams.developer(held).catch(() => undefined);
  if (!session || !waiting || session.destroyed) return void stream.off("data", give);
  request = session.request(headers, { endStream: ended });
  request.on("error", () => {});
  request.resume();
  for (const chunk of waiting) request.write(chunk);
  waiting = undefined;
  if (over && !ended) request.end();
}
