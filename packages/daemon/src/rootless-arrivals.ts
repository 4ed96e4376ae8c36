import { abortError, hasCode, type Interceptor } from "@shipside/core";
import { relayError } from "@shipside/relay";
import type { Namespace } from "@shipside/rootless";

/** What arrives from the cluster for a local port is for the command in the namespaces: nothing on this machine's localhost is asked. */
export const arrivalsInside = (namespace: Pick<Namespace, "connect">): Interceptor => ({
  name: "rootless",
  async connect({ localPort: port }, _next, { signal }) {
    try {
      const socket = await namespace.connect({ port });
      socket.on("error", () => {});
      if (!signal.aborted) return socket;
      socket.destroy();
    } catch (cause) {
      if (!hasCode(cause, "ECONNREFUSED", "ROOTLESS_CLOSED")) throw cause;
      throw relayError("DIAL_REFUSED", `nothing of the command listens on port ${port}`, { cause });
    }
    throw abortError(signal);
  },
});
