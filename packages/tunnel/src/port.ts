import type { Duplex } from "node:stream";
import type { Closable, Endpoint, ListenerFactory, Target } from "@shipside/core";
import { type Affinity, createAffinity, pickEndpoint } from "./balance.ts";
import type { Candidate } from "./endpoints.ts";
import type { Route } from "./forward.ts";
import { hostPort } from "./names.ts";
import type { Reception } from "./reception.ts";

export type PortState = "opening" | "listening" | "failed" | "unsupported" | "closed";

/** One port of a service (or of a pod of a headless one) as it is on this machine. Its values are current whenever they are read. */
export interface TunneledPort {
  /** The number that clients in the cluster use. */
  readonly port: number;
  readonly name: string | undefined;
  readonly protocol: string;
  readonly state: PortState;
  /** Where it listens: `127.72.3.4:80`, or with `bind: "local"` `127.0.0.1:41234`. Undefined unless it does. */
  readonly address: string | undefined;
  /** Why it failed. */
  readonly error: Error | undefined;
  /** Why it is unsupported. */
  readonly reason: string | undefined;
  readonly endpoints: readonly EndpointFacts[];
  readonly connections: { readonly open: number; readonly total: number; readonly failed: number };
  /** From the clients, and to them. */
  readonly bytes: { readonly sent: number; readonly received: number };
}

export interface EndpointFacts extends Endpoint {
  ready: boolean;
}

/** The side of a port that its service turns. */
export interface Port extends TunneledPort {
  readonly target: Target;
  update(candidates: readonly Candidate[], affinityMs: number | undefined): void;
  /** Never rejects: the state says how it went. */
  listen(listeners: ListenerFactory, address: string, port: number): Promise<void>;
  /** At one more address while it listens at its own; undefined: no more. Resolves to whether it does; never rejects. */
  listenAlso(listeners: ListenerFactory, address: string | undefined): Promise<boolean>;
  fail(error: Error): void;
  support(reason: string | undefined): void;
  /** Stops accepting. Open connections go on. */
  close(): Promise<void>;
}

export interface PortComponents {
  target: Target;
  reception: Reception;
  /** How long a dial may take, in ms. */
  dialMs(target: Target, endpoint: Endpoint): number;
  dial(target: Target, endpoint: Endpoint, signal: AbortSignal): Promise<Duplex>;
}

export function createPort({ target, reception, dial, dialMs }: PortComponents): Port {
  const loads = new Map<string, number>();
  let state: PortState = "opening";
  let listener: (Closable & { address: string; port: number }) | undefined;
  let another: (Closable & { address: string }) | undefined;
  let error: Error | undefined;
  let reason: string | undefined;
  let candidates: readonly Candidate[] = [];
  let affinity: Affinity | undefined;
  let affinityTimeout: number | undefined;
  let waiting = new Set<() => void>();

  const route: Route = {
    label: `${target.namespace && `${target.namespace}/`}${target.hostname ? `${target.hostname}.` : ""}${target.service}:${target.port}`,
    pick: (client, options) =>
      pickEndpoint(candidates, {
        ...options,
        load: (key) => loads.get(key) ?? 0,
        sticky: affinity?.get(client, Date.now()),
      }),
    changed: (signal) =>
      new Promise((resolve) => {
        const done = (): void => {
          waiting.delete(done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        waiting.add(done);
        signal.addEventListener("abort", done);
      }),
    dialMs: (candidate) => dialMs(target, endpointOf(candidate)),
    dial: (candidate, signal) => dial(target, endpointOf(candidate), signal),
    chosen(client, { key }) {
      affinity?.set(client, key, Date.now());
      loads.set(key, (loads.get(key) ?? 0) + 1);
      return () => {
        const left = (loads.get(key) ?? 1) - 1;
        if (left > 0) loads.set(key, left);
        else loads.delete(key);
      };
    },
  };

  const stop = async (next: PortState): Promise<void> => {
    const was = [listener, another];
    listener = another = undefined;
    state = next;
    for (const each of was) await each?.close();
  };

  return {
    target,
    port: target.port,
    name: target.portName,
    protocol: target.protocol,
    get state() {
      return state;
    },
    get address() {
      return listener && hostPort(listener.address, listener.port);
    },
    get error() {
      return error;
    },
    get reason() {
      return reason;
    },
    get endpoints() {
      return candidates.map((candidate) => ({ ...endpointOf(candidate), ready: candidate.ready }));
    },
    get connections() {
      return reception.counts();
    },
    get bytes() {
      return reception.bytes();
    },
    update(next, affinityMs) {
      candidates = next;
      if (affinityMs !== affinityTimeout) affinity = affinityMs === undefined ? undefined : createAffinity(affinityMs);
      affinityTimeout = affinityMs;
      const woken = waiting;
      waiting = new Set();
      for (const wake of woken) wake();
    },
    async listen(listeners, address, port) {
      try {
        listener = await reception.listen(listeners, { address, port }, route);
        state = "listening";
        error = undefined;
      } catch (cause) {
        state = "failed";
        error = cause as Error;
      }
    },
    async listenAlso(listeners, address) {
      if (another?.address !== address) {
        const was = another;
        another = undefined;
        await was?.close();
      }
      if (address === undefined || !listener) return false;
      if (another) return true;
      try {
        const made = await reception.listen(listeners, { address, port: listener.port }, route);
        if (state === "listening") another = made;
        else await made.close();
      } catch {
        return false;
      }
      return another !== undefined;
    },
    fail(cause) {
      state = "failed";
      error = cause;
    },
    support(why) {
      reason = why;
      if (why !== undefined) state = "unsupported";
      else if (state === "unsupported") state = "opening";
    },
    close: () => stop("closed"),
  };
}

function endpointOf({ address, port, pod, node }: Candidate): Endpoint {
  return { address, port, ...(pod && { pod }), ...(node !== undefined && { node }) };
}
