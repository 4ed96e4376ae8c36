import { resetStream } from "@shipside/core";
import { type ByteSource, write } from "./byte-source.ts";
import { bodyScanner } from "./http1-body.ts";
import {
  findHeadEnd,
  parseResponseHead,
  RESPONSE_HEAD,
  type RequestHead,
  type ResponseHead,
  responseFraming,
} from "./http1-head.ts";
import { onwardAnswer } from "./http1-onward.ts";
import type { Upstream, Upstreams } from "./http1-upstreams.ts";
import type { RequestBody } from "./request-body.ts";
import { type Side, tunnel } from "./tunnel.ts";

export interface Exchange {
  head: RequestHead;
  /** The head as it is to be sent. */
  bytes: Buffer;
  body: RequestBody;
  client: Side;
  upstream: Upstream;
  upstreams: Upstreams;
  draining: AbortSignal;
  /** The upstream has the request already: only its answer is to be taken. */
  sent: boolean;
}

/**
 * `next`: the client's connection can take another request. `close`: it can't, and nothing is left to be said on it. `unanswered`: the
 * upstream ended before the first byte of an answer.
 */
export type Outcome = "next" | "close" | "unanswered";

/** One request and its answer. Both stream, and each waits for its slower side. Never rejects. */
export async function exchange(given: Exchange): Promise<Outcome> {
  const { client, upstream, upstreams, body } = given;
  const abandon = (): void => resetStream(upstream.stream);
  client.stream.once("close", abandon);
  if (client.stream.destroyed) abandon();
  const upload = send(given);
  // A client that has said all it had to says so to its server, who may take it for a farewell.
  const off = client.source.onEnd(() => void upload.then(() => client.source.ended && upstream.stream.end()));
  const answer = { begun: false };
  const outcome = await receive(given, answer, upload, off).catch((): Outcome => {
    if (answer.begun) resetStream(client.stream);
    return "close";
  });
  off();
  client.stream.off("close", abandon);
  if (outcome !== "next") upstreams.retire(upstream);
  if (answer.begun) return outcome;
  resetStream(upstream.stream);
  return "unanswered";

  /** The answer, up to its last byte. */
  async function receive(
    { head, draining }: Exchange,
    begun: { begun: boolean },
    sent: Promise<void>,
    stopWatching: () => void,
  ): Promise<Outcome> {
    const to = client.stream;
    let response: ResponseHead;
    for (;;) {
      const next = await answerHead(upstream.source);
      if (!next) return "close";
      begun.begun = true;
      body.commit();
      if (Buffer.isBuffer(next)) {
        // No answer of HTTP/1: its bytes are all there is to say, up to its end.
        await write(to, next);
        await carryRest(upstream.source, to);
        return "close";
      }
      response = next;
      if (response.status >= 200 || response.status === 101) break;
      await write(to, response.bytes);
    }
    if (response.status === 101 || (head.method === "CONNECT" && response.status < 300)) {
      stopWatching();
      client.stream.off("close", abandon);
      to.write(response.bytes);
      await sent;
      await tunnel(client, upstream);
      return "close";
    }

    const framing = responseFraming(response, head.method);
    const last = draining.aborted || framing.by === "close" || !head.persistent || !response.persistent;
    const scanner = bodyScanner(framing);
    let inOrder = true;
    // Head and beginning in one piece where they came together, as small answers do: a write costs more than all that is done here.
    let chunk = scanner.done ? undefined : upstream.source.take();
    let full = pass(chunk, onwardAnswer(response, framing.by === "chunks", draining.aborted) ?? response.bytes);
    while (!scanner.done && inOrder) {
      if (full) await full;
      chunk = upstream.source.take() ?? (await upstream.source.read());
      if (!chunk) {
        if (framing.by === "close") return "close";
        throw new Error("the answer was cut off");
      }
      full = pass(chunk);
    }
    if (full) await full;
    if (!inOrder) {
      await carryRest(upstream.source, to);
      return "close";
    }
    if (last) return "close";
    // The answer may have come before the whole request was sent; the next one begins where this one ends.
    await sent;
    if (body.state !== "done") return "close";
    if (upstream.source.ended || upstream.source.buffered > 0 || !upstream.stream.writable) upstreams.retire(upstream);
    else upstreams.keep(upstream);
    return "next";

    function pass(bytes: Buffer = EMPTY, before: Buffer = EMPTY): Promise<void> | undefined {
      const length = scanner.scan(bytes);
      inOrder = length >= 0;
      const own = inOrder ? bytes.subarray(0, length) : bytes;
      if (inOrder) upstream.source.unread(bytes.subarray(length));
      const out = joined(before, own);
      return out.length > 0 ? write(to, out) : undefined;
    }
  }
}

const EMPTY = Buffer.alloc(0);

/** Two pieces as one: without a copy where they are neighbours. */
function joined(a: Buffer, b: Buffer): Buffer {
  if (b.length === 0) return a;
  if (a.length === 0) return b;
  const neighbours = a.buffer === b.buffer && a.byteOffset + a.length === b.byteOffset;
  return neighbours ? Buffer.from(a.buffer, a.byteOffset, a.length + b.length) : Buffer.concat([a, b]);
}

/** Sends the request; done when all of it is sent, or no more of it can be. */
async function send({ bytes, body, upstream, sent }: Exchange): Promise<void> {
  const { stream } = upstream;
  if (sent) {
    for (let i = 0; await body.chunk(i); i++);
    return;
  }
  if (body.empty) return void stream.write(bytes);
  stream.cork();
  stream.write(bytes);
  process.nextTick(() => stream.uncork());
  try {
    for (let i = 0; !stream.destroyed; i++) {
      const chunk = await body.chunk(i);
      if (!chunk || stream.destroyed) break;
      const full = write(stream, chunk);
      if (full) await full;
    }
  } catch {
    // The client is gone.
    resetStream(stream);
  }
  if (body.state === "cut") stream.end();
  if (body.state === "bad") {
    // To the pods as received: it is theirs to say what is wrong with it. A developer is spared it.
    if (upstream.developer) resetStream(stream);
    else if (body.rest) stream.write(body.rest);
  }
}

/** The head of an answer; bytes where it is none; undefined where the upstream ended before it said anything. */
async function answerHead(source: ByteSource): Promise<ResponseHead | Buffer | undefined> {
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = source.take() ?? (await source.read().catch((error) => (bytes.length > 0 ? undefined : Promise.reject(error))));
    if (!chunk) return bytes.length > 0 ? bytes : undefined;
    const looked = bytes.length;
    bytes = looked > 0 ? Buffer.concat([bytes, chunk]) : chunk;
    const end = findHeadEnd(bytes, looked);
    if (end < 0 || bytes.length > RESPONSE_HEAD) return bytes;
    if (end === 0) continue;
    const head = parseResponseHead(bytes.subarray(0, end));
    if (!head) return bytes;
    source.unread(bytes.subarray(end));
    return head;
  }
}

/** Passes on what comes of an answer that isn't in order, up to its end. Rejects where the upstream breaks. */
export async function passRest(client: Side, upstream: Upstream): Promise<void> {
  const abandon = (): void => resetStream(upstream.stream);
  client.stream.once("close", abandon);
  if (client.stream.destroyed) abandon();
  await carryRest(upstream.source, client.stream).finally(() => client.stream.off("close", abandon));
}

async function carryRest(source: ByteSource, to: Side["stream"]): Promise<void> {
  for (let chunk = await source.read(); chunk; chunk = await source.read()) await write(to, chunk);
}
