import { abortError } from "@shipside/core";
import { portForwardError } from "./errors.ts";
import type { ForwardTarget } from "./failure.ts";
import type { ForwardStream } from "./stream.ts";

export interface SettleOptions {
  /** The bound for the server's answer to the new stream, in ms. */
  acceptMs: number;
  /** How long a refusal by the pod is waited for after that, in ms. */
  settleMs: number;
  signal: AbortSignal | undefined;
}

/**
 * Waits until a new stream is known to stand, as well as the port-forward API can tell: the server takes a stream before it dials
 * the pod and never says that the dial went well. So: the pod's first byte, or no refusal within `settleMs` of being accepted.
 * Rejects with what the stream failed with; the stream is destroyed then.
 */
export function settle(stream: ForwardStream, target: ForwardTarget, options: SettleOptions): Promise<void> {
  const { signal, acceptMs, settleMs } = options;
  return new Promise((resolve, reject) => {
    let timer = setTimeout(() => {
      stream.destroy(portForwardError("DIAL_FAILED", `no answer to the dial of ${target.label} within ${acceptMs} ms`));
    }, acceptMs);

    const done = (error?: unknown): void => {
      clearTimeout(timer);
      stream.onDialState(undefined);
      stream.off("error", done);
      stream.off("close", closed);
      signal?.removeEventListener("abort", aborted);
      if (error === undefined) resolve();
      else {
        stream.on("error", () => {});
        stream.destroy();
        reject(error);
      }
    };
    const closed = (): void => done(portForwardError("DIAL_FAILED", `the dial of ${target.label} was ended`));
    const aborted = (): void => done(abortError(signal as AbortSignal));

    stream.on("error", done);
    stream.on("close", closed);
    signal?.addEventListener("abort", aborted);
    stream.onDialState(() => {
      if (stream.dialState === "accepted") {
        clearTimeout(timer);
        timer = setTimeout(() => done(), settleMs);
      } else if (stream.dialState === "spoke") done();
    });
    if (signal?.aborted) aborted();
  });
}
