import { codeOf, type Dialer, type DialerComponents } from "@shipside/core";
import { tunnelError } from "./errors.ts";

/** Reaches pods over the Kubernetes port-forward API: the dialer for every target that no other one handles. */
export function podDialer(components: Pick<DialerComponents, "portForward">): Dialer {
  let closed = false;
  const close = async (): Promise<void> => {
    closed = true;
  };
  return {
    name: "pod",
    async dial({ target, endpoint, signal }) {
      const what = `${target.namespace}/${target.service}:${target.port}`;
      if (closed) throw tunnelError("DIAL_FAILED", `${what}: the dialer was closed`);
      const { pod, port } = endpoint;
      if (!pod) throw tunnelError("DIAL_FAILED", `${what}: ${endpoint.address} is no pod, and port-forward reaches pods only`);
      try {
        return await components.portForward(pod, port, { signal });
      } catch (cause) {
        if (codeOf(cause)?.startsWith("DIAL_")) throw cause;
        throw tunnelError("DIAL_FAILED", `${what}: could not connect to port ${port} of pod ${pod.namespace}/${pod.name}`, {
          cause,
        });
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
