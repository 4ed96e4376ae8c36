import { lookup } from "node:dns/promises";
import { createConnection } from "node:net";
import { abortError, type ErrorJson, errorFromJson, errorToJson, type PodRef } from "@shipside/core";
import type { PortStatus, ServiceStatus } from "@shipside/tunnel";
import { daemonError } from "./errors.ts";

/** The way of a connection, in its order: name → address → listener → a ready pod → that pod's port. */
export type ProbeStep = "name" | "listener" | "endpoint" | "pod";

/** One service port, tried from end to end. */
export interface TunnelProbe {
  /** `leaf.shop` */
  service: string;
  port: number;
  /** `host:port` on this machine; missing where it has none. */
  address?: string;
  /** How long each step took, in ms; a step that isn't there was not taken. */
  ms: Partial<Record<ProbeStep, number>>;
  pod?: PodRef;
  /** Where it breaks; the steps behind are not taken. */
  broken?: { step: ProbeStep; error: ErrorJson };
}

export interface TunnelsProbe {
  /** How many ports there are, and how many of them were asked. */
  of: number;
  asked: number;
  /** Why the names were not looked up. */
  namesSkipped?: string;
  probes: TunnelProbe[];
}

export interface ProbeTunnelsOptions {
  services: readonly ServiceStatus[];
  /** How many ports are asked at most, spread evenly. Default 24. */
  most?: number;
  /** The system's resolver, or why it isn't asked. Default: the system's. */
  resolve?: ((name: string) => Promise<string[]>) | { skipped: string };
  /** Opens a stream to a pod's port, as a connection of a client would. Resolves when the pod has taken it. */
  dial(pod: PodRef, port: number, signal: AbortSignal): Promise<{ destroy(): unknown }>;
  signal: AbortSignal;
}

const DEFAULT_MOST = 24;
const AT_ONCE = 8;

interface Candidate {
  service: ServiceStatus;
  name: string;
  address: string | undefined;
  port: PortStatus;
}

/** As programs resolve: getaddrinfo, and so the hosts file. */
export const systemResolve = async (name: string): Promise<string[]> =>
  (await lookup(name, { all: true, family: 4 })).map(({ address }) => address);

/** Tries services' ports on the way that a client's connection takes. Never rejects: what is broken stands where it breaks. */
export async function probeTunnels(options: ProbeTunnelsOptions): Promise<TunnelsProbe> {
  const { services, most = DEFAULT_MOST, resolve = systemResolve } = options;
  const all = services.flatMap(candidatesOf);
  const chosen = spread(all, most);
  const probes: TunnelProbe[] = [];
  const queue = [...chosen.entries()];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next && !options.signal.aborted; next = queue.shift())
      probes[next[0]] = await probeOne(next[1], options, "skipped" in resolve ? undefined : resolve);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const asked = probes.filter(Boolean);
  return {
    of: all.length,
    asked: asked.length,
    ...("skipped" in resolve && { namesSkipped: resolve.skipped }),
    probes: asked,
  };
}

/** What can be served at all. A headless service without an address of its own is asked by its pods. */
function candidatesOf(service: ServiceStatus): Candidate[] {
  const { namespace, name, address, ports, pods } = service;
  // To connect to what only a relay reaches would deploy one.
  const byPods = ({ endpoints }: PortStatus): boolean => endpoints.length === 0 || endpoints.some(({ pod }) => pod);
  const served = (port: PortStatus): boolean =>
    port.protocol === "TCP" && port.state !== "unsupported" && port.state !== "closed" && byPods(port);
  if (service.unsupported !== undefined) return [];
  const own = ports.filter(served).map((port) => ({ service, name: `${name}.${namespace}`, address, port }));
  if (address !== undefined) return own;
  return pods.flatMap((pod) =>
    pod.ports.filter(served).map((port) => ({ service, name: `${pod.hostname}.${name}.${namespace}`, address: pod.address, port })),
  );
}

function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)]!);
}

async function probeOne(
  { name, address, port }: Candidate,
  { dial, signal }: ProbeTunnelsOptions,
  resolve: ((name: string) => Promise<string[]>) | undefined,
): Promise<TunnelProbe> {
  const probe: TunnelProbe = {
    service: name,
    port: port.port,
    ...(port.address !== undefined && { address: port.address }),
    ms: {},
  };
  const label = `${name}:${port.port}`;
  const take = async (step: ProbeStep, run: () => Promise<void>): Promise<boolean> => {
    const began = performance.now();
    try {
      await untilAborted(run(), signal);
      probe.ms[step] = Math.round((performance.now() - began) * 10) / 10;
      return true;
    } catch (error) {
      const late = signal.aborted
        ? daemonError("PROBE_TIMEOUT", `${label}: no answer at the step "${step}" in time`, { cause: error })
        : error;
      probe.broken = { step, error: errorToJson(late) };
      return false;
    }
  };

  const ready = port.endpoints.find((endpoint) => endpoint.ready);
  const steps: Array<[ProbeStep, () => Promise<void>]> = [
    ["listener", () => tryListener(port, label, signal)],
    [
      "endpoint",
      async () => {
        if (!ready) throw daemonError("PROBE_NO_POD", `${label}: no pod is ready`, { hint: "`kubectl get pods` says why" });
      },
    ],
  ];
  if (resolve && address !== undefined) steps.unshift(["name", () => tryName(name, address, resolve)]);
  const pod = ready?.pod;
  if (pod) {
    steps.push([
      "pod",
      async () => {
        probe.pod = pod;
        (await dial(pod, ready.port, signal)).destroy();
      },
    ]);
  }
  for (const step of steps) if (!(await take(...step))) break;
  return probe;
}

async function tryName(name: string, address: string, resolve: (name: string) => Promise<string[]>): Promise<void> {
  const found = await resolve(name).catch((cause: unknown) => {
    throw daemonError("PROBE_NAME", `${name} does not resolve on this machine, and should to ${address}`, {
      hint: "`shipside doctor` says how names are resolved here",
      cause,
    });
  });
  if (found[0] === address) return;
  throw daemonError("PROBE_NAME", `${name} resolves to ${found.join(", ")}, and should to ${address}`, {
    hint: "another line of the hosts file, or another session, has this name",
  });
}

async function tryListener({ address, error, state }: PortStatus, label: string, signal: AbortSignal): Promise<void> {
  if (address === undefined) {
    throw daemonError("PROBE_LISTENER", error?.message ?? `${label}: nothing listens (${state})`, {
      ...(error?.hint !== undefined && { hint: error.hint }),
      ...(error && { cause: errorFromJson(error) }),
    });
  }
  const at = address.lastIndexOf(":");
  await new Promise<void>((resolve, reject) => {
    const socket = createConnection({ host: address.slice(0, at), port: Number(address.slice(at + 1)), signal });
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.on("error", (cause) =>
      reject(daemonError("PROBE_LISTENER", `${label}: ${address} takes no connection (${cause.message})`, { cause })),
    );
  });
}

/** A lookup can't be stopped; nobody has to wait for it. */
async function untilAborted(done: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw abortError(signal);
  const stop = new AbortController();
  const aborted = new Promise<never>((_resolve, reject) =>
    signal.addEventListener("abort", () => reject(abortError(signal)), { once: true, signal: stop.signal }),
  );
  try {
    await Promise.race([done, aborted]);
  } finally {
    stop.abort();
    done.catch(() => {});
  }
}
