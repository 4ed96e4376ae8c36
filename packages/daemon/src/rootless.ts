import { readFile, realpath } from "node:fs/promises";
import { type Closable, createCloser, type HostsEntry, type ShipsideError } from "@shipside/core";
import {
  forwardOpenedPorts,
  type HostPort,
  type OpenedPort,
  type OutsideKind,
  openNamespace,
  openOutsideWorld,
  openResolver,
  parseResolvConf,
  podResolvConf,
  type Resolver,
  renderResolvConf,
  whyMountsAreHidden,
} from "@shipside/rootless";
import type { RunCommandOptions, RunningCommand } from "./child/run.ts";
import type { HostOptions } from "./host.ts";
import { arrivalsInside } from "./rootless-arrivals.ts";
import { hostsBesideDns } from "./rootless-hosts.ts";
import { clusterServices } from "./rootless-records.ts";
import { showOrder } from "./rootless-volumes.ts";
import type { MountInfo, SessionInfo } from "./session-info.ts";

export { whyNotRootless } from "./rootless-choice.ts";

/** Namespaces for one command, and what makes a session theirs. */
export interface Rootless extends Closable {
  /**
   * For the session host whose sessions are to be in the namespaces: their names, addresses, listeners and local ports. Close it before this.
   */
  readonly hostOptions: Pick<
    HostOptions,
    "hosts" | "listeners" | "bind" | "plugins" | "datagramSocket" | "whyNoMounts" | "mountInside"
  >;
  /** Gives the namespaces the session's DNS and the rest of the world, once, before a command runs. */
  join(session: JoinedSession): Promise<Joined>;
  /** The session's services, or their names, are others now. */
  follow(info: SessionInfo, entries: readonly HostsEntry[]): void;
  /** Shows a session's volumes at their own paths, before a command runs. Returns what could not be shown (`ROOTLESS_MOUNT`). */
  show(mount: MountInfo): Promise<Error[]>;
  /** Runs a command there: as `runCommand` does. */
  run(options: RunCommandOptions): Promise<RunningCommand>;
  /** A command line that runs a command there, for who starts it and has its input and output: it is killed where that is killed. */
  enter(command: readonly string[]): string[];
}

export interface JoinedSession {
  info: SessionInfo;
  entries: readonly HostsEntry[];
  /** Ports of this machine's localhost that the command has at its own. */
  hostPorts?: readonly HostPort[];
  /** The command listens on a port, which is on this machine's localhost from now on. */
  opened(port: OpenedPort): void;
  /** Whether the command's host name is the workload's pods' (`info.pod`). */
  hostname?: boolean;
  /** What carries the command's traffic to the rest of the world has ended by itself, carries again, or is gone for good. */
  outside?(change: OutsideChange): void;
}

export type OutsideChange = { kind: "interrupted" | "gone"; error: ShipsideError } | { kind: "restored" };

export interface Joined {
  /** By what the rest of the world is reached. */
  outside: OutsideKind;
  /** What would be better, and why it isn't. */
  without: readonly { kind: OutsideKind; error: ShipsideError }[];
}

export interface RootlessOptions {
  /** Ends the opening. */
  signal?: AbortSignal;
}

/** Where the cluster's names are answered: of the namespaces' own loopback, and nobody else's. */
const DNS_ADDRESS = "127.0.0.53";

/**
 * Makes namespaces in which a command sees the cluster's names, addresses and low ports, while nothing on the machine changes and nobody is
 * root. Rejects with `ROOTLESS_UNSUPPORTED`, `ROOTLESS_FORBIDDEN`, `ROOTLESS_FAILED`.
 */
export async function openRootless(options: RootlessOptions = {}): Promise<Rootless> {
  const closer = createCloser();
  const namespace = closer.use(await openNamespace(options));
  const { listeners } = namespace;
  let resolver: Resolver | undefined;
  let outsideEnv: Readonly<Record<string, string>> = {};
  let ownEnv: Readonly<Record<string, string>> = {};

  const openDns = async ({ info, entries }: JoinedSession): Promise<void> => {
    const services = clusterServices(info.services, entries);
    const namespaces = [info.namespace, ...info.also];
    resolver = closer.use(await openResolver({ listeners, addresses: [DNS_ADDRESS], services, namespaces }));
    const machine = parseResolvConf(await readFile("/etc/resolv.conf", "utf8").catch(() => ""));
    const pod = { ...info.pod, namespace: info.namespace };
    const nameservers = [DNS_ADDRESS];
    // The machine's own servers are asked by ours: an address of its loopback means something else in here.
    await namespace.resolveBy(renderResolvConf(podResolvConf({ pod, nameservers, machine: { ...machine, nameservers } })));
  };
  const openWorld = async ({ info, entries, hostPorts = [], outside }: JoinedSession): Promise<Joined> => {
    // Where the namespaces are gone, nobody is there to miss it.
    const tell = (change: OutsideChange): void => {
      if (!namespace.ended.aborted && !closer.closing) outside?.(change);
    };
    const addresses = info.services.flatMap(({ address }) => address ?? []);
    const world = closer.use(
      await openOutsideWorld({
        ...{ pid: namespace.pid, listeners, hostPorts, clusterAddresses: addresses },
        noProxy: [...addresses, ...entries.flatMap(({ names }) => names)],
        interrupted: (error) => tell({ kind: "interrupted", error }),
        restored: () => tell({ kind: "restored" }),
      }),
    );
    void world.ended.then((error) => error && tell({ kind: "gone", error }));
    outsideEnv = world.env;
    return { outside: world.kind, without: world.without };
  };

  return {
    hostOptions: {
      ...{ hosts: hostsBesideDns(namespace.hosts), listeners, bind: "cluster" },
      datagramSocket: async () => (await listeners.listenDatagrams({ address: "127.0.0.1", port: 0 })).socket,
      async whyNoMounts(dir) {
        const why = await whyMountsAreHidden(dir);
        return why && `${why}; --driver sync does without`;
      },
      mountInside: (command) => namespace.enter(command, { asRoot: true }),
      plugins: [{ name: "rootless", interceptors: [arrivalsInside(namespace)] }],
    },
    async join(session) {
      const { pod } = session.info;
      const named = session.hostname && pod ? namespace.setHostname(pod.hostname, pod.fqdn) : undefined;
      const [joined] = await Promise.all([openWorld(session), openDns(session), named]);
      if (named) ownEnv = { HOSTNAME: pod!.hostname };
      closer.use(forwardOpenedPorts({ namespace, opened: session.opened }));
      return joined;
    },
    follow: (info, entries) => resolver?.update(clusterServices(info.services, entries)),
    async show({ dir, volumes }) {
      const failed: Error[] = [];
      const real = async (path: string): Promise<string> => realpath(path).catch(() => path);
      const all = await real(dir);
      const places = new Map(await Promise.all(volumes.map(async ({ mountPath }) => [mountPath, await real(mountPath)] as const)));
      for (const each of showOrder(volumes, (mountPath) => `${all}/`.startsWith(`${places.get(mountPath)}/`))) {
        await namespace.mount(each).catch((error: Error) => failed.push(error));
      }
      return failed;
    },
    async run({ command, env, cwd, stdout, signal, graceMs = 5_000 }) {
      const { exited, kill } = await namespace.run({
        ...{ command, env: { ...env, ...outsideEnv, ...ownEnv } },
        ...(cwd !== undefined && { cwd }),
        ...(stdout && { stdout }),
      });
      const onAbort = (): void => {
        kill("SIGTERM");
        setTimeout(() => kill("SIGKILL"), graceMs).unref();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      if (signal?.aborted) onAbort();
      return { pid: namespace.pid, exited, kill };
    },
    enter: (command) => namespace.enter(command),
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}
