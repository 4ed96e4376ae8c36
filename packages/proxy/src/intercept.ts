import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Closable, createCloser, hasCode, type Interceptor, type Logger, silentLogger, type Tap } from "@shipside/core";
import { type Cluster, CONFIG_MAPS, ENDPOINT_SLICES, PODS, SERVICES, type Service } from "@shipside/kube";
import {
  DEFAULT_RESOURCES,
  type DeployedRelay,
  deployRelay,
  findRelay,
  type Lease,
  type Match,
  RELAY_LABEL,
  type RelayConfig,
  relayFilesName,
  selectorOwners,
  switchedSelector,
} from "@shipside/relay";
import { proxyError } from "./errors.ts";
import type { OnProxyEvent } from "./events.ts";
import { createLocalEnd, type LocalEnd, type LocalPortStats } from "./local-end.ts";
import { localPortsOf, nothingListens, refusedPorts } from "./local-port.ts";
import { describeMatch } from "./match.ts";
import { backendName, interceptRelayName } from "./names.ts";
import { findObstacles } from "./obstacles.ts";
import { findOwners } from "./owners.ts";
import { type InterceptPlan, type PortWish, planIntercept } from "./ports.ts";
import { endRelay, type InterceptTrace, othersLease, relayGone } from "./relay-end.ts";
import { type LinksState, openRelayLinks, type RelayLinks } from "./relay-links.ts";
import { backendService, type InterceptRecord, readRecord, switchPatch, switchState } from "./service-patch.ts";
import { mayGrantRights, readSurroundings } from "./surroundings.ts";
import { openSwitch, restoreService, type ServiceRef } from "./switch.ts";

export interface InterceptOptions {
  cluster: Cluster;
  /** Default the cluster's own. */
  namespace?: string;
  service: string;
  /** Default: every TCP port, each to the same number of 127.0.0.1. */
  ports?: readonly PortWish[];
  match: Match;
  /** The ports carry no HTTP: connections as a whole, which takes `match.all`. */
  tcp?: boolean;
  /** This machine gets copies, and the cluster answers. */
  mirror?: boolean;
  /** End what other developers have of the same traffic. */
  takeOver?: boolean;
  /** How long a request waits for a local process that is away, in ms, 0–86,400,000. Default 0: it goes to the cluster at once. */
  holdMs?: number;
  /** How long the relay stays when nobody is linked to it, in s, 1–86,400. Default 60. */
  graceSeconds?: number;
  /** `user@machine`, as shown to others. */
  holder: string;
  /** Of the relay. */
  image?: string;
  interceptors?: readonly Interceptor[];
  tap?: Tap;
  logger?: Logger;
  /** Ends the opening. */
  signal?: AbortSignal;
  onEvent?: OnProxyEvent;
  /** Called before anything is made, with what `endIntercept` takes. What it returns is called when all is undone. */
  record?(trace: InterceptTrace): Promise<() => Promise<void>>;
}

export interface InterceptStatus {
  namespace: string;
  service: string;
  relay: string;
  /** Who began the relay, where it was there already. */
  joined?: string;
  match: Match;
  /** Whether the Service leads to the relay now. */
  switched: boolean;
  /** When it was last led there, in ISO 8601: connections that were opened before stay with their pods. */
  switchedAt: string;
  relays: LinksState;
  ports: LocalPortStats[];
}

/** Some of a Service's traffic, on this machine, for as long as it is open. */
export interface Intercept extends Closable {
  status(): InterceptStatus;
  /** Resolves when it can't go on, with why; undefined when it was closed. Either way it is to be closed. */
  readonly ended: Promise<Error | undefined>;
}

/** What is open has so long to come to its end before it is reset. */
const FINISH_MS = 2_000;

/**
 * Puts a relay in front of a Service, or joins the one that is there, and has it bring what matches to this machine. On any failure, and
 * when `signal` fires, everything that was made is undone before it rejects.
 *
 * Codes: `PROXY_OBSTACLE`, `PROXY_LEASE_TAKEN`, `PROXY_PORT_UNKNOWN`, `PROXY_OPTION_INVALID`, `PROXY_SERVICE_CHANGED`,
 * `PROXY_RELAY_STRANGE`; the relay's and kube's.
 */
export async function openIntercept(options: InterceptOptions): Promise<Intercept> {
  const { cluster, match, holder, logger = silentLogger, onEvent = () => {}, takeOver = false } = options;
  const signal = options.signal ?? new AbortController().signal;
  const namespace = options.namespace ?? cluster.info.namespace;
  const notice = (message: string): void => onEvent({ kind: "notice", message });
  const closer = createCloser();
  try {
    const { service, record: standing } = await currentService(cluster, namespace, options.service, signal);
    const ref: ServiceRef = { namespace, name: options.service, uid: service.metadata.uid! };
    const { pods, ...around } = await readSurroundings(cluster, standing ? original(service, standing) : service, signal);
    const name = standing?.relay ?? interceptRelayName(ref);
    const backend = backendName(name);
    const plan = planIntercept(service, options.ports ?? [], {
      pods,
      backendHost: `${backend}.${namespace}.svc`,
      tcp: options.tcp ?? false,
    });
    if (options.tcp && !match.all)
      throw proxyError("PROXY_OPTION_INVALID", "connections that aren't HTTP can't be told apart by what they say", {
        hint: "--tcp goes with --all",
      });
    const lease = leaseOf(options, plan);
    const trace: InterceptTrace = { namespace, service: ref.name, uid: ref.uid, relay: name, lease: lease.id };
    const labels = {
      "app.kubernetes.io/managed-by": "shipside",
      ...switchedSelector(service.spec.selector ?? {}, name),
      [RELAY_LABEL]: name,
    };
    const { requests, limits } = DEFAULT_RESOURCES;
    const obstacles = standing ? [] : findObstacles({ service, pods, ...around, relay: { labels, replicas: 2, requests, limits } });
    const refused = obstacles.filter((obstacle) => obstacle.refused);
    if (refused[0])
      throw proxyError(
        "PROXY_OBSTACLE",
        `service ${ref.name} can't be intercepted: ${refused.map(({ sentence }) => sentence).join("; and ")}`,
        {
          ...(refused[0].hint !== undefined && { hint: refused[0].hint }),
          details: { obstacles: refused.map(({ what }) => what) },
        },
      );

    let relay: DeployedRelay;
    let record: InterceptRecord;
    const struck = async (): Promise<() => Promise<void>> => (await options.record?.(trace)) ?? (async () => {});
    if (standing) {
      const found = await findRelay(cluster, { namespace, name }, { signal });
      if (!found) throw relayStrange(ref, standing);
      await checkModes(cluster, found, lease, signal);
      notice(`joins the relay that ${standing.by} began at ${standing.since}`);
      closer.defer(await struck());
      [relay, record] = [found, standing];
    } else {
      record = {
        relay: name,
        original: { ...service.spec.selector },
        switched: switchedSelector(service.spec.selector ?? {}, name),
        owners: selectorOwners(service),
        by: holder,
        since: new Date().toISOString(),
      };
      // Rights, webhooks and policies have their say before anything is made.
      await cluster.patch(SERVICES, ref, switchPatch(service, record), { kind: "json", dryRun: true, signal });
      for (const { sentence } of obstacles) notice(sentence);
      for (const { sentence } of findOwners(service.metadata)) notice(sentence);
      notice("applications see the relay's address as their caller; who really calls stands in x-forwarded-for");
      const selfRemoving = await mayGrantRights(cluster, namespace, signal);
      if (!selfRemoving)
        notice(
          "you may not create Roles here: if this machine disappears, the relay passes everything to the real pods, but only `shipside clean` puts the Service back",
        );
      closer.defer(await struck());
      relay = await deployRelay(
        cluster,
        {
          ...{ namespace, name, owner: holder, accept: plan.accept, replicas: 2, selfRemoving },
          switch: { service: ref.name, uid: ref.uid, original: record.original, switched: record.switched },
          podLabels: record.switched,
          graceSeconds: options.graceSeconds ?? 60,
          ...(options.image !== undefined && { image: options.image }),
        },
        { signal },
      );
    }
    return await engage(options, {
      closer,
      ref,
      relay,
      record,
      lease,
      plan,
      backend,
      service,
      joined: standing?.by,
      notice,
      logger,
      takeOver,
      signal,
    });
  } catch (error) {
    await closer.close().catch((failed: unknown) => onEvent({ kind: "warning", error: failed as Error }));
    throw error;
  }
}

interface Engagement {
  closer: ReturnType<typeof createCloser>;
  ref: ServiceRef;
  relay: DeployedRelay;
  record: InterceptRecord;
  lease: Lease;
  plan: InterceptPlan;
  backend: string;
  /** As it was before we changed it. */
  service: Service;
  joined: string | undefined;
  notice(message: string): void;
  logger: Logger;
  takeOver: boolean;
  signal: AbortSignal;
}

/** The relay is there: backend, links and leases, and then the switch. Undone in the reverse order, by `closer`. */
async function engage(options: InterceptOptions, parts: Engagement): Promise<Intercept> {
  const { cluster, match, onEvent = () => {} } = options;
  const { closer, ref, relay, record, lease, plan, notice, logger, signal } = parts;
  const ended = Promise.withResolvers<Error | undefined>();
  closer.defer(() => ended.resolve(undefined));
  /** Whether somebody else needs the relay, which is looked for when ours is over. */
  let shared = false;
  let links: RelayLinks | undefined;
  closer.defer(() => (shared ? undefined : relay.remove()));

  if (parts.joined === undefined) await makeBackend(cluster, parts);
  const local = createLocalEnd({
    namespace: ref.namespace,
    service: ref.name,
    ports: plan.claimed,
    logger,
    ...(options.interceptors && { interceptors: options.interceptors }),
    ...(options.tap && { tap: options.tap }),
    onRefused: (_port, error) => onEvent({ kind: "warning", error: refusedError(error, options.holdMs ?? 0) }),
  });
  closer.use(local);
  let onState: (state: LinksState) => void = () => {};
  try {
    links = await openRelayLinks({
      ...{ cluster, relay, lease, takeOver: parts.takeOver, logger, signal },
      onConnection: (connection) => local.take(connection),
      onChange: (state) => onState(state),
    });
  } catch (error) {
    // Whoever holds what we wanted goes on with the relay.
    shared = parts.joined !== undefined || hasCode(error, "PROXY_LEASE_TAKEN");
    throw error;
  }
  const own = links;
  closer.use(own);
  closer.defer(async () => {
    if (!shared) await endRelay(relay, own.askToEnd, () => relayGone(cluster, relay));
  });
  closer.defer(() => finish(local));
  const giveUp = (error: Error | undefined): void => {
    if (error && !closer.closing) ended.resolve(error);
  };
  void own.ended.then(giveUp);

  let switched = true;
  let switchedAt = parts.joined === undefined ? new Date().toISOString() : record.since;
  const service = await openSwitch(
    {
      ...{ cluster, service: ref, record, logger },
      onPutBack: () => notice(`something put the selector of ${ref.name} back: it is switched to the relay again`),
      onRestored(reason) {
        switched = false;
        notice(`${ref.name} leads to its own pods: ${reason}`);
        void relayGone(cluster, relay).then((gone) => gone && giveUp(relayEnded(ref)));
      },
      onSwitched() {
        switched = true;
        switchedAt = new Date().toISOString();
        notice(`${ref.name} leads to the relay again`);
      },
      onBlind: (error) => onEvent({ kind: "warning", error }),
    },
    signal,
  );
  closer.use(service);
  closer.defer(async () => {
    // Ours first: of two who end at once, the one who looks later sees that it is the last.
    await own.release();
    shared = othersLease(await own.statuses(), lease.id);
    if (shared) service.leave();
  });
  void service.ended.then(giveUp);
  onState = (state) => service.relayState(state);
  onState(own.state);
  await untilServed(cluster, ref, relay.name, signal);
  const twin = (await own.statuses()).flatMap(({ leases }) => leases).find((other) => isTwin(other, lease));
  if (twin)
    notice(`you have the same open elsewhere since ${twin.since}: that one is served for as long as it is open, then this one`);
  const refused = options.interceptors?.length ? [] : await refusedPorts(localPortsOf(plan.claimed), { signal });
  if (refused.length > 0) notice(nothingListens(refused, holdWords(options.holdMs ?? 0)));

  return {
    status: () => ({
      namespace: ref.namespace,
      service: ref.name,
      relay: relay.name,
      ...(parts.joined !== undefined && { joined: parts.joined }),
      match,
      switched,
      switchedAt,
      relays: own.state,
      ports: local.stats(),
    }),
    ended: ended.promise,
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

/** The Service, and who intercepts it already. What an intercept left whose relay is gone is put back first. */
async function currentService(
  cluster: Cluster,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<{ service: Service; record?: InterceptRecord }> {
  const service = await cluster.get(SERVICES, { namespace, name }, { signal });
  const record = readRecord(service.metadata);
  if (!record) return { service };
  const gone = (await findRelay(cluster, { namespace, name: record.relay }, { signal })) === undefined;
  if (!gone && switchState(service, record) !== "changed") return { service, record };
  await restoreService(cluster, { namespace, name, uid: service.metadata.uid! }, record, signal);
  return { service: await cluster.get(SERVICES, { namespace, name }, { signal }) };
}

/** The same wish of the same developer, opened besides this one. */
const isTwin = (other: Lease, { id, holder, wish }: Lease): boolean =>
  other.id !== id && other.holder === holder && other.wish === wish;

const original = (service: Service, { original: selector }: InterceptRecord): Service => ({
  ...service,
  spec: { ...service.spec, selector: { ...selector } },
});

const leaseOf = ({ holder, match, mirror, holdMs = 0 }: InterceptOptions, plan: InterceptPlan): Lease => ({
  id: randomBytes(9).toString("hex"),
  holder,
  ports: plan.claimed.map(({ port }) => port),
  match,
  ...(mirror && { mirror }),
  holdMs,
  wish: createHash("sha256")
    .update(JSON.stringify([plan.claimed, match, mirror, holdMs]))
    .digest("hex")
    .slice(0, 16),
});

/** A relay that is there carries some ports as a whole: only everything can be asked of those. */
async function checkModes(cluster: Cluster, relay: DeployedRelay, lease: Lease, signal: AbortSignal): Promise<void> {
  const { data } = await cluster.get(CONFIG_MAPS, { namespace: relay.namespace, name: relayFilesName(relay) }, { signal });
  const { accept } = JSON.parse(data?.["config.json"] ?? '{"accept":[]}') as Pick<RelayConfig, "accept">;
  const whole = accept.find(({ port, mode }) => mode === "tcp" && lease.ports.includes(port));
  if (!whole || lease.match.all) return;
  throw proxyError(
    "PROXY_OPTION_INVALID",
    `the relay that is there carries port ${whole.port} as whole connections, not ${describeMatch(lease.match)}`,
    {
      hint: "--all takes them, or intercept it when the intercept that is there has ended",
    },
  );
}

async function makeBackend(cluster: Cluster, { backend, ref, relay, record, service, signal }: Engagement): Promise<void> {
  const wanted = backendService(service, { name: backend, original: record.original, relay });
  try {
    await cluster.create(SERVICES, wanted, { signal });
  } catch (error) {
    if (!hasCode(error, "KUBE_CONFLICT")) throw error;
    // Left by an earlier relay, and not collected yet.
    await cluster.delete(SERVICES, { namespace: ref.namespace, name: backend }, { signal });
    await cluster.create(SERVICES, wanted, { signal });
  }
}

/** For how long it is looked whether the cluster has seen the switch. */
const SEEN_MS = 10_000;

/** Resolves when the Service's endpoints are the relay's pods alone. Where they may not be read, at once. */
async function untilServed(cluster: Cluster, { namespace, name }: ServiceRef, relay: string, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(SEEN_MS)]);
  try {
    for (;;) {
      const [slices, pods] = await Promise.all([
        cluster.list(ENDPOINT_SLICES, { namespace, labelSelector: `kubernetes.io/service-name=${name}`, signal: limit }),
        cluster.list(PODS, { namespace, labelSelector: `${RELAY_LABEL}=${relay}`, signal: limit }),
      ]);
      const ours = new Set(pods.map(({ metadata }) => metadata.name));
      const ready = slices.flatMap(({ endpoints }) => endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);
      if (ready.length > 0 && ready.every(({ targetRef }) => ours.has(targetRef?.name ?? ""))) return;
      await sleep(100, undefined, { signal: limit });
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!limit.aborted && !hasCode(error, "KUBE_FORBIDDEN")) throw error;
  }
}

/** Gives what is open a moment to come to its end. */
async function finish(local: LocalEnd): Promise<void> {
  const open = (): boolean => local.stats().some((port) => port.open > 0);
  for (const limit = performance.now() + FINISH_MS; open() && performance.now() < limit; ) await sleep(50);
}

const refusedError = (cause: Error, holdMs: number): Error =>
  proxyError("PROXY_LOCAL_REFUSED", `${cause.message}: ${holdWords(holdMs)}`, {
    hint: "start your process; it is found by itself",
    cause,
  });

const holdWords = (holdMs: number): string =>
  `${holdMs > 0 ? `requests wait up to ${holdMs / 1000} s for it, then` : "requests"} go to the cluster's pods`;

const relayStrange = ({ name }: ServiceRef, { relay, by, since }: InterceptRecord): Error =>
  proxyError(
    "PROXY_RELAY_STRANGE",
    `service ${name} has been intercepted by ${by} since ${since}, through a relay (${relay}) that is going`,
    {
      hint: "try again in a moment",
    },
  );

const relayEnded = ({ name }: ServiceRef): Error =>
  proxyError(
    "PROXY_ENDED",
    `the intercept of ${name} has ended: its relay is gone, because this machine was away for longer than its grace period or somebody removed it`,
    {
      hint: "the Service is as it was; intercept it again",
    },
  );
