import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { NodeRuntime } from "../node/runtime.ts";
import { socketCarrier } from "./carrier.ts";
import { type ExecOutcome, type ExecRequest, parseExec, serveExec, serveExecChannels, startExec } from "./exec.ts";
import { type ForwardTarget, PORT_FORWARD_PROTOCOL, portOf, servePortForward, servePortForwardChannels } from "./portforward.ts";
import { createSpdyServer, type SpdyServer } from "./spdy-server.ts";
import type { UpgradeHandler, UpgradeRequest } from "./upgrade.ts";
import { acceptWebSocket, chooseProtocol, offeredProtocols, type WebSocketConnection, webSocketCarrier } from "./websocket.ts";

const SPDY_OVER_WEBSOCKET = `SPDY/3.1+${PORT_FORWARD_PROTOCOL}`;
const V4 = "v4.channel.k8s.io";
const V5 = "v5.channel.k8s.io";

export interface UpgradeHandlerOptions {
  /**
   * How long a forwarded connection lives on after the first of its two directions has ended, in ms. Default 1000, as containerd's:
   * an answer that takes longer after the client's FIN is lost.
   */
  graceMs?: number;
}

/** Serves `portforward`, `exec` and `attach`, over SPDY/3.1 and over WebSockets. */
export function createUpgradeHandler(options: UpgradeHandlerOptions = {}): UpgradeHandler {
  const graceMs = options.graceMs ?? 1000;
  return (upgrade, node) => {
    upgrade.socket.on("error", () => {});
    const serve = upgrade.subresource === "portforward" ? portForward(upgrade, node, graceMs) : exec(upgrade, node);
    serve.catch((error: Error) => refuse(upgrade.socket, 500, error.message));
  };
}

async function portForward(upgrade: UpgradeRequest, node: NodeRuntime, graceMs: number): Promise<void> {
  const { request, socket, query, namespace, pod } = upgrade;
  const target: ForwardTarget = { namespace, pod, node, graceMs };
  if (wantsWebSocket(request)) {
    const protocol = webSocketProtocol(upgrade, [SPDY_OVER_WEBSOCKET, V4]);
    if (protocol === SPDY_OVER_WEBSOCKET) createSpdyServer(webSocketCarrier(accept(upgrade, protocol)), servePortForward(target));
    else if (protocol === V4) {
      const texts = [...query.getAll("ports"), ...query.getAll("port")].flatMap((text) => text.split(","));
      const ports = texts.map(portOf);
      if (ports.length === 0) refuse(socket, 400, 'query parameter "port" is required');
      else if (ports.includes(undefined)) refuse(socket, 400, `unable to parse "${texts[ports.indexOf(undefined)]}" as a port`);
      else servePortForwardChannels(target, accept(upgrade, protocol), ports as number[]);
    }
  } else if (answerSpdy(upgrade, [PORT_FORWARD_PROTOCOL])) {
    createSpdyServer(socketCarrier(socket, upgrade.head), servePortForward(target));
  }
}

async function exec(upgrade: UpgradeRequest, node: NodeRuntime): Promise<void> {
  const { request, socket, query, namespace, pod, subresource } = upgrade;
  const parsed = parseExec(query, subresource === "attach" ? "attach" : "exec");
  if (typeof parsed === "string") return refuse(socket, 400, parsed);
  const start = async (): Promise<ExecOutcome> => {
    const outcome = await startExec(node, namespace, pod, parsed, subresource === "attach");
    if (socket.destroyed && "process" in outcome) outcome.process.kill();
    return outcome;
  };
  const isWebSocket = wantsWebSocket(request);
  const protocol = isWebSocket ? webSocketProtocol(upgrade, [V5, V4]) : undefined;
  if (isWebSocket && protocol === undefined) return;
  const outcome = await start();
  if (socket.destroyed) return;
  const code = "error" in outcome ? (outcome.error as { code?: string }).code : undefined;
  if (code === "NotFound" || code === "NotRunning") refuse(socket, 500, (outcome as { error: Error }).error.message);
  else if (protocol !== undefined) serveExecChannels(parsed, outcome, accept(upgrade, protocol), protocol === V5);
  else if (answerSpdy(upgrade, [V4])) serveSpdyExec(upgrade, parsed, outcome);
  else if ("process" in outcome) outcome.process.kill();
}

function serveSpdyExec({ socket, head }: UpgradeRequest, request: ExecRequest, outcome: ExecOutcome): void {
  const server: SpdyServer = createSpdyServer(
    socketCarrier(socket, head),
    serveExec(request, outcome, () => server),
  );
}

function wantsWebSocket(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket";
}

/** The protocol agreed on, or undefined where the request has been refused. */
function webSocketProtocol({ request, socket }: UpgradeRequest, supported: readonly string[]): string | undefined {
  const protocol = chooseProtocol(request, supported);
  if (request.headers["sec-websocket-key"] === undefined || request.headers["sec-websocket-version"] !== "13") {
    refuse(socket, 400, "not a WebSocket handshake of version 13");
  } else if (protocol !== undefined) return protocol;
  else
    refuse(
      socket,
      400,
      `unable to negotiate protocol: client supports [${offeredProtocols(request).join(" ")}], server accepts [${supported.join(" ")}]`,
    );
  return undefined;
}

function accept({ request, socket, head }: UpgradeRequest, protocol: string): WebSocketConnection {
  return acceptWebSocket(request, socket, head, protocol);
}

/** Answers 101 and returns true, or refuses and returns false. */
function answerSpdy({ request, socket }: UpgradeRequest, supported: readonly string[]): boolean {
  if (request.headers.upgrade?.toLowerCase() !== "spdy/3.1") {
    refuse(socket, 400, "Upgrade request required");
    return false;
  }
  const header = request.headers["x-stream-protocol-version"];
  const offered = [header ?? []].flat().flatMap((text) => text.split(",").map((name) => name.trim()));
  if (offered.length === 0) {
    refuse(socket, 400, "unable to upgrade: X-Stream-Protocol-Version is required");
    return false;
  }
  const protocol = offered.find((name) => supported.includes(name));
  if (protocol === undefined) {
    const message = `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(" ")}], server accepts [${supported.join(" ")}]`;
    refuse(socket, 403, message, `X-Accepted-Stream-Protocol-Versions: ${supported.join(", ")}\r\n`);
    return false;
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  return true;
}

const REASONS: Record<number, string> = { 400: "Bad Request", 403: "Forbidden", 500: "Internal Server Error" };

function refuse(socket: Duplex, status: number, message: string, headers = ""): void {
  if (socket.destroyed || socket.writableEnded) return;
  const body = Buffer.from(message);
  socket.write(
    `HTTP/1.1 ${status} ${REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n${headers}Connection: close\r\n\r\n`,
  );
  socket.end(body);
}
