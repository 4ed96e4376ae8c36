import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream";
import { type Closable, createCloser, hasCode, type ListenerFactory, resetStream, splice } from "@shipside/core";
import { isLocalhost, LOCALHOST_REFUSED, localhostRefused, lookupElsewhere } from "./not-localhost.ts";

/** An HTTP proxy (RFC 9110 section 7, CONNECT and absolute-form requests) that listens in the namespace and connects from this process. */
export interface Proxy extends Closable {
  readonly url: string;
}

/** How long a connection to a server may take, in ms. */
const CONNECT_MS = 30_000;

/** Rejects with what the listener factory rejects with. */
export async function openProxy(listeners: ListenerFactory): Promise<Proxy> {
  const closer = createCloser();
  const ended = new AbortController();
  const agent = new Agent({ keepAlive: true });
  const server = createServer({ requestTimeout: 0 }, (asked, reply) => passOn(asked, reply, agent));
  server.on("connect", (asked: IncomingMessage, client: Duplex, head: Buffer) =>
    tunnel(asked.url ?? "", client, head, ended.signal),
  );
  server.on("clientError", (_, socket) => void socket.destroy());
  const listener = closer.use(await listeners.listen({ address: "127.0.0.1", port: 0 }));
  const clients = new Set<Socket>();
  listener.server.on("connection", (socket: Socket) => {
    socket.on("error", () => {});
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    server.emit("connection", socket);
    // A listener factory's connections come paused.
    socket.resume();
  });
  closer.defer(() => {
    ended.abort();
    agent.destroy();
    // A server that doesn't listen itself keeps no list of its connections.
    for (const socket of clients) socket.destroy();
  });
  return { url: `http://127.0.0.1:${listener.port}`, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
}

/** `target` is `host:port`, an IPv6 address in brackets. */
function tunnel(target: string, client: Duplex, head: Buffer, signal: AbortSignal): void {
  client.on("error", () => {});
  const [, bracketed, plain, port = ""] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(target) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    say(client, 400, `${target} is not host:port`);
    return;
  }
  if (isLocalhost(host)) {
    say(client, 403, localhostRefused(host).message);
    return;
  }
  const remote = connect({ host, port: Number(port), lookup: lookupElsewhere, allowHalfOpen: true, noDelay: true });
  const slow = setTimeout(() => remote.destroy(new Error("no connection in time")), CONNECT_MS);
  const onFailure = (error: Error): void => say(client, statusOf(error), error.message);
  const onAbort = (): void => void remote.destroy(new Error("the namespace is closed"));
  signal.addEventListener("abort", onAbort);
  remote.on("error", () => {});
  remote.once("error", onFailure);
  remote.once("close", () => {
    clearTimeout(slow);
    signal.removeEventListener("abort", onAbort);
  });
  // Who goes before there is a connection wants none.
  const onGone = (): void => resetStream(remote);
  client.once("close", onGone);
  remote.once("connect", () => {
    clearTimeout(slow);
    remote.off("error", onFailure);
    client.off("close", onGone);
    client.write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (head.length > 0) client.unshift(head);
    void splice(client, remote, { signal });
    client.resume();
  });
}

function say(client: Duplex, status: number, text: string): void {
  client.end(
    `HTTP/1.1 ${status} ${status === 502 ? "Bad Gateway" : status === 403 ? "Forbidden" : "Bad Request"}\r\n${plain(text)}`,
  );
}

const plain = (text: string): string =>
  `content-type: text/plain\r\ncontent-length: ${Buffer.byteLength(text) + 1}\r\nconnection: close\r\n\r\n${text}\n`;

function passOn(asked: IncomingMessage, reply: ServerResponse, agent: Agent): void {
  const fail = (status: number, text: string): void => {
    if (reply.headersSent) reply.destroy();
    else reply.writeHead(status, { "content-type": "text/plain" }).end(`${text}\n`);
  };
  const url = URL.canParse(asked.url ?? "") ? new URL(asked.url!) : undefined;
  if (url?.protocol !== "http:") {
    fail(400, "this is a proxy: it takes http://… and CONNECT host:port");
    return;
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (isLocalhost(host)) {
    fail(403, localhostRefused(host).message);
    return;
  }
  const sent = request({
    agent,
    host,
    port: url.port || 80,
    method: asked.method,
    path: url.pathname + url.search,
    headers: endToEnd(asked, "transfer-encoding"),
    lookup: lookupElsewhere,
  });
  sent.on("error", (error) => fail(statusOf(error), error.message));
  sent.on("response", (answer) => {
    reply.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer));
    pipeline(answer, reply, () => {});
  });
  reply.on("close", () => void (reply.writableFinished || sent.destroy()));
  pipeline(asked, sent, () => {});
}

/**
 * Headers that are for the next hop alone (RFC 9110 section 7.6.1) stay behind; the others keep their case and their order. That a request
 * has a body is told by a header alone, so that one is kept, and Node does as it says.
 */
function endToEnd({ rawHeaders, headers }: IncomingMessage, keep?: string): string[] {
  const named = (headers.connection ?? "").toLowerCase().split(/\s*,\s*/);
  const hop = new Set([...HOP_BY_HOP, ...named]);
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (name === keep || !hop.has(name)) kept.push(rawHeaders[at]!, rawHeaders[at + 1]!);
  }
  return kept;
}

const HOP_BY_HOP = [
  "connection",
  "proxy-connection",
  "keep-alive",
  "proxy-authorization",
  "proxy-authenticate",
  "te",
  "upgrade",
  "transfer-encoding",
];

const statusOf = (error: unknown): number => (hasCode(error, LOCALHOST_REFUSED) ? 403 : 502);
