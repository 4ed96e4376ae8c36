import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, isIPv6 } from "node:net";
import {
  type Closable,
  codeOf,
  type DatagramListener,
  type Listener,
  type ListenerFactory,
  type ListenRequest,
  type ShipsideError,
} from "@shipside/core";
import { tunnelError } from "./errors.ts";
import { describeHolder, findHolder } from "./holder.ts";

/** Makes listening sockets in this process, with what privileges it has. */
export function localListeners(): Required<ListenerFactory> {
  const open = new Set<Closable>();
  let closed = false;
  const close = async (): Promise<void> => {
    closed = true;
    await Promise.all([...open].map((listener) => listener.close()));
  };
  const closedError = ({ address, port }: ListenRequest): Error =>
    tunnelError("LISTEN_FAILED", `could not listen on ${address}:${port}: the listener factory was closed`);
  const keep = async <L extends Closable>(request: ListenRequest, make: (onClose: () => void) => Promise<L>): Promise<L> => {
    if (closed) throw closedError(request);
    const listener = await make(() => open.delete(listener));
    open.add(listener);
    if (!closed) return listener;
    await listener.close();
    throw closedError(request);
  };
  return {
    name: "local",
    listen: (request) => keep(request, (onClose) => listen(request, onClose)),
    listenDatagrams: (request) => keep(request, (onClose) => bindDatagrams(request, onClose)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function listen(request: ListenRequest, onClose: () => void): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.on("error", () => {});
  try {
    server.listen({ host: request.address, port: request.port, exclusive: true });
    await once(server, "listening");
  } catch (error) {
    server.close();
    throw await listenError(request, error);
  }
  let closed: Promise<void> | undefined;
  // Stops accepting. Connections that are open are not waited for: they belong to whoever took them.
  const close = (): Promise<void> =>
    (closed ??= new Promise((resolve) => {
      onClose();
      server.close();
      setImmediate(resolve);
    }));
  const { address, port } = server.address() as AddressInfo;
  return { address, port, server, close, [Symbol.asyncDispose]: close };
}

/** Binds a UDP socket in this process. */
export async function bindDatagrams(request: ListenRequest, onClose: () => void = () => {}): Promise<DatagramListener> {
  const socket = createSocket(isIPv6(request.address) ? "udp6" : "udp4");
  try {
    socket.bind({ address: request.address, port: request.port, exclusive: true });
    await once(socket, "listening");
  } catch (error) {
    socket.close();
    throw await listenError(request, error, "UDP");
  }
  // One datagram that can't be sent is lost, and no more.
  socket.on("error", () => {});
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= new Promise((resolve) => {
      onClose();
      socket.close(() => resolve());
    }));
  const { address, port } = socket.address();
  return { address, port, socket, close, [Symbol.asyncDispose]: close };
}

/** What a failed `listen` is to a person: exported for factories that make sockets elsewhere and meet the same failures. */
export async function listenError(
  { address, port }: ListenRequest,
  cause: unknown,
  protocol: "TCP" | "UDP" = "TCP",
): Promise<ShipsideError> {
  const what = `could not listen on ${address}:${port}${protocol === "UDP" ? "/udp" : ""}`;
  switch (codeOf(cause)) {
    case "EADDRINUSE": {
      const holder = protocol === "TCP" ? await findHolder(address, port) : undefined;
      return tunnelError("LISTEN_IN_USE", `${what}: the port is held by ${describeHolder(holder)}`, {
        hint: "stop that process, or have it listen on 127.0.0.1 instead of on all addresses",
        cause,
        ...(holder && { details: { holder } }),
      });
    }
    case "EACCES":
    case "EPERM":
      return tunnelError("LISTEN_FORBIDDEN", `${what}: ports below 1024 need a privilege`, {
        hint: lowPortHint(),
        cause,
      });
    case "EADDRNOTAVAIL":
      return tunnelError("LISTEN_FAILED", `${what}: this machine has no such address`, {
        hint: process.platform === "darwin" ? `sudo ifconfig lo0 alias ${address}` : `sudo ip address add ${address}/32 dev lo`,
        cause,
      });
    default:
      return tunnelError("LISTEN_FAILED", `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function lowPortHint(): string {
  const anyway =
    'let the privileged helper make the sockets (shipside start); a program that embeds the tunneler can ask for bind: "local"';
  if (process.platform !== "linux") return anyway;
  return `${anyway}; or allow it for every user: sudo sysctl net.ipv4.ip_unprivileged_port_start=0`;
}
