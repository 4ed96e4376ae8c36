import type { Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { codeOf, hasCode } from "@shipside/core";
import { dialBackend } from "./backend.ts";
import { type TlsPair, type TlsSecret, tlsSecret } from "./tls-secret.ts";
import type { PortContext } from "./upstream.ts";

/** Ends the TLS of one port's clients, and has what is inside served. */
export interface TlsEnd {
  /** A connection of whose TLS these are the first bytes. */
  take(socket: Socket, first: Buffer): void;
  /**
   * Whether it can be done: rejects with `RELAY_TLS_SECRET`, and with `RELAY_TLS_PODS` where the pods can be reached and TLS can't begin
   * anew. Finds out on the way what the pods speak.
   */
  check(): Promise<void>;
}

export interface TlsEndOptions {
  context: PortContext;
  tls: { secret: string; directory: string };
  /** `context` is that of what is inside. */
  serve(socket: TLSSocket, context: PortContext, peer: { address: string; port: number }): Promise<void>;
}

const CHECK_MS = 4_000;
/** What OpenSSL calls the alert of who speaks none of the protocols (RFC 7301, 3.2). */
const NO_PROTOCOL = "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL";

export function createTlsEnd({ context, tls, serve }: TlsEndOptions): TlsEnd {
  const { port, logger, headMs } = context;
  const secret: TlsSecret = tlsSecret(tls, logger);
  const names = port.tls?.names ?? [];
  // HTTP/1.1 where the client leaves the choice: the local process hears it without TLS, and few speak HTTP/2 then.
  let preferred: readonly string[] = ["http/1.1", "h2"];
  let used: TlsPair | undefined;
  const server = createServer({
    ALPNCallback: ({ protocols }) => preferred.find((protocol) => protocols.includes(protocol)),
    allowHalfOpen: true,
    handshakeTimeout: headMs,
  });
  server.on("tlsClientError", (error, socket) => {
    logger.debug("a client's TLS could not begin", { port: port.port, code: codeOf(error) });
    socket.destroy();
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    socket.on("error", () => {});
    const asked = socket.servername;
    const protocol = socket.alpnProtocol || undefined;
    const inside: PortContext = {
      ...context,
      secure: { names: typeof asked === "string" ? [asked, ...names] : names, protocol, pair: secret.current },
    };
    const peer = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    serve(socket, inside, peer).catch((error: Error) => {
      logger.error("a connection could not be served", { error: error.message });
      socket.destroy();
    });
  });

  const tryBackend = async (protocol: string): Promise<void> => {
    const signal = AbortSignal.timeout(CHECK_MS);
    const secure = { names, protocol, pair: secret.current };
    (await dialBackend({ ...context, secure }, { port: port.port, peer: "127.0.0.1:0" }, signal)).destroy();
  };
  return {
    take(socket, first) {
      let pair: TlsPair;
      try {
        pair = secret.current();
      } catch (error) {
        logger.warn("a client's TLS could not begin", { port: port.port, error: (error as Error).message });
        socket.destroy();
        return;
      }
      if (pair !== used) server.setSecureContext({ cert: pair.cert, key: pair.key });
      used = pair;
      socket.unshift(first);
      server.emit("connection", socket);
    },
    async check() {
      secret.current();
      for (const protocols of [
        ["http/1.1", "h2"],
        ["h2", "http/1.1"],
      ] as const) {
        try {
          await tryBackend(protocols[0]);
          preferred = protocols;
          return;
        } catch (error) {
          if (!hasCode(error, "RELAY_TLS_PODS")) {
            // Pods that aren't there now say nothing of their TLS.
            logger.info("the pods could not be asked about TLS", { port: port.port, code: codeOf(error) });
            return;
          }
          const { why } = (error as { details?: { why?: string } }).details ?? {};
          if (why !== NO_PROTOCOL || protocols[0] === "h2") throw error;
        }
      }
    },
  };
}
