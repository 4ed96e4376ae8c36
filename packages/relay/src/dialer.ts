import { abortError, codeOf, type Dialer } from "@shipside/core";
import { relayError } from "./errors.ts";
import type { RelayLink } from "./link.ts";
import { authorityOf } from "./wire/authority.ts";

/** Dials from inside the cluster over a link to a relay there: any address that the relay's pod can reach, with exact endings. */
export function relayDialer(options: {
  /** Asked for at each dial, so that nothing is deployed before somebody connects. A link that it gave is left open. */
  link(signal: AbortSignal): Promise<RelayLink>;
  /** How long a dial may take, in ms, where `link` takes its time. */
  dialMs?: number;
}): Dialer {
  const lifetime = new AbortController();
  const close = async (): Promise<void> => lifetime.abort(relayError("DIAL_FAILED", "the dialer was closed"));
  return {
    name: "relay",
    ...(options.dialMs !== undefined && { dialMs: options.dialMs }),
    async dial({ target, endpoint, signal }) {
      const until = AbortSignal.any([signal, lifetime.signal]);
      const to = authorityOf(endpoint.address, endpoint.port);
      try {
        if (until.aborted) throw abortError(until);
        const link = await options.link(until);
        return await link.connect(to, { protocol: target.protocol === "UDP" ? "udp" : "tcp", signal: until });
      } catch (cause) {
        if (codeOf(cause)?.startsWith("DIAL_") || signal.aborted) throw cause;
        throw relayError(
          "DIAL_FAILED",
          `${target.namespace}/${target.service}:${target.port}: could not connect to ${to} through the relay`,
          {
            cause,
          },
        );
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
