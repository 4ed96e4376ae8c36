import { randomBytes } from "node:crypto";
import type { Socket as DatagramSocket } from "node:dgram";
import {
  type Closable,
  createCloser,
  type EnvEntry,
  errorToJson,
  type HostsEntry,
  type Logger,
  type Plugin,
  type SessionFacts,
} from "@shipside/core";
import { type AddressOf, diffRows, type EnvChange } from "@shipside/envexport";
import { type Cluster, resolveWorkload } from "@shipside/kube";
import type { ServiceStatus } from "@shipside/tunnel";
import { daemonError } from "./errors.ts";
import { runHooks } from "./hooks.ts";
import type { SessionLook } from "./inspection/inspection.ts";
import type { Journal } from "./journal.ts";
import type { NameBoard } from "./name-board.ts";
import type { ProbeTunnelsOptions } from "./probe.ts";
import { refusedForwards } from "./rbac/refusal.ts";
import { openSessionEnv, type SessionEnv } from "./session-env.ts";
import { openIncoming, type SessionIncoming } from "./session-incoming.ts";
import type { NamesInfo, ProbeOptions, ProbeResult, SessionEvent, SessionInfo, SessionOptions } from "./session-info.ts";
import { openMount, type SessionMount, type SessionMountComponents } from "./session-mount.ts";
import { sessionNames } from "./session-names.ts";
import { type PodInfo, podInfo } from "./session-pod.ts";
import { probeSession } from "./session-probe.ts";
import { openSessionTunnels, type SessionTunnels, type TunnelSources } from "./session-tunnels.ts";
import type { Held } from "./shared.ts";
import { serviceInfo } from "./tunnel-facts.ts";

/** One undertaking of a user's, open. Closing it undoes all that it made, in the reverse order. */
export interface Session extends Closable {
  readonly id: string;
  readonly facts: SessionFacts;
  /** What was asked, with its namespace filled in. */
  readonly options: SessionOptions;
  /** The workload's; current where it is watched. */
  readonly env: readonly EnvEntry[];
  /** The cluster's names and their addresses on this machine, as seen from the home namespace. */
  hostsEntries(): HostsEntry[];
  /** `host:port` of a service on this machine: see the tunnel package. */
  address(service: string, port?: number | string): string;
  info(): SessionInfo;
  /** The services that its tunnels serve, with all that is known of each port. */
  services(): readonly ServiceStatus[];
  /** Asks the API server, and tries tunnels from end to end, now. Never rejects. */
  probe(options?: ProbeOptions): Promise<ProbeResult>;
  /** Collects the env anew, where nothing keeps it current. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Returns its undo. What was told before is not told again. */
  subscribe(listener: (event: SessionEvent) => void): () => void;
  /** Who works in its volumes, as `VOLUMES_BUSY`; undefined where nobody does. Closing takes them off all the same. */
  inUse(): Promise<Error | undefined>;
  /** Takes off, at once, volumes in which somebody works, so that closing waits for nobody. */
  letGo(): Promise<void>;
  /** Resolves when it is closed: with the reason, where it wasn't asked to. */
  readonly ended: Promise<Error | undefined>;
  /** True from the beginning of its end. */
  readonly closing: boolean;
}

export interface SessionComponents extends TunnelSources {
  /** Released with the session. */
  cluster: Held<Cluster>;
  /** Undefined: names go nowhere. */
  names: NameBoard | undefined;
  /** Those of this process that are open, for who asks who has a name. */
  sessions(): SessionInfo[];
  /** Resolves names as programs of this machine do, or says why it isn't asked. */
  resolve: NonNullable<ProbeTunnelsOptions["resolve"]>;
  journal: Journal;
  /** Of where local UDP ports are, if not of this process. */
  datagramSocket?: (() => Promise<DatagramSocket>) | undefined;
  /** Of volumes that are mounted below a directory: see `HostOptions`. */
  whyNoMounts?: SessionMountComponents["whyNoMounts"];
  mountInside?: SessionMountComponents["mountInside"];
  plugins: readonly Plugin[];
  logger: Logger;
  /** Released with the session. Undefined: there is no inspector for it. */
  look: SessionLook | undefined;
  emit(event: SessionEvent): void;
  signal: AbortSignal;
}

/**
 * Opens a session: says where, finds the workload, opens tunnels, writes names and the env file. On any failure, and when `signal` fires,
 * everything that was made by then is undone before it rejects.
 */
export async function openSession(options: SessionOptions, components: SessionComponents): Promise<Session> {
  const { journal, plugins, logger, look, signal } = components;
  const cluster = components.cluster.value;
  const { kind = "teleport", also = [] } = options;
  const { context, server, user, cluster: clusterName, notes } = cluster.info;
  const namespace = options.namespace ?? cluster.info.namespace;
  const id = randomBytes(3).toString("hex");
  const openedAt = new Date().toISOString();
  const closer = createCloser();
  closer.defer(components.cluster.release);
  if (look) closer.defer(look.release);
  // What could not be undone by then is anybody's to try again.
  closer.defer(() => journal.endSession(id));
  const listeners = new Set<(event: SessionEvent) => void>([components.emit]);
  let tunnels: SessionTunnels | undefined;
  let env: SessionEnv | undefined;
  let incoming: SessionIncoming | undefined;
  let mount: SessionMount | undefined;
  let inspector: string | undefined;
  let pod: PodInfo | undefined;
  let reason: Error | undefined;
  let end: (reason: Error | undefined) => void = () => {};
  const ended = new Promise<Error | undefined>((resolve) => {
    end = resolve;
  });

  const emit = (event: SessionEvent): void => {
    for (const listener of [...listeners]) listener(event);
  };
  const warn = (error: unknown): void => emit({ step: "warning", error: errorToJson(error) });
  const names =
    components.names &&
    sessionNames({
      ...{ board: components.names, session: id, namespace, sessions: components.sessions, emit, warn },
      entries: () => session.hostsEntries(),
    });
  const namesInfo = (): NamesInfo => names?.info ?? { where: "none", count: 0 };
  const writeNames = async (): Promise<void> => {
    if (!closer.closing) await names?.write();
  };

  /** Closes for a reason of its own: nobody awaits that, so what fails is told. */
  const giveUp = (why: Error): void => {
    reason ??= why;
    session.close().catch(warn);
  };

  const facts: SessionFacts = { id, kind, context, server, namespace };
  const session: Session = {
    id,
    facts,
    options,
    get env() {
      return env?.entries ?? [];
    },
    hostsEntries: () => tunnels?.hostsEntries() ?? [],
    address(service, port) {
      if (!tunnels) throw daemonError("SESSION_OPTIONS", `session ${id} of kind ${kind} has no tunnels`);
      return tunnels.address(service, port);
    },
    info: () => ({
      id,
      kind,
      context,
      server,
      namespace,
      also,
      ...(facts.workload !== undefined && { workload: facts.workload }),
      ...(pod && { pod }),
      ...(options.name !== undefined && { name: options.name }),
      ...(options.services && { selection: options.services }),
      ...(options.origin && { origin: options.origin }),
      openedAt,
      holders: 1,
      names: namesInfo(),
      ...(env?.file && { envFile: env.file }),
      stale: [...(tunnels?.status().stale.map(({ error }) => error) ?? []), ...(mount?.stale() ?? [])],
      services: tunnels?.status().services.map(serviceInfo) ?? [],
      ...(incoming && { incoming: incoming.info() }),
      ...(mount && { mount: mount.info() }),
      ...(inspector !== undefined && { inspector }),
    }),
    services: () => tunnels?.status().services ?? [],
    probe: (asked = {}) =>
      probeSession({ id, cluster, services: session.services(), names: namesInfo(), resolve: components.resolve }, asked),
    refresh: async (until) => env?.refresh(until),
    inUse: async () => mount?.inUse(),
    letGo: async () => mount?.letGo(),
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    ended,
    get closing() {
      return closer.closing;
    },
    async close() {
      try {
        await closer.close();
      } finally {
        end(reason);
      }
    },
    [Symbol.asyncDispose]: () => session.close(),
  };

  try {
    emit({ step: "connected", context, cluster: clusterName, user, server, namespace, ...(notes && { notes }) });
    await runHooks(plugins, "sessionOpening", facts, undefined, logger);
    closer.defer(() => runHooks(plugins, "sessionClosed", facts, undefined, logger));
    signal.throwIfAborted();
    const workload =
      options.workload === undefined ? undefined : await resolveWorkload(cluster, options.workload, { namespace, signal });
    if (workload) {
      facts.workload = `${workload.kind}/${workload.name}`;
      if (kind === "teleport") pod = podInfo(workload);
      emit({ step: "resolved", workload: facts.workload });
    }
    const taps = look?.taps?.({ id, cluster, namespace, incoming: () => incoming?.info() });
    if (kind === "teleport") {
      const { openTunnel, openRelay, inCluster = false } = components;
      tunnels = await openSessionTunnels(options, {
        ...{ cluster, facts, plugins, logger, signal, closer, openTunnel, openRelay, inCluster, emit, warn, giveUp },
        look: taps?.outgoing,
        renamed: () => void writeNames(),
      });
      signal.throwIfAborted();
      if (names) {
        closer.defer(names.clear);
        await writeNames();
      }
    }
    signal.throwIfAborted();
    if (workload && kind !== "mount") {
      const addressOf: AddressOf = (service) => tunnels?.addressOf(service);
      const changed = (change: EnvChange): void => emit({ step: "env-changed", names: change.names, rows: diffRows(change) });
      env = closer.use(
        await openSessionEnv({
          ...{ cluster, workload, options, addressOf, journal, session: id },
          ...{ plugins, logger, signal, warn, changed, given: tunnels?.env ?? {} },
        }),
      );
      emit({ step: "env", variables: env.entries.length, ...(env.file && { file: env.file.path }) });
    }
    if (workload && options.mount) {
      // Closed first: what is mounted may need what the tunnels need.
      mount = closer.use(
        await openMount(options, {
          ...{ cluster, workload, env: env?.entries, journal, session: id, plugins, logger, signal },
          ...{ whyNoMounts: components.whyNoMounts, mountInside: components.mountInside },
          warn: (error) => emit({ step: "warning", error }),
          notice: (message) => emit({ step: "notice", message }),
          copying: (message) => emit({ step: "copying", message }),
        }),
      );
      emit({ step: "mounted", mount: mount.info() });
    }
    if (kind === "expose" || kind === "intercept") {
      facts.workload = `service/${(options.expose ?? options.intercept)!.service}`;
      // Before anything is made in the cluster: without it no relay can be linked to.
      const [refusal] = await refusedForwards(cluster, [namespace], signal);
      if (refusal) throw refusal;
      incoming = closer.use(
        await openIncoming(options, {
          ...{ cluster, namespace, journal, session: id, plugins, logger, signal, emit, warn },
          ...{ tap: taps?.incoming, datagramSocket: components.datagramSocket },
        }),
      );
      void incoming.ended.then((error) => error && giveUp(error));
    }
    signal.throwIfAborted();
    if (look) {
      // Begun when the session was, and nothing has waited for it.
      const opened = await look.opened.catch(warn);
      inspector = opened?.url;
      if (opened) emit({ step: "inspector", url: opened.url, captures: taps !== undefined });
    }
    await runHooks(plugins, "sessionOpened", facts, undefined, logger);
    closer.defer(() => runHooks(plugins, "sessionClosing", facts, undefined, logger));
    if (reason) throw reason;
    logger.info("session opened", { ...facts });
    closer.defer(() => logger.info("session closing", { id, ...(reason && { reason: String(reason) }) }));
    return session;
  } catch (error) {
    await session.close().catch((failed: unknown) => logger.error("undoing failed", { error: String(failed) }));
    throw error;
  }
}
