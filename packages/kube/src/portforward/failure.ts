import type { PodRef, ShipsideError } from "@shipside/core";
import { portForwardError } from "./errors.ts";

export interface ForwardTarget {
  pod: PodRef;
  port: number;
  /** "port 80 of pod ns/name" */
  label: string;
}

export function forwardTarget(pod: PodRef, port: number): ForwardTarget {
  return { pod, port, label: `port ${port} of pod ${pod.namespace}/${pod.name}` };
}

/** The error stream's message: plain text, or `{"message": …}` from newer kubelets. */
function reasonText(raw: string): string {
  try {
    const parsed = JSON.parse(raw) as { message?: unknown };
    if (typeof parsed?.message === "string" && parsed.message !== "") return parsed.message;
  } catch {}
  return raw.trim();
}

/** What containerd says when its dial failed, for whatever reason: refused, timed out, or no way to 127.0.0.1 in a pod that ends. */
const REFUSED = /connection refused|ECONNREFUSED|failed to connect to localhost:\d+ inside namespace/i;
const RESET = /connection reset by peer|broken pipe|ECONNRESET|EPIPE/i;
const GONE =
  /(sandbox|pod|container)[^:]*(not found|not running|does not exist)|(failed|unable) to find sandbox|network namespace .*is closed|not found in store/i;

/** Whether a message says that there is no such pod, or nothing of it runs. */
export const tellsOfNoPod = (text: string): boolean => GONE.test(text);

/**
 * What the error stream's message means. Runtimes have no codes there, only Go's words for the system's errors and their own for
 * a pod that has gone (as seen with containerd and CRI-O). Only a message that came before the first byte can be a failed dial.
 */
export function failureOf(raw: string, target: ForwardTarget, afterFirstByte: boolean): ShipsideError {
  const text = reasonText(raw);
  const cause = new Error(text === "" ? "reset without a reason" : text);
  if (!afterFirstByte && REFUSED.test(text)) {
    return portForwardError("DIAL_REFUSED", `nothing listens on ${target.label}`, {
      cause,
      hint: "The port-forward API reaches the pod's 127.0.0.1 and ::1: check that the container listens there, and on this port.",
    });
  }
  if (RESET.test(text)) return portForwardError("ECONNRESET", `${target.label} reset the connection`, { cause });
  if (!afterFirstByte && GONE.test(text)) {
    return portForwardError("DIAL_GONE", `pod ${target.pod.namespace}/${target.pod.name} is gone`, { cause });
  }
  return afterFirstByte
    ? portForwardError("ECONNRESET", `the connection to ${target.label} broke: ${text}`, { cause })
    : portForwardError("DIAL_FAILED", `could not connect to ${target.label}: ${text}`, { cause });
}
