import type { Duplex } from "node:stream";
import { codeOf, resetStream } from "@shipside/core";
import { dialBackend } from "./backend.ts";
import { type ByteSource, byteSource } from "./byte-source.ts";
import { bodyScanner } from "./http1-body.ts";
import { exchange, passRest } from "./http1-exchange.ts";
import { type AskedRequest, serveExpress } from "./http1-express.ts";
import { beginsLikeRequest, findHeadEnd, parseRequestHead, REQUEST_HEAD, type RequestHead } from "./http1-head.ts";
import { onwardRequests } from "./http1-onward.ts";
import { createUpstreams, LINGER_MS, linger, type Upstreams } from "./http1-upstreams.ts";
import { startMirror } from "./mirror.ts";
import { requestBody } from "./request-body.ts";
import { tunnel } from "./tunnel.ts";
import { openDeveloper, type PortContext } from "./upstream.ts";

/** How long a head may take from its first byte to its last, in ms. */
export const HEAD_MS = 60_000;

/**
 * Methods that can be sent again when it isn't known whether they arrived (RFC 9110, 9.2.2). Another one that a developer's machine took
 * with it is answered with 502.
 */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

export interface Http1Options {
  peer: { address: string; port: number };
  /** What was read of the stream already. */
  first: Buffer;
}

/**
 * Serves one connection of HTTP/1.x, request by request, each to whom it belongs. What isn't plainly a request is passed on as received,
 * with everything after it, on a connection of its own. Never rejects.
 */
export async function serveHttp1(stream: Duplex, context: PortContext, options: Http1Options): Promise<void> {
  const { peer, first } = options;
  const { headMs } = context;
  const source = byteSource(stream, first);
  const gone = new AbortController();
  stream.once("close", () => gone.abort());
  const info = { port: context.port.port, peer: `${peer.address.includes(":") ? `[${peer.address}]` : peer.address}:${peer.port}` };
  const upstreams = createUpstreams(context, info, gone.signal);
  const client = { stream, source };
  const onward = onwardRequests({ address: peer.address, secure: context.secure !== undefined });

  const refuse = (status: string, text: string): void => {
    const body = `${text}\n`;
    stream.end(
      `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  };

  const passOn = async (bytes: Buffer): Promise<void> => {
    source.unread(bytes);
    upstreams.close();
    const held = context.leases.whole(context.port.port);
    const opened = held && (await openDeveloper(context, held, info, gone.signal));
    const to = opened ?? (await dialBackend(context, info, gone.signal));
    await tunnel(client, { stream: to, source: byteSource(to) });
  };

  const serve = async (head: RequestHead, asked?: AskedRequest): Promise<boolean> => {
    const { lease, mirrors } = asked ? { lease: asked.lease, mirrors: [] } : context.leases.route(context.port.port, head);
    const bytes = onward(head);
    const copies = mirrors.map((held) => {
      held.requests++;
      const copy = startMirror(openDeveloper(context, held, info, AbortSignal.timeout(held.lease.holdMs + 5_000)));
      copy.write(onward(head, { close: true }));
      return copy;
    });
    const body = requestBody(source, bodyScanner(head.framing), (chunk) => {
      for (const copy of copies) copy.write(chunk);
    });
    const given = { head, bytes, body, client, upstreams, draining: context.draining };
    try {
      // Once more where it was not answered: by a process that has ended, which the lease may want to be waited for, or on a kept
      // connection that it closed in that moment.
      for (let tries = 0; lease && tries < 2; tries++) {
        const sent = tries === 0 && asked !== undefined;
        const upstream = sent ? asked.upstream : await upstreams.developer(lease);
        if (!upstream) break;
        if (tries === 0 && !sent) lease.requests++;
        const outcome = await exchange({ ...given, upstream, sent });
        if (outcome !== "unanswered") return outcome === "next";
        if (gone.signal.aborted) return false;
        if (body.state === "bad") {
          refuse("400 Bad Request", "the request's body is not in order");
          return false;
        }
        if (!body.whole || !REPEATABLE.has(head.method)) {
          refuse("502 Bad Gateway", `${lease.lease.holder} had this request when the connection to them ended`);
          return false;
        }
        context.logger.info("a request was not answered by its developer's end", { lease: lease.lease.id });
      }
      const sent = asked !== undefined && !lease;
      return (await exchange({ ...given, upstream: sent ? asked.upstream : await upstreams.backend(), sent })) === "next";
    } catch (error) {
      if (gone.signal.aborted) return false;
      context.logger.warn("the pods could not be reached", { port: context.port.port, code: codeOf(error) });
      if (codeOf(error) === "DIAL_REFUSED") refuse("503 Service Unavailable", "nobody serves this port now");
      else refuse("502 Bad Gateway", "the service's pods could not be reached");
      return false;
    } finally {
      for (const copy of copies) copy.end();
    }
  };

  try {
    for (;;) {
      if (upstreams.last) {
        const stop = await serveExpress({ client, upstreams, context, onward });
        if (stop.why === "over") return;
        if (stop.why === "unframed") return await passRest(client, stop.upstream);
        if (stop.why === "asked") {
          if (!(await serve(stop.head, stop))) return;
          continue;
        }
      }
      const next = await nextHead(stream, source, upstreams, {
        idle: context.idle,
        headMs,
        late: () => refuse("408 Request Timeout", "the request's head is late"),
      });
      if (next === "ended") return;
      if (next === "too-long")
        return refuse("431 Request Header Fields Too Large", `more than ${REQUEST_HEAD} bytes of header fields`);
      const head = next.plain ? parseRequestHead(next.bytes) : undefined;
      if (!head) return await passOn(next.bytes);
      if (!(await serve(head))) return;
    }
  } catch {
    resetStream(stream);
  } finally {
    upstreams.close();
    linger(stream, LINGER_MS);
  }
}

type NextHead = { plain: boolean; bytes: Buffer } | "ended" | "too-long";

/** The next request's head; `plain: false` where what came can't be one. */
async function nextHead(
  stream: Duplex,
  source: ByteSource,
  { last }: Upstreams,
  { idle, headMs, late }: { idle: Set<() => void>; headMs: number; late: () => void },
): Promise<NextHead> {
  let left = false;
  const end = (): void => {
    left = true;
    linger(stream, LINGER_MS);
  };
  // Between two requests the client sees the end of its server's connection as it would without us. A developer's may come and go.
  const off = last?.developer ? undefined : last?.source.onEnd(end);
  idle.add(end);
  let timer: NodeJS.Timeout | undefined;
  let overdue = false;
  let bytes: Buffer = Buffer.alloc(0);
  try {
    for (;;) {
      const chunk = source.take() ?? (await source.read());
      if (!chunk) return bytes.length > 0 && !overdue ? { plain: false, bytes } : "ended";
      // What is sent to who has left can't be answered, and so it isn't passed on either.
      if (overdue || left) continue;
      off?.();
      idle.delete(end);
      const looked = bytes.length;
      bytes = looked > 0 ? Buffer.concat([bytes, chunk]) : chunk;
      // RFC 9112, 2.2: empty lines before a request mean nothing.
      while (bytes[0] === 13 && bytes[1] === 10) bytes = bytes.subarray(2);
      if (bytes.length > 0 && !(bytes.length === 1 && bytes[0] === 13)) {
        if (!beginsLikeRequest(bytes)) return { plain: false, bytes };
        const headEnd = findHeadEnd(bytes, Math.min(looked, bytes.length));
        if (headEnd < 0) return { plain: false, bytes };
        if (headEnd > REQUEST_HEAD || (headEnd === 0 && bytes.length > REQUEST_HEAD)) return "too-long";
        if (headEnd > 0) {
          source.unread(bytes.subarray(headEnd));
          return { plain: true, bytes: bytes.subarray(0, headEnd) };
        }
      }
      timer ??= setTimeout(() => {
        overdue = true;
        late();
        linger(stream, LINGER_MS);
      }, headMs).unref();
    }
  } finally {
    clearTimeout(timer);
    off?.();
    idle.delete(end);
  }
}
