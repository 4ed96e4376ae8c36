import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { codeOf, type Listener, type ListenerFactory, type ListenRequest, type ShipsideError } from "@shipside/core";
import { tunnelError } from "./errors.ts";
import { describeHolder, findHolder } from "./holder.ts";

/** Makes listening sockets in this process, with what privileges it has. */
export function localListeners(): ListenerFactory {
  const open = new Set<Listener>();
  let closed = false;
  const close = async (): Promise<void> => {
    closed = true;
    await Promise.all([...open].map((listener) => listener.close()));
  };
  const closedError = ({ address, port }: ListenRequest): Error =>
    tunnelError("LISTEN_FAILED", `could not listen on ${address}:${port}: the listener factory was closed`);
  return {
    name: "local",
    async listen(request) {
      if (closed) throw closedError(request);
      const listener = await listen(request, () => open.delete(listener));
      open.add(listener);
      if (!closed) return listener;
      await listener.close();
      throw closedError(request);
    },
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

/** What a failed `listen` is to a person: exported for factories that make sockets elsewhere and meet the same failures. */
export async function listenError({ address, port }: ListenRequest, cause: unknown): Promise<ShipsideError> {
  const what = `could not listen on ${address}:${port}`;
  switch (codeOf(cause)) {
    case "EADDRINUSE": {
      const holder = await findHolder(address, port);
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
  const anyway = 'let the privileged helper make the sockets (shipside start), or use bind: "local"';
  if (process.platform !== "linux") return anyway;
  return `${anyway}; or allow it for every user: sudo sysctl net.ipv4.ip_unprivileged_port_start=0`;
}
