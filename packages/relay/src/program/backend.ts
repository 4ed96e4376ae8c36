import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { abortError, hasCode } from "@shipside/core";
import { relayError } from "../errors.ts";
import { inOrderFor } from "./affinity.ts";
import type { ConnectionInfo } from "./developers.ts";
import { secured } from "./tls-backend.ts";
import type { PortContext } from "./upstream.ts";

/** Pauses between attempts to reach the pods, in ms: nothing was sent yet, and a pod that goes is still an endpoint for a moment. */
const RETRY_MS = [50, 150, 400];
const CONNECT_MS = 5_000;

interface Address {
  host: string;
  port: number;
}

/**
 * A connection to the real pods, for who calls. Rejects with `DIAL_REFUSED` where the port has none behind it, and with what connecting
 * failed with; `RELAY_TLS_PODS` where TLS can't begin anew.
 */
export async function dialBackend(context: PortContext, info: ConnectionInfo, signal: AbortSignal): Promise<Duplex> {
  for (const pause of [...RETRY_MS, undefined]) {
    try {
      const socket = await connectToFirst(await backendAddresses(context, info), signal);
      return context.secure ? await secured(socket, context.secure, signal) : socket;
    } catch (error) {
      if (pause === undefined || signal.aborted || !context.port.backend || hasCode(error, "RELAY_TLS_PODS")) throw error;
      await sleep(pause, undefined, { signal });
    }
  }
  throw abortError(signal);
}

/** Where the pods are, best first. Rejects with `DIAL_REFUSED` where there are none. */
export async function backendAddresses({ port, leaving, names }: PortContext, { peer }: ConnectionInfo): Promise<Address[]> {
  const { backend, restored } = port;
  if (!backend) throw relayError("DIAL_REFUSED", `port ${port.port} has nobody behind it now`);
  const { host, port: number, perClient = false } = leaving.aborted && restored ? { ...restored } : backend;
  const found = await names.addresses(host);
  const client = peer.slice(0, peer.lastIndexOf(":"));
  return (perClient ? inOrderFor(client, found) : found).map((address) => ({ host: address, port: number }));
}

async function connectToFirst(addresses: readonly Address[], signal: AbortSignal): Promise<Socket> {
  let failure: unknown;
  for (const address of addresses) {
    try {
      return await connectTo(address, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

function connectTo(to: Address, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortError(signal));
    const socket = connect({ host: to.host, port: to.port, noDelay: true, allowHalfOpen: true });
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
