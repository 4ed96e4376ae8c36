import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { codeOf, type Logger } from "@shipside/core";
import type { AcceptPort } from "../protocol.ts";
import type { ConnectionInfo, Developers } from "./developers.ts";
import type { HeldLease, Leases } from "./lease.ts";
import type { Names } from "./names.ts";
import type { SecureBackend } from "./tls-backend.ts";

/** What those who serve one port of the relay's share. */
export interface PortContext {
  readonly port: AcceptPort;
  readonly leases: Leases;
  readonly developers: Developers;
  readonly logger: Logger;
  readonly names: Names;
  /** The connections whose TLS ended here: to the backend it begins anew. */
  readonly secure?: SecureBackend;
  /** Fires when connections are to be brought to an end. */
  readonly draining: AbortSignal;
  /** Fires when only what drains is left: the backend may be gone, and the Service leads to its pods again. */
  readonly leaving: AbortSignal;
  /** How to end each connection that waits for a request. */
  readonly idle: Set<() => void>;
  /** How long a request's head may take, in ms. */
  readonly headMs: number;
}

/** How long a developer's end may take to say whether it has connected, and how often it is asked while a request is held, in ms. */
const OPEN_MS = 5_000;
const HOLD_STEP_MS = 200;

/**
 * A stream to a lease's developer, waited for as long as the lease says; undefined where there is none by then: the cluster is to answer.
 */
export async function openDeveloper(
  { leases, developers, logger }: PortContext,
  held: HeldLease,
  info: ConnectionInfo,
  signal: AbortSignal,
): Promise<Duplex | undefined> {
  const until = performance.now() + held.lease.holdMs;
  for (;;) {
    if (signal.aborted || leases.get(held.lease.id) !== held) return undefined;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS)]);
    try {
      const stream = await developers.open(held, info, limit);
      if (stream) {
        stream.on("error", () => {});
        held.connections++;
        return stream;
      }
    } catch (error) {
      logger.debug("a developer's end could not be connected to", { lease: held.lease.id, code: codeOf(error) });
    }
    const left = until - performance.now();
    if (left <= 0) return undefined;
    await sleep(Math.min(left, HOLD_STEP_MS), undefined, { signal }).catch(() => {});
  }
}
