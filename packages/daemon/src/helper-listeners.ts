import { once } from "node:events";
import { createServer } from "node:net";
import { createCloser, hasCode, type Listener, type ListenerFactory, type ListenRequest } from "@shipside/core";
import { listenError, localListeners, tunnelError } from "@shipside/tunnel";
import type { CallHelper } from "./helper-client.ts";

/** Listening sockets that the helper makes and hands over. */
export function helperListeners(call: CallHelper): ListenerFactory {
  const closer = createCloser();
  /** One at a time, so that the helper can hand over each socket at once: see there. */
  let turn: Promise<unknown> = Promise.resolve();

  const listen = async (wanted: ListenRequest): Promise<Listener> => {
    const { result, server: received } = await call("listen", { address: wanted.address, port: wanted.port }).catch(
      async (error: unknown) => Promise.reject(await refusedListen(wanted, error)),
    );
    const { address, port } = result;
    if (!received) throw tunnelError("LISTEN_FAILED", `could not listen on ${address}:${port}: the helper sent no socket`);
    // The one that Node made of it lacks our options; this one takes over its socket before anything is accepted.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    server.on("error", () => {});
    server.listen(received);
    await once(server, "listening");
    const stop = closer.defer(async () => {
      server.close();
      // Where the helper is gone, so is all that it kept for this address.
      await call("unlisten", { address, port }).catch(() => {});
    });
    return { address, port, server, close: stop, [Symbol.asyncDispose]: stop };
  };

  return {
    name: "helper",
    listen(wanted) {
      const made = turn.then(async () => {
        const { address, port } = wanted;
        if (closer.closing)
          throw tunnelError("LISTEN_FAILED", `could not listen on ${address}:${port}: the listener factory was closed`);
        const listener = await listen(wanted);
        if (!closer.closing) return listener;
        await listener.close();
        throw tunnelError("LISTEN_FAILED", `could not listen on ${address}:${port}: the listener factory was closed`);
      });
      turn = made.catch(() => {});
      return made;
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

async function refusedListen(wanted: ListenRequest, cause: unknown): Promise<Error> {
  const what = `could not listen on ${wanted.address}:${wanted.port}`;
  if (hasCode(cause, "HELPER_REFUSED")) {
    return tunnelError("LISTEN_FORBIDDEN", `${what}: the helper makes listeners on 127.0.0.0/8 only, without 127.0.0.1`, {
      hint: "choose a range within it (pool.cidr)",
      cause,
    });
  }
  if (hasCode(cause, "HELPER_GONE")) {
    const { message, hint } = cause as Error & { hint?: string };
    return tunnelError("LISTEN_FORBIDDEN", `${what}: ${message}`, { cause, ...(hint !== undefined && { hint }) });
  }
  return listenError(wanted, cause);
}

/** Makes by itself what this process may, and asks `helper` for the rest: as little as possible is done by root. */
export function listenersWithHelper(helper: ListenerFactory, local: ListenerFactory = localListeners()): ListenerFactory {
  const close = async (): Promise<void> => {
    await local.close();
    await helper.close();
  };
  return {
    name: `${local.name}, then ${helper.name}`,
    listen: (wanted) =>
      local.listen(wanted).catch((error: unknown) => {
        const missing = hasCode(error, "LISTEN_FAILED") && hasCode((error as Error).cause, "EADDRNOTAVAIL");
        if (missing || hasCode(error, "LISTEN_FORBIDDEN")) return helper.listen(wanted);
        throw error;
      }),
    close,
    [Symbol.asyncDispose]: close,
  };
}
