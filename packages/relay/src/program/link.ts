import { createHash, timingSafeEqual } from "node:crypto";
import {
  type ClientHttp2Session,
  connect,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Closable, errorToJson, type Logger } from "@shipside/core";
import { relayError } from "../errors.ts";
import { CONTROL_PORT, type Greeting, HEADERS, PROTOCOL, type Welcome } from "../protocol.ts";
import { openConnect } from "../wire/connect.ts";
import { readLine, writeLine } from "../wire/line.ts";
import { sessionOptions, tendSession } from "../wire/session.ts";

/** A request of the control API. */
export interface ControlRequest {
  /** The link it came by: a developer's, see `Greeting.client`. */
  client: string;
  method: string;
  path: string;
  query: URLSearchParams;
  /** Parsed JSON; undefined where there was none. */
  body: unknown;
}

export interface ControlAnswer {
  status: number;
  body?: unknown;
}

export interface LinkHandlers {
  /** A CONNECT of a developer's: to be answered with `acceptConnect` or `refuseConnect`. */
  onConnect(stream: ServerHttp2Stream, request: { authority: string; protocol: "tcp" | "udp"; client: string }): void;
  /** What it throws with a `code` is answered as it is, with status 400. */
  onRequest(request: ControlRequest): Promise<ControlAnswer>;
  /** A link's way back stands: {@link bringConnection} works with it until it closes. A client that reconnects has a new one. */
  onAccept?(client: string, session: ClientHttp2Session): void;
  /** The number of links that stand has changed. */
  onLinks?(count: number): void;
}

export interface LinksOptions extends LinkHandlers {
  secret: string;
  version: string;
  /** A loopback address. Default 127.0.0.1. */
  host?: string;
  /** Default `CONTROL_PORT`; 0 for any, in tests. */
  port?: number;
  /** How long a link may be silent until it is taken for dead, in ms. Default 3,500: it is looked once a second. */
  silenceMs?: number;
  logger: Logger;
}

/** Everybody who is linked to this relay. */
export interface Links extends Closable {
  readonly port: number;
  /** Ids of those with any stream. */
  readonly clients: ReadonlySet<string>;
  /** A client's way back, while it stands. */
  acceptSession(client: string): ClientHttp2Session | undefined;
}

const GREETING_MS = 10_000;

/** Serves the control port: greets, checks the secret in constant time, and then speaks HTTP/2 in the role that was asked for. */
export async function serveLinks(options: LinksOptions): Promise<Links> {
  const { logger, silenceMs = 3_500 } = options;
  const streams = new Map<string, number>();
  const accepting = new Map<string, ClientHttp2Session>();
  const sockets = new Set<Socket>();
  const sessions = new Set<ClientHttp2Session | ServerHttp2Session>();
  const track = (client: string, session: ClientHttp2Session | ServerHttp2Session, socket: Socket): void => {
    tendSession(session, socket, silenceMs);
    sessions.add(session);
    streams.set(client, (streams.get(client) ?? 0) + 1);
    options.onLinks?.(streams.size);
    session.once("close", () => {
      sessions.delete(session);
      const left = (streams.get(client) ?? 1) - 1;
      if (left > 0) streams.set(client, left);
      else streams.delete(client);
      if (accepting.get(client) === session) accepting.delete(client);
      options.onLinks?.(streams.size);
    });
  };

  const serve = (client: string, session: ServerHttp2Session): void => {
    session.on("stream", (stream, headers) => {
      stream.on("error", (error: Error) => logger.debug("a stream of a link ended", { error: error.message }));
      if (headers[":method"] !== "CONNECT") return void answer(stream, headers, client, options.onRequest);
      const protocol = headers[HEADERS.protocol] === "udp" ? "udp" : "tcp";
      options.onConnect(stream, { authority: headers[":authority"] ?? "", protocol, client });
    });
  };

  const welcome = async (socket: Socket): Promise<void> => {
    const greeting = (await readLine(socket, GREETING_MS)) as Partial<Greeting> | null;
    const { role, client } = checkGreeting(greeting, options.secret);
    writeLine(socket, { ok: true, version: options.version } satisfies Welcome);
    if (role === "dial") {
      const session = performServerHandshake(socket, sessionOptions("relay"));
      track(client, session, socket);
      serve(client, session);
      return;
    }
    const session = connect("http://developer", { ...sessionOptions("relay"), createConnection: () => socket });
    track(client, session, socket);
    accepting.get(client)?.close();
    accepting.set(client, session);
    options.onAccept?.(client, session);
  };

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    welcome(socket).catch((error: Error) => {
      logger.warn("a link was refused", { error: error.message });
      if (!socket.writable) return void socket.destroy();
      const { code, message } = errorToJson(error);
      writeLine(socket, { ok: false, code, message } satisfies Welcome);
      socket.end();
      setTimeout(() => socket.destroy(), 1_000).unref();
    });
  });
  const { host = "127.0.0.1", port = CONTROL_PORT } = options;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.on("error", (error) => logger.error("the control port", { error: error.message }));

  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= new Promise((resolve) => {
      server.close(() => resolve());
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
    }));
  return {
    port: (server.address() as { port: number }).port,
    get clients() {
      return new Set(streams.keys());
    },
    acceptSession: (client) => accepting.get(client),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Brings a connection to a developer. `headers` by their names on the wire, see
 * `HEADERS`. Rejects with `DIAL_REFUSED` and so on as the developer's end says, `RELAY_LINK_LOST` where there is no link.
 */
export function bringConnection(
  session: ClientHttp2Session,
  request: { authority: string; headers: Readonly<Record<string, string>>; signal: AbortSignal },
): Promise<Duplex> {
  return openConnect(session, request);
}

function checkGreeting(greeting: Partial<Greeting> | null, secret: string): { role: Greeting["role"]; client: string } {
  const refuse = (why: string): Error => relayError("RELAY_REFUSED", `the relay refuses the link: ${why}`);
  if (typeof greeting !== "object" || greeting === null || !("shipside" in greeting)) throw refuse("this is no greeting");
  if (greeting.shipside !== PROTOCOL) throw refuse(`it speaks version ${PROTOCOL} of the protocol, not ${greeting.shipside}`);
  if (typeof greeting.secret !== "string" || !sameSecret(greeting.secret, secret)) throw refuse("wrong secret");
  const { role, client } = greeting;
  if (role !== "dial" && role !== "accept") throw refuse("unknown role");
  if (typeof client !== "string" || !/^[\w-]{1,64}$/.test(client)) throw refuse("no client's id");
  return { role, client };
}

/** In constant time, whatever their lengths. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** More than any body of the control API is long, in bytes. */
const LONGEST_BODY = 1024 * 1024;

async function answer(
  stream: ServerHttp2Stream,
  headers: NodeJS.Dict<string | string[]>,
  client: string,
  handle: LinkHandlers["onRequest"],
): Promise<void> {
  let result: ControlAnswer;
  try {
    const parts: Buffer[] = [];
    let length = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      parts.push(chunk);
      length += chunk.length;
      if (length > LONGEST_BODY) throw relayError("RELAY_REQUEST_FAILED", "the body is too long");
    }
    const { pathname, searchParams } = new URL(String(headers[":path"]), "http://relay");
    const body: unknown = length === 0 ? undefined : JSON.parse(Buffer.concat(parts).toString());
    const method = String(headers[":method"]);
    result = await handle({ client, method, path: pathname, query: searchParams, body });
  } catch (error) {
    result = { status: 400, body: errorToJson(error) };
  }
  if (stream.destroyed || stream.closed) return;
  stream.respond({ ":status": result.status, "content-type": "application/json" });
  stream.end(result.body === undefined ? "" : JSON.stringify(result.body));
}
