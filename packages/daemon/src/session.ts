import { randomBytes } from "node:crypto";
import {
  type Closable,
  createCloser,
  type EnvEntry,
  type ErrorJson,
  errorToJson,
  type HostsEntry,
  hasCode,
  type Logger,
  type Plugin,
  type SessionFacts,
} from "@shipside/core";
import { diffRows, type EnvChange } from "@shipside/envexport";
import { type Cluster, NAMESPACES, resolveWorkload } from "@shipside/kube";
import { type ServiceRules, serviceRules, type TunneledService, tunnelError } from "@shipside/tunnel";
import { daemonError } from "./errors.ts";
import { runHooks } from "./hooks.ts";
import type { Journal } from "./journal.ts";
import type { NameBoard } from "./name-board.ts";
import { nameConflictErrors } from "./name-holder.ts";
import { type ProbeTunnelsOptions, probeTunnels } from "./probe.ts";
import { refusedForwards, refusedRight } from "./rbac/refusal.ts";
import { openSessionEnv, type SessionEnv } from "./session-env.ts";
import { openIncoming, type SessionIncoming } from "./session-incoming.ts";
import type { NamesInfo, ProbeOptions, ProbeResult, SessionEvent, SessionInfo, SessionOptions } from "./session-info.ts";
import { openMount, type SessionMount } from "./session-mount.ts";
import { relayed, relayNotice, type SessionRelay, tellRelay } from "./session-relay.ts";
import type { SessionTunnel } from "./session-tunnel.ts";
import type { Held } from "./shared.ts";
import { entriesAtHome, problemsOf, serviceInfo, tunnelFacts } from "./tunnel-facts.ts";

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
  /** Asks the API server, and tries tunnels from end to end, now. Never rejects. */
  probe(options?: ProbeOptions): Promise<ProbeResult>;
  /** Collects the env anew, where nothing keeps it current. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Returns its undo. What was told before is not told again. */
  subscribe(listener: (event: SessionEvent) => void): () => void;
  /** Resolves when it is closed: with the reason, where it wasn't asked to. */
  readonly ended: Promise<Error | undefined>;
  /** True from the beginning of its end. */
  readonly closing: boolean;
}

/** Whoever asks has an answer within three seconds. */
const PROBE_MS = 2_500;

export interface SessionComponents {
  /** Released with the session. */
  cluster: Held<Cluster>;
  /** A tunnel of one namespace, or of one host that only the cluster reaches, shared with other sessions. */
  openTunnel(what: TunnelWish, relay: SessionRelay | undefined, signal: AbortSignal): Promise<Held<SessionTunnel>>;
  /** What dials from inside the cluster, in that namespace, shared with other sessions. Nothing is deployed by that. */
  openRelay(namespace: string, signal: AbortSignal): Promise<Held<SessionRelay>>;
  /** Undefined: names go nowhere. */
  names: NameBoard | undefined;
  /** Those of this process that are open, for who asks who has a name. */
  sessions(): SessionInfo[];
  /** Resolves names as programs of this machine do, or says why it isn't asked. */
  resolve: NonNullable<ProbeTunnelsOptions["resolve"]>;
  journal: Journal;
  plugins: readonly Plugin[];
  logger: Logger;
  emit(event: SessionEvent): void;
  signal: AbortSignal;
}

export interface TunnelWish {
  namespace: string;
  rules: ServiceRules;
  /** `host:port` */
  host?: string;
}

/**
 * Opens a session: says where, finds the workload, opens tunnels, writes names and the env file. On any failure, and when `signal` fires,
 * everything that was made by then is undone before it rejects.
 */
export async function openSession(options: SessionOptions, components: SessionComponents): Promise<Session> {
  const { names, journal, plugins, logger, signal } = components;
  const cluster = components.cluster.value;
  const { kind = "teleport", also = [] } = options;
  const { context, server, user, cluster: clusterName, notes } = cluster.info;
  const namespace = options.namespace ?? cluster.info.namespace;
  const id = randomBytes(3).toString("hex");
  const openedAt = new Date().toISOString();
  const closer = createCloser();
  closer.defer(components.cluster.release);
  // What could not be undone by then is anybody's to try again.
  closer.defer(() => journal.endSession(id));
  const listeners = new Set<(event: SessionEvent) => void>([components.emit]);
  /** By namespace, and by `host:port` for what only the cluster reaches. */
  const tunnels = new Map<string, SessionTunnel>();
  let env: SessionEnv | undefined;
  let incoming: SessionIncoming | undefined;
  let mount: SessionMount | undefined;
  let namesInfo: NamesInfo = { where: "none", count: 0 };
  let reason: Error | undefined;
  let end: (reason: Error | undefined) => void = () => {};
  const ended = new Promise<Error | undefined>((resolve) => {
    end = resolve;
  });

  const askServer = async (until: AbortSignal): Promise<{ answeredMs: number } | { error: ErrorJson }> => {
    const began = performance.now();
    const ms = (): number => Math.round(performance.now() - began);
    try {
      await cluster.version({ signal: until });
    } catch (error) {
      // Whoever may not ask for the version was answered all the same.
      if (hasCode(error, "KUBE_FORBIDDEN")) return { answeredMs: ms() };
      const late = until.aborted
        ? daemonError("PROBE_TIMEOUT", `${server} did not answer within ${ms() / 1000} s`, { cause: error })
        : error;
      return { error: errorToJson(late) };
    }
    return { answeredMs: ms() };
  };
  const emit = (event: SessionEvent): void => {
    for (const listener of [...listeners]) listener(event);
  };
  const warn = (error: unknown): void => emit({ step: "warning", error: errorToJson(error) });
  const refusalsTold = new Set<string>();
  const warnRefused = (refusal: Error): void => {
    const right = refusedRight(refusal);
    if (refusalsTold.has(right)) return;
    refusalsTold.add(right);
    warn(refusal);
  };
  const hostsEntries = (): HostsEntry[] =>
    [...tunnels].flatMap(([where, tunnel]) =>
      where.includes(":") ? tunnel.hostsEntries() : entriesAtHome(tunnel.hostsEntries(), where, where === namespace),
    );

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
    hostsEntries,
    address(service, port) {
      const [home, ...others] = [...tunnels.values()];
      const host = tunnels.get(`${service}:${port}`) ?? [...tunnels].find(([where]) => where.startsWith(`${service}:`))?.[1];
      if (host) return host.address(service, port);
      if (!home) throw daemonError("SESSION_OPTIONS", `session ${id} of kind ${kind} has no tunnels`);
      for (const tunnel of others)
        if (service.includes(`.${tunnel.home}`) || service.startsWith(`${tunnel.home}/`)) return tunnel.address(service, port);
      return home.address(service, port);
    },
    info: () => ({
      id,
      kind,
      context,
      server,
      namespace,
      also,
      ...(facts.workload !== undefined && { workload: facts.workload }),
      ...(options.name !== undefined && { name: options.name }),
      ...(options.services && { selection: options.services }),
      ...(options.origin && { origin: options.origin }),
      openedAt,
      holders: 1,
      names: namesInfo,
      ...(env?.file && { envFile: env.file }),
      stale: [
        ...[...tunnels.values()].flatMap((tunnel) => tunnel.status().stale.map(({ error }) => error)),
        ...(mount?.stale() ?? []),
      ],
      services: [...tunnels.values()].flatMap((tunnel) => tunnel.status().services.map(serviceInfo)),
      ...(incoming && { incoming: incoming.info() }),
      ...(mount && { mount: mount.info() }),
    }),
    async probe({ signal: outer, most } = {}) {
      const limit = AbortSignal.timeout(PROBE_MS);
      const until = outer ? AbortSignal.any([outer, limit]) : limit;
      const skipped = namesInfo.where === "commands" ? "only commands of the session have the names" : undefined;
      // Side by side: what the tunnels do is told also where the API server doesn't answer.
      const [answer, probed] = await Promise.all([
        askServer(until),
        probeTunnels({
          services: [...tunnels.values()].flatMap((tunnel) => tunnel.status().services),
          dial: (pod, port, ends) => cluster.portForward(pod, port, { signal: ends }),
          resolve: namesInfo.where === "hosts" ? components.resolve : { skipped: skipped ?? "the session has no names" },
          signal: until,
          ...(most !== undefined && { most }),
        }),
      ]);
      const { carrier, connections, streams, bytes, pods } = cluster.portForwardStats();
      const stuck = pods.reduce((sum, pod) => sum + pod.stuck, 0);
      return {
        id,
        ...answer,
        transport: { ...(carrier && { carrier }), connections, streams, bytes, stuck },
        tunnels: probed,
      };
    },
    refresh: async (until) => env?.refresh(until),
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

  const toldNames = new Set<string>();
  const namesOf = async (): Promise<void> => {
    if (!names || closer.closing) return;
    const entries = hostsEntries();
    const { state, conflicts } = await names.set(id, entries);
    const count = entries.reduce((sum, entry) => sum + entry.names.length, 0);
    namesInfo = { where: state.where, count, ...(state.where === "commands" && { reason: errorToJson(state.error) }) };
    emit({ step: "names", names: namesInfo, entries });
    const sessions = components.sessions();
    for (const error of await nameConflictErrors({ conflicts, namespace, sessions })) {
      if (toldNames.has(error.message)) continue;
      toldNames.add(error.message);
      warn(error);
    }
  };

  const watchNamespace = (where: string, { tunnel }: SessionTunnel): void => {
    const on = (): void => {
      if (tunnel.services.size > 0 || closer.closing) return;
      void cluster.get(NAMESPACES, { name: where }, { signal: AbortSignal.timeout(10_000) }).then(
        ({ status }) => status?.phase === "Terminating" && giveUp(gone(where)),
        (error: unknown) => hasCode(error, "KUBE_NOT_FOUND") && giveUp(gone(where)),
      );
    };
    tunnel.events.on("service-removed", on);
    closer.defer(() => tunnel.events.off("service-removed", on));
  };
  const gone = (where: string): Error =>
    daemonError("NAMESPACE_GONE", `namespace ${where} of ${context} is gone; session ${id} was closed`, {
      hint: "what it had made is undone; teleport again when the namespace is back",
    });

  /** A relay for each namespace, by name. None is deployed by that. */
  const holdRelays = async (wanted: readonly string[]): Promise<Map<string, SessionRelay>> => {
    const relays = new Map<string, SessionRelay>();
    for (const where of wanted) {
      const { value: relay, release } = await components.openRelay(where, signal);
      closer.defer(release);
      relays.set(where, relay);
      closer.defer(relay.follow((event) => tellRelay(event, emit, warn)));
    }
    return relays;
  };

  const openTunnels = async (): Promise<void> => {
    const rules = serviceRules(options.services ?? [], namespace);
    const wanted = [...new Set([namespace, ...also, ...rules.namespaces])];
    const asked = refusedForwards(cluster, wanted, signal);
    const { via, remoteHosts = [] } = options;
    const relays = via === "port-forward" ? new Map<string, SessionRelay>() : await holdRelays(wanted);
    if (via === "relay") {
      // Without it no relay can be linked to, and nothing else is to be tried.
      const [refusal] = await asked;
      if (refusal) throw refusal;
      await Promise.all([...relays.values()].map((relay) => relay.link(signal)));
    }
    const wishes: TunnelWish[] = [
      ...wanted.map((where) => ({ namespace: where, rules })),
      ...remoteHosts.map((host) => ({ namespace, rules: serviceRules([], namespace), host })),
    ];
    const results = await Promise.allSettled(
      wishes.map(async (wish) => {
        const { value, release } = await components.openTunnel(wish, relays.get(wish.namespace), signal);
        closer.defer(release);
        return [wish.host ?? wish.namespace, value] as const;
      }),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
    // In the order in which they were asked for: of two namespaces that want a name, the first has it.
    for (const result of results) if (result.status === "fulfilled") tunnels.set(...result.value);
    for (const each of rules.named) {
      if (tunnels.get(each.namespace)?.services.has(`${each.namespace}/${each.name}`)) continue;
      throw tunnelError("TUNNEL_SERVICE_UNKNOWN", `there is no service ${each.name} in namespace ${each.namespace}`, {
        hint: `kubectl get services -n ${each.namespace} lists those there are; \`${each.name}*\` waits for one that comes`,
      });
    }
    const ports = [...tunnels.values()].flatMap((tunnel) => tunnel.status().services.flatMap((service) => service.ports));
    emit({
      step: "tunnels",
      namespaces: wanted,
      services: [...tunnels.values()].reduce((sum, tunnel) => sum + tunnel.services.size, 0),
      ports: ports.filter(({ state }) => state === "listening").length,
      failed: ports.filter(({ state }) => state === "failed").length,
    });
    const beyond = via === undefined ? relayed([...tunnels.values()].flatMap((tunnel) => [...tunnel.services.values()])) : [];
    if (beyond.length > 0) emit({ step: "notice", message: relayNotice(beyond) });
    for (const tunnel of tunnels.values()) for (const error of problemsOf(tunnel)) warn(error);
    for (const refusal of await asked) warnRefused(refusal);
    const services = (): TunneledService[] => [...tunnels.values()].flatMap((tunnel) => [...tunnel.services.values()]);
    await runHooks(plugins, "tunnelOpened", facts, tunnelFacts(services()), logger);
    closer.defer(() => runHooks(plugins, "tunnelClosed", facts, tunnelFacts(services()), logger));
    for (const [where, tunnel] of tunnels) {
      const hook = (name: "tunnelOpened" | "tunnelClosed", service: TunneledService): void =>
        void runHooks(plugins, name, facts, tunnelFacts([service]), logger, true);
      const unfollow = tunnel.follow({
        names: () => void namesOf(),
        failed: warn,
        refused: warnRefused,
        added: (service) => hook("tunnelOpened", service),
        removed: (service) => hook("tunnelClosed", service),
      });
      closer.defer(unfollow);
      if (wanted.includes(where)) watchNamespace(where, tunnel);
    }
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
      emit({ step: "resolved", workload: facts.workload });
    }
    if (kind === "teleport") await openTunnels();
    signal.throwIfAborted();
    if (kind === "teleport" && names) {
      closer.defer(() => names.set(id, []));
      await namesOf();
    }
    signal.throwIfAborted();
    if (workload && kind !== "mount") {
      const addressOf = (service: { namespace: string; name: string }): string | undefined =>
        tunnels.get(service.namespace)?.services.get(`${service.namespace}/${service.name}`)?.address;
      const changed = (change: EnvChange): void => emit({ step: "env-changed", names: change.names, rows: diffRows(change) });
      env = closer.use(
        await openSessionEnv({
          ...{ cluster, workload, options, addressOf, journal, session: id },
          ...{ plugins, logger, signal, warn, changed },
        }),
      );
      emit({ step: "env", variables: env.entries.length, ...(env.file && { file: env.file.path }) });
    }
    if (workload && options.mount) {
      // Closed first: what is mounted may need what the tunnels need.
      mount = closer.use(
        await openMount(options, {
          ...{ cluster, workload, env: env?.entries, journal, session: id, plugins, logger, signal },
          warn: (error) => emit({ step: "warning", error }),
          notice: (message) => emit({ step: "notice", message }),
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
        await openIncoming(options, { ...{ cluster, namespace, journal, session: id, plugins, logger, signal, emit, warn } }),
      );
      void incoming.ended.then((error) => error && giveUp(error));
    }
    signal.throwIfAborted();
    await runHooks(plugins, "sessionOpened", facts, undefined, logger);
    closer.defer(() => runHooks(plugins, "sessionClosing", facts, undefined, logger));
    if (reason) throw reason;
    return session;
  } catch (error) {
    await session.close().catch((failed: unknown) => logger.error("undoing failed", { error: String(failed) }));
    throw error;
  }
}
