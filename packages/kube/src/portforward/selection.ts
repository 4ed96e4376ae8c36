import { codeOf, hasCode, type Logger, type PodRef } from "@shipside/core";
import type { CarrierKind, Upgrade, Upgraded } from "./carrier.ts";
import { portForwardError } from "./errors.ts";
import { type ForwardTarget, tellsOfNoPod } from "./failure.ts";
import { V4_CHANNEL } from "./v4-channel.ts";
import { webSocketHandshake } from "./websocket.ts";

const TUNNELLED_SPDY = "SPDY/3.1+portforward.k8s.io";

export interface SelectorOptions {
  upgrade: Upgrade;
  /** Those that may be used, the best first. */
  carriers: readonly CarrierKind[];
  logger: Logger;
}

export interface Connected {
  kind: CarrierKind;
  upgraded: Upgraded;
}

/** Finds out which carrier the way to this cluster lets through, and remembers it. */
export interface Selector {
  /** What worked last. */
  readonly chosen: CarrierKind | undefined;
  /** No stream has ever been carried. */
  readonly unproven: boolean;
  /** Rejects with DIAL_GONE or DIAL_FAILED. */
  connect(target: ForwardTarget, signal: AbortSignal): Promise<Connected>;
  /** Streams work over this carrier. */
  proved(kind: CarrierKind): void;
  /** The upgrade went well, but nothing came through after it: others are tried first from now on, unless this one is proved. */
  doubt(kind: CarrierKind): void;
}

export function createSelector(options: SelectorOptions): Selector {
  let chosen: CarrierKind | undefined;
  let proven: CarrierKind | undefined;
  const doubted = new Set<CarrierKind>();

  const order = (): CarrierKind[] => {
    const rank = (kind: CarrierKind): number => (kind === (proven ?? chosen) ? 0 : doubted.has(kind) ? 2 : 1);
    return [...options.carriers].sort((a, b) => rank(a) - rank(b));
  };

  const tryOne = async (kind: CarrierKind, target: ForwardTarget, signal: AbortSignal): Promise<Connected> => {
    if (kind === "spdy") {
      const upgraded = await options.upgrade({
        method: "POST",
        path: portForwardPath(target.pod),
        headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "portforward.k8s.io" },
        signal,
      });
      return { kind, upgraded };
    }
    const handshake = webSocketHandshake(kind === "channel" ? V4_CHANNEL : TUNNELLED_SPDY);
    const path = portForwardPath(target.pod) + (kind === "channel" ? `?ports=${target.port}` : "");
    const upgraded = await options.upgrade({ method: "GET", path, headers: handshake.headers, signal });
    try {
      handshake.check(upgraded.headers);
    } catch (error) {
      upgraded.socket.on("error", () => {});
      upgraded.socket.destroy();
      throw error;
    }
    return { kind, upgraded };
  };

  return {
    get chosen() {
      return chosen;
    },
    get unproven() {
      return proven === undefined;
    },
    async connect(target, signal) {
      const failures: unknown[] = [];
      for (const kind of order()) {
        try {
          const connected = await tryOne(kind, target, signal);
          if (chosen !== kind) options.logger.info("port-forward carrier chosen", { carrier: kind, before: chosen });
          chosen = kind;
          return connected;
        } catch (error) {
          failures.push(error);
          if (signal.aborted || !mayBeTheCarrier(error, proven !== undefined)) break;
          options.logger.debug("port-forward carrier refused", { carrier: kind, reason: (error as Error).message });
        }
      }
      throw dialError(failures, target, signal);
    },
    proved(kind) {
      proven = kind;
      doubted.delete(kind);
    },
    doubt(kind) {
      if (proven === kind) return;
      doubted.add(kind);
      if (chosen === kind) chosen = undefined;
    },
  };
}

const portForwardPath = (pod: PodRef): string =>
  `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}/portforward`;

/**
 * Whether another carrier might get through where this one was refused. What says no to a whole way of speaking is a 4xx, a success
 * without an upgrade, or a wrong answer; a proxy that can't pass an upgrade on often gives a 5xx or hangs up, which counts only
 * while nothing has ever worked.
 */
export function mayBeTheCarrier(error: unknown, somethingWorked: boolean): boolean {
  if (isGone(error)) return false;
  if (hasCode(error, "PORTFORWARD_PROTOCOL", "KUBE_PROTOCOL")) return true;
  const status = statusOf(error);
  if (status === undefined) return !somethingWorked && causedByReset(error);
  if (status === 401 || status === 429) return false;
  return status < 500 || !somethingWorked;
}

function causedByReset(error: unknown): boolean {
  for (let e = error, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth++) if (codeOf(e) === "ECONNRESET") return true;
  return false;
}

const statusOf = (error: unknown): number | undefined => {
  const status = (error as { details?: { status?: unknown } })?.details?.status;
  return typeof status === "number" ? status : undefined;
};

/** Besides a 404: the kubelet forgets a pod that ends before the API server does, and then answers with an error of another status. */
function isGone(error: unknown): boolean {
  const status = statusOf(error);
  return status === 404 || (status !== undefined && status !== 401 && status !== 403 && tellsOfNoPod((error as Error).message));
}

const namesRight = (error: unknown): boolean =>
  hasCode(error, "KUBE_FORBIDDEN") && (error as { details?: { verb?: unknown } }).details?.verb !== undefined;

/** What came after the first refusal was only another way of asking. */
function dialError(failures: unknown[], { pod }: ForwardTarget, signal: AbortSignal): Error {
  const label = `pod ${pod.namespace}/${pod.name}`;
  if (signal.aborted && codeOf(signal.reason) === "PORTFORWARD_CLOSED") return signal.reason as Error;
  const gone = failures.find(isGone);
  if (gone) {
    const how = statusOf(gone) === 404 ? "does not exist" : "has ended";
    return portForwardError("DIAL_GONE", `${label} ${how}`, { cause: gone });
  }
  // The first refusal counts, but for one that names the right that is missing: a proxy's no says less.
  const first = failures.find(namesRight) ?? failures[0];
  const { hint } = first as { hint?: string };
  const why = signal.aborted ? "the API server did not answer in time" : (first as Error).message;
  return portForwardError("DIAL_FAILED", `could not open a port-forward connection to ${label}: ${why}`, {
    cause: failures.length === 1 ? first : new AggregateError(failures, "every way of asking was refused"),
    ...(hint && { hint }),
  });
}
