import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { request } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";

export type Way = "spdy" | "websocket" | "channel";

export interface Front extends AsyncDisposable {
  /** A kubeconfig that goes through it. */
  readonly kubeconfig: string;
  /** What was let through so far. */
  readonly passed: ReadonlySet<Way>;
}

const wayOf = (asked: IncomingMessage): Way | undefined => {
  if (asked.headers.upgrade?.toLowerCase() === "spdy/3.1") return "spdy";
  const protocol = asked.headers["sec-websocket-protocol"];
  return protocol === "v4.channel.k8s.io" ? "channel" : protocol?.startsWith("SPDY/3.1+") ? "websocket" : undefined;
};

export interface FrontOptions {
  /** Where it listens. Default 127.0.0.1. */
  host?: string;
  /** Cuts what was silent for so long, in ms, as load balancers do. Default: never. */
  idleMs?: number;
}

/** An HTTP proxy before the API server that lets through one way of port-forwarding, as some load balancers do. */
export async function startFront(kubeconfig: string, lets: Way, options: FrontOptions = {}): Promise<Front> {
  const { host = "127.0.0.1", idleMs = 0 } = options;
  const text = await readFile(kubeconfig, "utf8");
  const field = (name: string): Buffer => Buffer.from(new RegExp(`${name}-data:\\s*"?([A-Za-z0-9+/=]+)`).exec(text)![1]!, "base64");
  const upstream = new URL(/server:\s*"?([^\s"}]+)/.exec(text)![1]!);
  const tls = { ca: field("certificate-authority"), cert: field("client-certificate"), key: field("client-key") };
  const forward = (asked: IncomingMessage) =>
    request({
      host: upstream.hostname,
      port: upstream.port || 443,
      ...tls,
      method: asked.method,
      path: asked.url,
      headers: asked.headers,
      agent: false,
    });
  const passed = new Set<Way>();
  const sockets = new Set<Duplex>();

  const server = createServer((asked, answer) => {
    const on = forward(asked);
    on.on("response", (response) => {
      answer.writeHead(response.statusCode!, response.headers);
      response.pipe(answer);
    });
    on.on("error", () => answer.destroy());
    asked.pipe(on);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
  });
  server.on("upgrade", (asked, socket: Duplex, head) => {
    const way = wayOf(asked);
    if (way !== lets) {
      socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    const on = forward(asked);
    on.on("upgrade", (response, far, rest) => {
      passed.add(lets);
      const lines = Object.entries(response.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
      if (rest.length > 0) socket.write(rest);
      if (head.length > 0) far.write(head);
      far.on("error", () => socket.destroy()).on("close", () => socket.destroy());
      socket.on("close", () => far.destroy());
      far.pipe(socket);
      socket.pipe(far);
      (socket as Socket).setTimeout(idleMs, () => socket.destroy());
    });
    on.on("response", (response) => {
      const type = response.headers["content-type"] ?? "text/plain";
      socket.write(`HTTP/1.1 ${response.statusCode} refused\r\nContent-Type: ${type}\r\nConnection: close\r\n\r\n`);
      response.on("error", () => socket.destroy()).pipe(socket);
    });
    on.on("error", () => socket.destroy());
    on.end();
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));

  const directory = await mkdtemp(join(tmpdir(), "shipside-front-"));
  const path = join(directory, "kubeconfig");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "front", cluster: { server: `http://${host}:${(server.address() as AddressInfo).port}` } }],
    users: [{ name: "front", user: {} }],
    contexts: [{ name: "front", context: { cluster: "front", user: "front" } }],
    "current-context": "front",
  };
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return {
    kubeconfig: path,
    passed,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true, force: true });
    },
  };
}
