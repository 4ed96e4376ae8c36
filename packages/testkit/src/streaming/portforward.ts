import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { NodeRuntime } from "../node/runtime.ts";
import { type Channel, discard } from "./channel.ts";
import type { Headers } from "./spdy-headers.ts";
import type { SpdyServerEvents } from "./spdy-server.ts";
import type { WebSocketConnection } from "./websocket.ts";
import { webSocketChannels } from "./websocket-channels.ts";

export const PORT_FORWARD_PROTOCOL = "portforward.k8s.io";

export interface ForwardTarget {
  namespace: string;
  pod: string;
  node: NodeRuntime;
  /** How long a connection lives on after the first of its two directions has ended, in ms. containerd's is a second. */
  graceMs: number;
}

/** How long one stream of a pair waits for the other, in ms (k8s.io/kubelet, streamCreationTimeout). */
const PAIR_TIMEOUT_MS = 30_000;

/** Port-forward over SPDY: an error stream and a data stream a connection, paired by `requestid`. */
export function servePortForward(target: ForwardTarget): SpdyServerEvents {
  const gone = new AbortController();
  const pairs = new Map<string, { data?: Channel; error?: Channel; timer: NodeJS.Timeout }>();

  const join = (id: string, port: number, kind: "data" | "error", channel: Channel): void => {
    let pair = pairs.get(id);
    if (!pair) {
      const late = (): void => {
        const error = pairs.get(id)?.error;
        pairs.delete(id);
        error?.write(Buffer.from(`(request=${id}) timed out waiting for streams`));
        error?.end();
      };
      pair = { timer: setTimeout(late, PAIR_TIMEOUT_MS).unref() };
      pairs.set(id, pair);
    }
    pair[kind] = channel;
    if (!pair.data || !pair.error) return;
    clearTimeout(pair.timer);
    pairs.delete(id);
    void forward(target, port, pair.data, pair.error, gone.signal);
  };

  return {
    stream(headers, id) {
      const port = portOf(headers.get("port"));
      const kind = headers.get("streamtype");
      if (port === undefined || (kind !== "data" && kind !== "error")) return undefined;
      const request = headers.get("requestid") ?? requestOfOldClient(headers, id);
      if (pairs.get(request)?.[kind]) return undefined;
      return (channel) => join(request, port, kind, channel);
    },
    close() {
      for (const { timer } of pairs.values()) clearTimeout(timer);
      gone.abort();
    },
  };
}

/** Clients without request ids open a connection's error stream first, and its data stream next. */
function requestOfOldClient(headers: Headers, id: number): string {
  return String(headers.get("streamtype") === "error" ? id : id - 2);
}

/** Port-forward over `v4.channel.k8s.io`: channel 2i is the data and 2i+1 the error channel of port i. There is no half-close. */
export function servePortForwardChannels(target: ForwardTarget, connection: WebSocketConnection, ports: readonly number[]): void {
  const gone = new AbortController();
  const channels = webSocketChannels(connection, ports.length * 2, { close: () => gone.abort() });
  const all = ports.map((port, at) => {
    const [data, error] = [channels[2 * at]!, channels[2 * at + 1]!];
    const number = Buffer.allocUnsafe(2);
    number.writeUInt16LE(port);
    data.write(number);
    error.write(number);
    return forward(target, port, data, error, gone.signal);
  });
  void Promise.all(all).then(() => connection.end());
}

/** A port number as the API takes it, or undefined. */
export function portOf(text: string | undefined): number | undefined {
  if (!text || !/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65535 ? port : undefined;
}

/** Serves one connection to its end, as kubelet and containerd together do. Never rejects. */
async function forward(target: ForwardTarget, port: number, data: Channel, error: Channel, gone: AbortSignal): Promise<void> {
  error.receive(discard);
  const sandbox = sandboxId(target.namespace, target.pod);
  const namespace = `"/var/run/netns/cni-${sandbox.slice(0, 8)}-${sandbox.slice(8, 12)}"`;
  let failure: string | undefined;
  try {
    const socket = await target.node.dialPod(target.namespace, target.pod, port);
    const message = await carry(socket, data, port, target.graceMs, gone);
    if (message !== undefined) failure = `failed to execute portforward in network namespace ${namespace}: ${message}`;
    data.end();
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    if (code === "NotFound") failure = `failed to find sandbox "${sandbox}" in store: not found`;
    else if (code === "NotRunning") failure = `network namespace for sandbox "${sandbox}" is closed`;
    else {
      const reason = code === "ECONNREFUSED" ? "connect: connection refused" : code === "ETIMEDOUT" ? "i/o timeout" : message;
      failure =
        `failed to execute portforward in network namespace ${namespace}: failed to connect to localhost:${port} inside namespace ` +
        `"${sandbox}", IPv4: dial tcp4 127.0.0.1:${port}: ${reason} IPv6 dial tcp6 [::1]:${port}: ${reason} `;
    }
  }
  if (failure !== undefined) error.write(Buffer.from(`error forwarding port ${port} to pod ${sandbox}, uid : ${failure}`));
  data.receive(discard);
  error.end();
  data.end();
}

/**
 * Copies both ways until both directions have ended, or the grace period after the first one's end is over; then closes the pod's
 * connection, whatever is still under way. An end in one direction is not passed on before that. Resolves to the reason where it
 * wasn't the two ends.
 */
function carry(socket: Socket, data: Channel, port: number, graceMs: number, gone: AbortSignal): Promise<string | undefined> {
  socket.setNoDelay(true);
  const path = `tcp4 127.0.0.1:${socket.localPort ?? 0}->127.0.0.1:${port}`;
  return new Promise((resolve) => {
    let failure: string | undefined;
    let timer: NodeJS.Timeout | undefined;
    const open = { fromPod: true, fromClient: true };
    let resumeClient: (() => void) | undefined;

    const finish = (): void => {
      clearTimeout(timer);
      gone.removeEventListener("abort", finish);
      open.fromPod = open.fromClient = false;
      socket.destroy();
      unstall();
      resolve(failure);
    };
    const ended = (direction: keyof typeof open, reason?: string): void => {
      if (!open[direction]) return;
      open[direction] = false;
      failure ??= reason;
      if (!open.fromPod && !open.fromClient) finish();
      else timer = setTimeout(finish, graceMs).unref();
    };
    const unstall = (): void => {
      const resume = resumeClient;
      resumeClient = undefined;
      resume?.();
    };

    socket.on("data", (chunk: Buffer) => {
      if (!data.writable) return ended("fromPod", "write on closed stream");
      if (data.write(chunk)) return;
      socket.pause();
      data.onDrain(() => socket.resume());
    });
    socket.on("end", () => ended("fromPod"));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      unstall();
      const reset = error.code === "ECONNRESET" || error.code === "EPIPE";
      ended("fromPod", reset ? `read ${path}: read: connection reset by peer` : `read ${path}: ${error.message}`);
    });
    socket.on("close", () => {
      unstall();
      ended("fromPod");
    });
    socket.on("drain", unstall);
    data.receive({
      data(chunk, resume) {
        if (!open.fromClient || socket.destroyed) {
          ended("fromClient");
          return true;
        }
        if (socket.write(chunk)) return true;
        resumeClient = resume;
        return false;
      },
      end: () => ended("fromClient"),
    });
    if (gone.aborted) finish();
    else gone.addEventListener("abort", finish, { once: true });
  });
}

/** The id of a pod's sandbox in containerd: 64 hex digits, the same for the same pod. */
function sandboxId(namespace: string, pod: string): string {
  return createHash("sha256").update(`${namespace}/${pod}`).digest("hex");
}
