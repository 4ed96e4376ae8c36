import type { Socket as DatagramSocket } from "node:dgram";
import { join } from "node:path";
import {
  type Closable,
  createCloser,
  type EnvEntry,
  errorToJson,
  type HostsOwner,
  type ListenerFactory,
  type Logger,
  type Plugin,
  silentLogger,
} from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { openTunnel, type TunnelOptions } from "@shipside/tunnel";
import { daemonError } from "./errors.ts";
import { createHostClusters, type HostCluster } from "./host-clusters.ts";
import { createInspection, type InspectionOptions } from "./inspection/inspection.ts";
import type { OpenInspection } from "./inspection/open-inspection.ts";
import { type Journal, openJournal } from "./journal.ts";
import { createNameBoard } from "./name-board.ts";
import { stateDir as defaultStateDir } from "./paths.ts";
import { systemResolve } from "./probe.ts";
import { makeHosts } from "./residue/hosts.ts";
import { openSession, type Session } from "./session.ts";
import { createSessionClaims } from "./session-claims.ts";
import { matchingSessions, unknownSession } from "./session-find.ts";
import type { ProbeOptions, ProbeResult, SessionEvent, SessionInfo, SessionOptions } from "./session-info.ts";
import { checkSessionOptions, sessionKey } from "./session-options.ts";
import { type SessionRelay, sessionRelay } from "./session-relay.ts";
import { createShared, type Held } from "./shared.ts";
import { sharedTunnels } from "./shared-tunnels.ts";

export interface HostOptions {
  /** Where journals and the address map are kept. Default: this user's. */
  stateDir?: string;
  /**
   * Where the names go: the machine's hosts file (default), another file in its form, an owner of yours (left open), or nowhere. A file
   * that can't be written is no error: the session then says that its names are for commands only. Of the machine's own, a copy as it was is
   * kept at `original` (default `$SHIPSIDE_HOSTS_ORIGINAL`, else `~/hosts.original`; false: none).
   */
  hosts?: { path?: string; original?: string | false } | HostsOwner | false;
  /** Closed with the host. Default: one in `stateDir`. */
  journal?: Journal;
  /** How a probe looks names up. Default: as the system does, where `hosts` is the machine's file or an owner of yours. */
  resolve?: (name: string) => Promise<string[]>;
  /** Makes the UDP sockets by which local ports are reached that are elsewhere than on this machine. */
  datagramSocket?: () => Promise<DatagramSocket>;
  /** Why what is mounted below a directory isn't seen where sessions' volumes are used: drivers that mount aren't taken then. */
  whyNoMounts?: (dir: string) => Promise<string | undefined>;
  /**
   * Turns a command line into one that runs it where sessions' volumes are used, if that isn't here: in mount and user namespaces, as their root.
   * What can be mounted there is, and is seen there alone.
   */
  mountInside?: (command: readonly string[]) => readonly string[];
  /** As the tunnels': the range of addresses. Their `stateFile` is in `stateDir` by default. */
  pool?: TunnelOptions["pool"];
  /** As the tunnels': who makes listening sockets. Default: this process. */
  listeners?: ListenerFactory;
  /**
   * "cluster": services have the addresses that they have in the cluster, and the API server has its own there, for `listeners` in a network
   * namespace. Default "pool".
   */
  bind?: "pool" | "cluster";
  /** As the tunnels': how long a connection waits for a pod, in ms, 0–600,000. Default 10,000. */
  holdMs?: number;
  /** An inspector, for as long as a session is open that has traffic. Default: none, and its package isn't loaded. */
  inspector?: InspectionOptions;
  plugins?: readonly Plugin[];
  logger?: Logger;
}

/** A session as one of its holders has it. */
export interface HeldSession {
  session: Session;
  /** Lets go of it; with the last holder it closes, and this resolves when all is undone. */
  release(): Promise<void>;
}

/** The sessions of one process, which share clusters, tunnels and one set of names. */
export interface SessionHost extends Closable {
  readonly journal: Journal;
  /** Opens a session, or joins the one that is the same. Rejects with any package's codes; nothing is left of what failed. */
  open(
    options: SessionOptions,
    context?: { signal?: AbortSignal; onEvent?: (event: SessionEvent) => void; cluster?: Cluster },
  ): Promise<HeldSession>;
  list(): SessionInfo[];
  /** The inspector, where one is open now. */
  readonly inspector: OpenInspection | undefined;
  /** A session's env as it is now. `id` as for `end`. */
  env(id: string): readonly EnvEntry[];
  /** Asks each session's API server, and tries its tunnels from end to end, now. */
  probe(options?: ProbeOptions): Promise<ProbeResult[]>;
  /**
   * Closes a session whoever holds it. `id`: its id, a beginning of one that fits only it, or its name. Throws `SESSION_UNKNOWN`, and
   * without `force` `VOLUMES_BUSY` where a process works in its volumes.
   */
  end(id: string, options?: { force?: boolean }): Promise<SessionInfo>;
}

/** Opens nothing by itself: neither a cluster, a file nor the hosts file is touched before the first session. */
export function createSessionHost(options: HostOptions = {}): SessionHost {
  const { stateDir = defaultStateDir(), plugins = [], logger = silentLogger, hosts } = options;
  const closer = createCloser();
  const journal = closer.use(options.journal ?? openJournal(stateDir));
  const names =
    hosts === false
      ? undefined
      : closer.use(
          createNameBoard(async () => {
            if (hosts && "apply" in hosts) return borrowed(hosts);
            return makeHosts(journal, { ...hosts, logger });
          }),
        );
  const clusters = createHostClusters(logger);
  const tunnels = sharedTunnels();
  const relays = createShared<SessionRelay>();
  const sessions = createShared<Session>();
  const live = new Map<string, { session: Session; holders: number }>();
  const inspection =
    options.inspector && createInspection(options.inspector, () => [...live.values()].map(({ session }) => session));
  const opening = new Set<AbortController>();
  const claims = createSessionClaims((name) => [...live.values()].find(({ session }) => session.info().name === name)?.session.id);

  const openOne = async (
    wanted: SessionOptions,
    cluster: HostCluster,
    onEvent: (event: SessionEvent) => void,
    signal: AbortSignal,
  ): Promise<Session> => {
    const session = await openSession(wanted, {
      cluster: await cluster.again(),
      inCluster: options.bind === "cluster",
      datagramSocket: options.datagramSocket,
      ...{ whyNoMounts: options.whyNoMounts, mountInside: options.mountInside },
      openTunnel: async ({ namespace, rules, host, address, dialer, look }, relay, until) => {
        const which = host ?? namespace;
        return tunnels.acquire(
          JSON.stringify([cluster.key, which, wanted.via, wanted.relayImage, dialer?.name]),
          { rules, look },
          ({ plugin, tap }, unwanted) =>
            openTunnel({
              cluster: cluster.held.value,
              namespace,
              ...(host === undefined ? { namespaces: [namespace] } : { hosts: [host] }),
              ...(options.bind && { bind: options.bind }),
              ...(host !== undefined && address !== undefined && { hostAddresses: { [host]: address } }),
              pool: { stateFile: join(stateDir, "addresses.json"), ...options.pool },
              ...(options.listeners && { listeners: options.listeners }),
              ...(options.holdMs !== undefined && { holdMs: options.holdMs }),
              plugins: [
                ...plugins,
                ...(host === undefined ? [plugin] : []),
                ...(dialer ? [{ name: dialer.name, dialers: [dialer] }] : []),
                ...(relay ? [{ name: "relay", dialers: [relay.dialerFactory({ all: wanted.via === "relay" })] }] : []),
              ],
              ...(inspection && { tap }),
              logger,
              signal: unwanted,
            }),
          until,
        );
      },
      openRelay: (namespace, until) =>
        relays.acquire(
          JSON.stringify([cluster.key, namespace, wanted.relayImage]),
          async () =>
            sessionRelay({
              ...{ namespace, journal, logger },
              place: { cluster: cluster.held.value, ...(wanted.kubeconfig !== undefined && { kubeconfig: wanted.kubeconfig }) },
              ...(wanted.relayImage !== undefined && { image: wanted.relayImage }),
            }),
          until,
        ),
      names,
      resolve:
        options.resolve ?? (isMachines(hosts) ? systemResolve : { skipped: "they stand in a file that is not the machine's" }),
      sessions: () => [...live.values()].map(({ session }) => session.info()),
      journal,
      plugins,
      logger,
      look: inspection?.look(wanted),
      emit: onEvent,
      signal,
    });
    live.set(session.id, { session, holders: 0 });
    void session.ended.then(() => live.delete(session.id));
    return session;
  };

  const find = (id: string): { session: Session; holders: number } => {
    const [found, ...others] = matchingSessions([...live.values()], id, ({ session }) => session.info());
    if (found && others.length === 0) return found;
    throw unknownSession(
      id,
      [...live.values()].map(({ session }) => session.info()),
      found !== undefined,
    );
  };

  const host: SessionHost = {
    journal,
    async open(given, { signal, onEvent = () => {}, cluster: own } = {}) {
      const wanted = checkSessionOptions(given);
      if (closer.closing) throw daemonError("SESSION_CLOSED", "no session can be opened: all are being closed");
      const abort = new AbortController();
      opening.add(abort);
      const until = signal ? AbortSignal.any([signal, abort.signal]) : abort.signal;
      const undo = createCloser();
      try {
        const cluster = own ? clusters.given(own) : await clusters.find(wanted, until);
        // The session holds the cluster for itself; this hold is for as long as it takes to open one.
        const letGo = undo.defer(cluster.held.release);
        const namespace = wanted.namespace ?? cluster.home;
        const resolved = { ...wanted, namespace };
        const key = `${cluster.key} ${sessionKey(resolved, { ...cluster.held.value.info, namespace })}`;
        if (wanted.name !== undefined) undo.defer(claims.claim(wanted.name, key));
        let opened = false;
        const acquire = (): Promise<Held<Session>> =>
          sessions.acquire(
            key,
            (unwanted) => {
              opened = true;
              return openOne(resolved, cluster, onEvent, unwanted);
            },
            until,
          );
        let held = await acquire();
        while (held.value.closing) {
          await held.value.ended;
          sessions.drop(key);
          await held.release();
          held = await acquire();
        }
        const { value: session } = held;
        undo.defer(held.release);
        await letGo();
        const entry = live.get(session.id)!;
        entry.holders++;
        undo.defer(() => entry.holders--);
        if (!opened) {
          await session.refresh(until);
          onEvent({ step: "connected", ...cluster.held.value.info, namespace });
          onEvent({ step: "joined", id: session.id });
          undo.defer(session.subscribe(onEvent));
        }
        return { session, release: () => undo.close() };
      } catch (error) {
        await undo.close().catch((failed: unknown) => logger.error("undoing failed", { error: String(failed) }));
        throw error;
      } finally {
        opening.delete(abort);
      }
    },
    list: () => [...live.values()].map(({ session, holders }) => ({ ...session.info(), holders })),
    get inspector() {
      return inspection?.current;
    },
    probe: (probing) => Promise.all([...live.values()].map(({ session }) => session.probe(probing))),
    env: (id) => find(id).session.env,
    async end(id, { force = false } = {}) {
      const found = find(id);
      const busy = force ? undefined : await found.session.inUse();
      if (busy) throw busy;
      const info = { ...found.session.info(), holders: found.holders };
      if (force) await found.session.letGo();
      await found.session.close();
      return info;
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };

  closer.defer(async () => {
    const results = await Promise.allSettled([...live.values()].map(({ session }) => session.close()));
    const failed = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    if (failed.length > 0) {
      throw daemonError(
        "UNDO_FAILED",
        `closing left something behind: ${failed.map((error) => errorToJson(error).message).join("; ")}`,
        {
          hint: "`shipside clean` tries again",
          cause: failed.length === 1 ? failed[0] : new AggregateError(failed),
        },
      );
    }
  });
  closer.defer(() => {
    for (const each of opening) each.abort(daemonError("SESSION_CLOSED", "the session was closed while it was being opened"));
  });
  return host;
}

const isMachines = (hosts: HostOptions["hosts"]): boolean =>
  hosts !== false && (!hosts || "apply" in hosts || hosts.path === undefined);

/** A hosts owner that the caller closes. */
function borrowed(owner: HostsOwner): HostsOwner {
  return {
    plan: (entries) => owner.plan(entries),
    apply: (entries) => owner.apply(entries),
    restore: () => owner.restore(),
    close: () => owner.restore(),
    [Symbol.asyncDispose]: () => owner.restore(),
  };
}
