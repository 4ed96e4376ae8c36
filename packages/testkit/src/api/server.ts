import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Closable } from "@shipside/core";
import { testkitError } from "../errors.ts";
import type { NodeRuntime } from "../node/runtime.ts";
import type { UpgradeHandler } from "../streaming/upgrade.ts";
import { authorize, identify } from "./access.ts";
import type { Call } from "./call.ts";
import type { KeyPair } from "./certificates.ts";
import type { ServerFaults } from "./faults.ts";
import type { Handler } from "./handler.ts";
import type { Authorizer } from "./rbac.ts";
import type { Registry } from "./registry.ts";
import { parseRequest } from "./request-info.ts";
import { refuseUpgrade, send, sendStatus } from "./responses.ts";
import { noSuchPath, StatusError, toStatus } from "./status.ts";
import { chooseContainer, scheduled } from "./subresources/pods.ts";
import type { Authenticator, UserInfo } from "./users.ts";
import type { WatchHub } from "./watch.ts";

export interface ApiServerParts {
  certificate: KeyPair;
  /** PEM: who signs the clients' certificates. */
  ca: string;
  handler: Handler;
  registry: Registry;
  authenticator: Authenticator;
  authorizer: Authorizer;
  watches: WatchHub;
  faults(): ServerFaults;
  upgrade(): UpgradeHandler | undefined;
  node(): NodeRuntime | undefined;
}

export interface ApiServer extends Closable {
  readonly port: number;
  readonly running: boolean;
  /** On the port it had; on a free one the first time, where `port` is 0. Throws `TESTKIT_PORT_IN_USE`. */
  start(): Promise<void>;
  /** Cuts every connection, as a server that dies does. */
  stop(): Promise<void>;
}

/** HTTPS on loopback. Raw connections pass by the faults first. */
export function createApiServer(parts: ApiServerParts, options: { host: string; port: number }): ApiServer {
  let port = options.port;
  let running = false;
  const sockets = new Set<Socket>();
  const frozen = new Set<Duplex>();

  const https = createHttpsServer({
    ...parts.certificate,
    ca: parts.ca,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
    keepAlive: true,
    requestTimeout: 0,
    keepAliveTimeout: 90_000,
  });
  const front = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    const stream = parts.faults().connection(socket);
    if (!stream) return;
    stream.on("error", () => {});
    https.emit("connection", stream);
  });
  https.on("tlsClientError", () => {});
  https.on("clientError", (_error, socket) => socket.destroy());

  const prepare = async (
    request: IncomingMessage,
  ): Promise<{ call: Omit<Call, "response">; fault: Awaited<ReturnType<ServerFaults["request"]>> }> => {
    const url = new URL(request.url ?? "/", "https://localhost");
    const query = url.searchParams;
    const info = parseRequest(request.method ?? "GET", url.pathname, query);
    const user: UserInfo = identify(request, parts.authenticator, parts.authorizer);
    const fault = await parts.faults().request({
      verb: info.verb,
      resource: info.group ? `${info.resource}.${info.group}` : info.resource,
      subresource: info.subresource,
      watch: info.verb === "watch",
      user: user.username,
      socket: request.socket,
    });
    if (!fault) authorize(info, user, parts.authorizer);
    return { call: { request, info, query, user }, fault };
  };

  const hold = (socket: Duplex): void => {
    frozen.add(socket);
    socket.on("close", () => frozen.delete(socket));
  };

  https.on("request", async (request: IncomingMessage, response: ServerResponse) => {
    request.on("error", () => {});
    response.on("error", () => {});
    try {
      const { call, fault } = await prepare(request);
      if (fault === "drop") request.socket.destroy();
      else if (fault === "freeze") hold(request.socket);
      else if (fault) {
        for (const [name, value] of Object.entries(fault.headers ?? {})) response.setHeader(name, value);
        send(response, fault.status, typeof fault.body === "string" ? fault.body : JSON.stringify(fault.body ?? {}));
      } else {
        const done = call.info.verb === "watch" ? parts.faults().label?.(request.socket, "watch") : undefined;
        if (done) response.on("close", done);
        await parts.handler({ ...call, response });
      }
    } catch (error) {
      if (response.destroyed) return;
      sendStatus(response, toStatus(error));
    }
    // What wasn't read would stand before the connection's next request.
    if (!request.readableEnded) request.resume();
  });

  https.on("upgrade", async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => {});
    try {
      const { call, fault } = await prepare(request);
      if (fault === "drop") socket.destroy();
      else if (fault === "freeze") hold(socket);
      else if (fault) {
        const message = typeof fault.body === "string" ? fault.body : JSON.stringify(fault.body ?? "");
        refuseUpgrade(socket, new StatusError(fault.status, "", message).status);
      } else {
        if (call.info.subresource === "portforward") parts.faults().label?.(socket, "portforward");
        stream(call, socket, head);
      }
    } catch (error) {
      if (!socket.destroyed) refuseUpgrade(socket, toStatus(error));
    }
  });

  const stream = ({ request, info, query }: Omit<Call, "response">, socket: Duplex, head: Buffer): void => {
    const { namespace, name, subresource, group, version } = info;
    const resource = parts.registry.find(group, version, info.resource);
    if (resource?.key !== "pods" || (subresource !== "exec" && subresource !== "attach" && subresource !== "portforward"))
      throw noSuchPath();
    // A stream has no representation, so the real server finds nothing acceptable unless anything is.
    if (!/(^|,)\s*\*\/\*/.test(request.headers.accept ?? "*/*")) throw new StatusError(406, "NotAcceptable", "406: Not Acceptable");
    const pod = parts.registry.get(resource, namespace, name);
    scheduled(pod);
    if (subresource !== "portforward") query.set("container", chooseContainer(pod, query.get("container")));
    const [upgrade, node] = [parts.upgrade(), parts.node()];
    if (!upgrade || !node) throw new StatusError(500, "InternalError", "Internal error occurred: this cluster runs no node");
    upgrade({ request, socket, head, namespace, pod: name, subresource, query }, node);
  };

  const api: ApiServer = {
    get port() {
      return port;
    },
    get running() {
      return running;
    },
    async start() {
      if (running) return;
      front.listen(port, options.host);
      try {
        await once(front, "listening");
      } catch (cause) {
        throw testkitError("TESTKIT_PORT_IN_USE", `the API server could not listen on ${options.host}:${port}`, {
          hint: "choose another port, or 0 for any free one",
          cause,
        });
      }
      port = (front.address() as { port: number }).port;
      running = true;
    },
    async stop() {
      if (!running) return;
      running = false;
      const closed = new Promise<void>((resolve) => front.close(() => resolve()));
      parts.watches.close();
      for (const socket of sockets) socket.destroy();
      for (const socket of frozen) socket.destroy();
      await closed;
    },
    close: () => api.stop(),
    [Symbol.asyncDispose]: () => api.close(),
  };
  return api;
}
