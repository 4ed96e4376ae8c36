import type http from "node:http";
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import { abortError } from "@shipside/core";
import { loadKubeConfig } from "./client-node.ts";
import type { Credentials, TlsMaterial } from "./credentials.ts";
import { kubeError } from "./errors.ts";
import type { ResolvedContext } from "./kubeconfig.ts";
import { networkError } from "./network-error.ts";
import { proxyFromEnv } from "./proxy-env.ts";

/** `pooled`: a kept-alive connection, a bounded number of them. `own`: a connection that is used for nothing else. */
export type Connection = "pooled" | "own";

export interface WireRequest {
  method: string;
  /** Path and query, below the server's own path. */
  path: string;
  headers?: OutgoingHttpHeaders;
  body?: string | Uint8Array;
  connection: Connection;
  credentials: Credentials;
  /** Ends the request, and the response while it is read. */
  signal: AbortSignal;
}

export interface Upgraded {
  socket: Duplex;
  head: Buffer;
  headers: http.IncomingHttpHeaders;
  status: 101;
}

/** HTTP/1.1 to one API server: one attempt a call, no retry. */
export interface Wire {
  /** Any HTTP answer resolves. Errors: `KUBE_UNREACHABLE`, `KUBE_TLS`, or the signal's reason. */
  send(request: WireRequest): Promise<IncomingMessage>;
  /** Resolves with the socket on 101, with the response on any other answer. */
  upgrade(request: Omit<WireRequest, "connection" | "body">): Promise<Upgraded | IncomingMessage>;
  /** Closes connections that nothing uses. */
  dropIdle(): void;
  close(): void;
}

interface Agents {
  pooled: http.Agent;
  own: http.Agent;
}

/** Requests under way at once; watches and streams have connections of their own. */
const MAX_SOCKETS = 8;
const TCP_KEEPALIVE_MS = 15_000;

export function createWire({ server, cluster }: ResolvedContext): Wire {
  const secure = server.protocol === "https:";
  // An import statement would ask for all of its exports, `WebSocket` among them, and Node answers by loading its fetch client: 7 MiB.
  const module = secure ? https : process.getBuiltinModule("node:http");
  const base = server.pathname.replace(/\/+$/, "");
  const origin = server.origin + base;
  const proxy = cluster["proxy-url"] || proxyFromEnv(server);
  let agents: { tls: TlsMaterial; made: Promise<Agents> } | undefined;
  const retired = new Set<Promise<Agents>>();
  let closed = false;

  const agentsFor = (tls: TlsMaterial): Promise<Agents> => {
    if (agents?.tls === tls) return agents.made;
    if (agents) {
      // Other certificates: no new request may go over the connections made with the old ones.
      const { made } = agents;
      retired.add(made);
      void made.then(({ pooled }) => closeIdle(pooled)).catch(() => {});
    }
    const made = makeAgents(tls);
    agents = { tls, made };
    made.catch(() => {
      if (agents?.made === made) agents = undefined;
    });
    return made;
  };

  const makeAgents = async (tls: TlsMaterial): Promise<Agents> => {
    const keep = { keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_SOCKETS, scheduling: "lifo" as const };
    if (proxy) {
      const proxied = await proxyAgents(proxy, server.href, tls);
      Object.assign(proxied.pooled, keep);
      return proxied;
    }
    const { secureContext, servername, rejectUnauthorized } = tls;
    const options = {
      noDelay: true,
      secureContext,
      ...(servername !== undefined && { servername }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    };
    return { pooled: new module.Agent({ ...options, ...keep, keepAliveMsecs: TCP_KEEPALIVE_MS }), own: new module.Agent(options) };
  };

  const open = async (
    r: Omit<WireRequest, "connection">,
    connection: Connection,
    upgrade: boolean,
  ): Promise<Upgraded | IncomingMessage> => {
    if (closed) throw kubeError("KUBE_CLOSED", `${r.method} ${r.path}: the cluster connection was closed`);
    const agent = (await agentsFor(r.credentials.tls))[connection];
    return new Promise((resolve, reject) => {
      const { signal } = r;
      if (signal.aborted) return reject(abortError(signal));
      const what = `${r.method} ${r.path.split("?", 1)[0]}`;
      let request: http.ClientRequest;
      const fail = (error: unknown): void => reject(signal.aborted ? abortError(signal) : networkError(error, origin, what));
      try {
        request = module.request({
          // The SOCKS agent tells TLS from its absence by this; without it no connection would be found again.
          protocol: server.protocol,
          host: server.hostname.replace(/^\[|\]$/g, ""),
          port: server.port || (secure ? 443 : 80),
          method: r.method,
          path: base + r.path,
          agent,
          headers: {
            "User-Agent": "shipside",
            // A streaming subresource offers no representation: the API server answers 406 to one that is asked for.
            Accept: upgrade ? "*/*" : "application/json",
            ...r.credentials.headers,
            ...r.headers,
            ...(r.body !== undefined && { "Content-Length": Buffer.byteLength(r.body) }),
          },
        });
      } catch (error) {
        return fail(error);
      }
      // From here until the response (or the upgraded socket) has ended, the signal ends the exchange.
      const onAbort = (): void => void request.destroy(abortError(signal));
      const detach = (): void => signal.removeEventListener("abort", onAbort);
      signal.addEventListener("abort", onAbort, { once: true });
      request.on("error", (error) => {
        detach();
        fail(error);
      });
      request.on("close", detach);
      request.on("socket", (socket) => {
        socket.setNoDelay(true);
        socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
      });
      request.on("response", (response) => resolve(response));
      if (upgrade) {
        request.on("upgrade", (response, socket, head) => {
          detach();
          socket.on("error", () => {});
          resolve({ socket, head, headers: response.headers, status: 101 });
        });
      }
      request.end(r.body);
    });
  };

  return {
    send: (r) => open(r, r.connection, false) as Promise<IncomingMessage>,
    upgrade: (r) => open(r, "own", true),
    dropIdle() {
      void agents?.made.then(({ pooled }) => closeIdle(pooled)).catch(() => {});
    },
    close() {
      closed = true;
      for (const made of [...retired, ...(agents ? [agents.made] : [])]) {
        void made
          .then(({ pooled, own }) => {
            pooled.destroy();
            own.destroy();
          })
          .catch(() => {});
      }
    },
  };
}

function closeIdle(agent: http.Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

/** CONNECT and SOCKS are client-node's. Each call of it with a fresh configuration makes an agent of its own. */
async function proxyAgents(proxyUrl: string, server: string, tls: TlsMaterial): Promise<Agents> {
  const KubeConfig = await loadKubeConfig();
  const { secureContext: _parsed, ...plain } = tls;
  const make = async (): Promise<http.Agent> => {
    const kubeconfig = new KubeConfig();
    const cluster = { name: "cluster", server, proxyUrl, skipTLSVerify: tls.rejectUnauthorized === false };
    kubeconfig.loadFromClusterAndUser(cluster, { name: "user" });
    const options: https.RequestOptions = { ...plain };
    await kubeconfig.applyToHTTPSOptions(options);
    return options.agent as http.Agent;
  };
  return { pooled: await make(), own: await make() };
}
