import { resetStream } from "@shipside/core";
import { type BodyScanner, bodyScanner } from "./http1-body.ts";
import {
  parseRequestHead,
  parseResponseHead,
  REQUEST_HEAD,
  RESPONSE_HEAD,
  type RequestHead,
  responseFraming,
} from "./http1-head.ts";
import { type OnwardRequests, onwardAnswer } from "./http1-onward.ts";
import { LINGER_MS, linger, type Upstream, type Upstreams } from "./http1-upstreams.ts";
import type { HeldLease } from "./lease.ts";
import type { Side } from "./tunnel.ts";
import type { PortContext } from "./upstream.ts";

export interface Express {
  client: Side;
  upstreams: Upstreams;
  context: PortContext;
  onward: OnwardRequests;
}

/** A request that an upstream has whole, and of whose answer nothing is taken yet. */
export interface AskedRequest {
  head: RequestHead;
  upstream: Upstream;
  lease: HeldLease | undefined;
}

interface WholeRequest extends AskedRequest {
  body: Buffer;
}

/**
 * Why it stopped. `next`: what comes next is not for here; what there is of it stands in the client's source. `asked`: nor is the answer to
 * a request, whose body stands in the client's source once more. `unframed`: nor is the rest of an answer. `over`: nothing comes any more.
 */
export type Stop = { why: "next" } | ({ why: "asked" } & AskedRequest) | { why: "unframed"; upstream: Upstream } | { why: "over" };

/**
 * Serves what most requests are, in the very turn in which their bytes come: one that is there whole, with its body, to an upstream that
 * stands ready, and an answer that leaves both connections open. It decides nothing that `http1.ts` decides otherwise, but leaves it
 * what isn't so: there every step may wait, and costs a promise. Never rejects.
 */
export function serveExpress({ client, upstreams, context, onward }: Express): Promise<Stop> {
  return new Promise((resolve) => {
    const { stream, source } = client;
    const watched = new Map<Upstream, () => void>();
    let asked: WholeRequest | undefined;
    /** Of the answer's body, once it has begun. */
    let answer: BodyScanner | undefined;
    /** We have ended the connection: what is still sent can't be answered, and so it isn't passed on either. */
    let left = false;
    let stopped = false;

    const stop = (stop: Stop): void => {
      if (stopped) return;
      stopped = true;
      source.divert(undefined);
      stream.off("drain", onDrain);
      stream.off("close", onClose);
      offEnd();
      for (const [upstream, off] of watched) {
        off();
        upstream.source.divert(undefined);
      }
      context.idle.delete(leave);
      resolve(stop);
    };
    const leave = (): void => {
      left = true;
      linger(stream, LINGER_MS);
    };
    /** What is thrown here would end the whole program, and not this connection alone. */
    const guarded = (serve: (chunk: Buffer) => boolean) => (chunk: Buffer) => {
      try {
        return serve(chunk);
      } catch {
        if (asked) resetStream(asked.upstream.stream);
        resetStream(stream);
        stop({ why: "over" });
        return true;
      }
    };
    const handOver = ({ body, ...request }: WholeRequest): void => {
      source.unread(body);
      stop({ why: "asked", ...request });
    };

    const watch = (upstream: Upstream): void => {
      if (watched.has(upstream)) return;
      upstream.source.divert(guarded((chunk) => (asked?.upstream === upstream ? takeAnswer(asked, chunk) : false)));
      watched.set(
        upstream,
        upstream.source.onEnd(() => {
          if (asked?.upstream !== upstream) {
            // Between two requests the client sees the end of its server's connection as it would without us. A developer's may come and go.
            if (!asked && upstream === upstreams.last && !upstream.developer) leave();
          } else if (answer) {
            resetStream(stream);
            upstreams.retire(upstream);
            stop({ why: "over" });
          } else handOver(asked);
        }),
      );
    };

    const next = (): void => {
      if (stream.writableNeedDrain) return;
      const chunk = upstreams.last && source.take();
      if (chunk) ask(chunk);
      else if (!upstreams.last || source.ended) stop({ why: "next" });
      else context.idle.add(leave);
    };

    const ask = (chunk: Buffer): void => {
      const request = stream.writable ? requestIn(chunk, context, upstreams) : undefined;
      if (!request) {
        source.unread(chunk);
        stop({ why: "next" });
        return;
      }
      const { head, body, upstream, lease } = request;
      asked = request;
      context.idle.delete(leave);
      const end = head.length + body.length;
      if (end < chunk.length) source.unread(chunk.subarray(end));
      if (lease) lease.requests++;
      watch(upstream);
      const bytes = onward(head);
      upstream.stream.write(body.length > 0 ? Buffer.concat([bytes, body]) : bytes);
    };

    const takeAnswer = (request: WholeRequest, chunk: Buffer): boolean => {
      const { upstream } = request;
      let length: number;
      if (answer) {
        length = answer.scan(chunk);
        if (length < 0) {
          stream.write(chunk);
          stop({ why: "unframed", upstream });
          return true;
        }
        stream.write(upTo(chunk, length));
      } else {
        const begun = context.draining.aborted ? undefined : answerIn(chunk, request.head);
        if (!begun) {
          upstream.source.unread(chunk);
          handOver(request);
          return true;
        }
        answer = begun.scanner;
        length = begun.length;
        stream.write(begun.onward);
      }
      if (answer.done) answered(upstream, length < chunk.length ? chunk.subarray(length) : EMPTY);
      else if (stream.writableNeedDrain) upstream.stream.pause();
      return true;
    };

    const answered = (upstream: Upstream, rest: Buffer): void => {
      asked = undefined;
      answer = undefined;
      upstream.source.unread(rest);
      if (upstream.source.ended || rest.length > 0 || !upstream.stream.writable) upstreams.retire(upstream);
      else upstreams.keep(upstream);
      next();
    };

    const onDrain = (): void => {
      if (!asked) next();
      else if (answer) asked.upstream.stream.resume();
    };
    const onClose = (): void => {
      if (asked) resetStream(asked.upstream.stream);
      stop({ why: asked || left ? "over" : "next" });
    };
    stream.on("drain", onDrain);
    stream.on("close", onClose);
    // A client that has said all it had to says so to its server, who may take it for a farewell.
    const offEnd = source.onEnd(() => {
      if (stream.destroyed) onClose();
      else if (!asked) stop({ why: left ? "over" : "next" });
      else if (source.ended) asked.upstream.stream.end();
    });
    source.divert(
      guarded((chunk) => {
        if (left) return true;
        if (asked || stream.writableNeedDrain) return false;
        ask(chunk);
        return true;
      }),
    );
    if (upstreams.last) watch(upstreams.last);
    next();
  });
}

/** A request that is there whole and nothing out of the common, and whom it is sent to, if they stand ready. */
function requestIn(chunk: Buffer, context: PortContext, upstreams: Upstreams): WholeRequest | undefined {
  const head = context.draining.aborted ? undefined : parseRequestHead(chunk);
  if (!head || head.length > REQUEST_HEAD) return undefined;
  if (!head.persistent || head.method === "CONNECT" || head.connection.has("upgrade")) return undefined;
  const body = wholeBody(head, chunk);
  if (!body) return undefined;
  const { lease, mirrors } = context.leases.route(context.port.port, head);
  const upstream = mirrors.length > 0 ? undefined : upstreams.ready(lease);
  return upstream && { head, body, upstream, lease };
}

const EMPTY = Buffer.alloc(0);

function wholeBody(head: RequestHead, chunk: Buffer): Buffer | undefined {
  if (head.framing.by === "none") return EMPTY;
  const scanner = bodyScanner(head.framing);
  const after = chunk.subarray(head.length);
  const length = scanner.scan(after);
  return scanner.done && length >= 0 ? after.subarray(0, length) : undefined;
}

/** The beginning of an answer after which both connections can be used again; `length` is how far it reaches. */
function answerIn(chunk: Buffer, { method }: RequestHead): { scanner: BodyScanner; length: number; onward: Buffer } | undefined {
  const head = parseResponseHead(chunk);
  if (!head || head.length > RESPONSE_HEAD || head.status < 200 || !head.persistent) return undefined;
  const framing = responseFraming(head, method);
  if (framing.by === "close") return undefined;
  const scanner = bodyScanner(framing);
  const inBody = scanner.scan(chunk.subarray(head.length));
  if (inBody < 0) return undefined;
  const length = head.length + inBody;
  const edited = onwardAnswer(head, framing.by === "chunks", false);
  const onward = edited ? Buffer.concat([edited, chunk.subarray(head.length, length)]) : upTo(chunk, length);
  return { scanner, length, onward };
}

/** Bytes up to there; without another view of them where that is all. */
const upTo = (bytes: Buffer, end: number): Buffer => (end === bytes.length ? bytes : bytes.subarray(0, end));
