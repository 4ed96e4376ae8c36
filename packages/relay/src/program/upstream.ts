import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { abortError, codeOf, type Logger } from "@shipside/core";
import { relayError } from "../errors.ts";
import type { AcceptPort } from "../protocol.ts";
import type { ConnectionInfo, Developers } from "./developers.ts";
import type { HeldLease, Leases } from "./lease.ts";

/** What those who serve one port of the relay's share. */
export interface PortContext {
  readonly port: AcceptPort;
  readonly leases: Leases;
  readonly developers: Developers;
  readonly logger: Logger;
  /** Fires when connections are to be brought to an end. */
  readonly draining: AbortSignal;
  /** How to end each connection that waits for a request. */
  readonly idle: Set<() => void>;
  /** How long a request's head may take, in ms. */
  readonly headMs: number;
}

/** Pauses between attempts to reach the pods, in ms: nothing was sent yet, and a pod that goes is still an endpoint for a moment. */
const RETRY_MS = [50, 150, 400];
const CONNECT_MS = 5_000;
/** How long a developer's end may take to say whether it has connected, and how often it is asked while a request is held, in ms. */
const OPEN_MS = 5_000;
const HOLD_STEP_MS = 200;

/** A connection to the real pods. Rejects with `DIAL_REFUSED` where the port has none behind it, and with what connecting failed with. */
export async function dialBackend({ port }: PortContext, signal: AbortSignal): Promise<Duplex> {
  const { backend } = port;
  if (!backend) throw relayError("DIAL_REFUSED", `port ${port.port} has nobody behind it now`);
  for (const pause of [...RETRY_MS, undefined]) {
    try {
      return await connectTo(backend, signal);
    } catch (error) {
      if (pause === undefined || signal.aborted) throw error;
      await sleep(pause, undefined, { signal });
    }
  }
  throw abortError(signal);
}

function connectTo(to: { host: string; port: number }, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortError(signal));
    const socket = connect({ ...to, noDelay: true, allowHalfOpen: true });
    const fail = (error: Error): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(abortError(signal));
    const timer = setTimeout(() => fail(relayError("DIAL_FAILED", `${to.host}:${to.port} did not answer in time`)), CONNECT_MS);
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.off("error", fail);
    };
    socket.on("error", () => {});
    socket.on("error", fail);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("connect", () => {
      settle();
      resolve(socket);
    });
  });
}

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
