import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Closable, errorToJson, hasCode, type Logger, readInLargePieces } from "@shipside/core";
import { relayError } from "../errors.ts";
import { CONTROL_PORT, type Greeting, HEADERS, PROTOCOL, type Welcome } from "../protocol.ts";
import { connectQuestion, openConnect, refuseConnect } from "../wire/connect.ts";
import { answerControl, type ControlAnswer, isControl } from "../wire/control.ts";
import { readLine, writeLine } from "../wire/line.ts";
import { type Asked, createMux, type Mux } from "../wire/mux.ts";

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

export interface LinkHandlers {
  /** A connection that a developer asks for: to be answered with `acceptConnect` or `refuseConnect`. */
  onConnect(asked: Asked, request: { authority: string; protocol: "tcp" | "udp"; client: string }): void;
  /** What it throws with a `code` is answered as it is, with status 400. */
  onRequest(request: ControlRequest): Promise<ControlAnswer>;
  /** A link's way back stands: {@link bringConnection} works with it until it closes. A client that reconnects has a new one. */
  onAccept?(client: string, session: Mux): void;
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
  /** How long a developer's end may take to greet, in ms. Default 10,000. */
  greetingMs?: number;
  logger: Logger;
}

/** Everybody who is linked to this relay. */
export interface Links extends Closable {
  readonly port: number;
  /** Ids of those with any stream. */
  readonly clients: ReadonlySet<string>;
  /** A client's way back, while it stands. */
  acceptSession(client: string): Mux | undefined;
}

/** Serves the control port: greets, checks the secret in constant time, and then carries streams in the role that was asked for. */
export async function serveLinks(options: LinksOptions): Promise<Links> {
  const { logger, silenceMs = 3_500, greetingMs = 10_000 } = options;
  const streams = new Map<string, number>();
  const accepting = new Map<string, Mux>();
  const sockets = new Set<Socket>();
  const track = (client: string, session: Mux): void => {
    streams.set(client, (streams.get(client) ?? 0) + 1);
    options.onLinks?.(streams.size);
    void session.closed.then((error) => {
      if (error) logger.debug("a link ended", { error: error.message });
      const left = (streams.get(client) ?? 1) - 1;
      if (left > 0) streams.set(client, left);
      else streams.delete(client);
      if (accepting.get(client) === session) accepting.delete(client);
      options.onLinks?.(streams.size);
    });
  };

  const serve = (client: string, asked: Asked): void => {
    if (isControl(asked)) {
      void answerControl(asked, ({ method, path, body }) => {
        const { pathname, searchParams } = new URL(path, "http://relay");
        return options.onRequest({ client, method, path: pathname, query: searchParams, body });
      });
      return;
    }
    const wanted = connectQuestion(asked);
    if (!wanted) return void refuseConnect(asked, new Error("it isn't said to where"));
    const protocol = wanted.headers[HEADERS.protocol] === "udp" ? "udp" : "tcp";
    options.onConnect(asked, { authority: wanted.authority, protocol, client });
  };

  const welcome = async (socket: Socket): Promise<void> => {
    const greeting = (await readLine(socket, greetingMs)) as Partial<Greeting> | null;
    const { role, client } = checkGreeting(greeting, options.secret);
    writeLine(socket, { ok: true, version: options.version } satisfies Welcome);
    if (role === "dial") {
      track(client, createMux({ wire: socket, end: "relay", silenceMs, onOpen: (asked) => serve(client, asked) }));
      return;
    }
    const session = createMux({ wire: socket, end: "relay", silenceMs });
    track(client, session);
    accepting.get(client)?.destroy();
    accepting.set(client, session);
    options.onAccept?.(client, session);
  };

  const server = createServer({ noDelay: true, pauseOnConnect: true }, (given) => {
    const socket = readInLargePieces(given);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    welcome(socket).catch((error: Error) => {
      logger.warn("a link was refused", { error: error.message });
      // Who said nothing may be late, which a refusal would make final.
      if (!socket.writable || hasCode(error, "RELAY_LINK_LOST")) return void socket.destroy();
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
  session: Mux,
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
