import { setTimeout as sleep } from "node:timers/promises";
import { type Closable, type createCloser, hasCode, type Logger } from "@shipside/core";
import { type Cluster, SERVICES, type Service } from "@shipside/kube";
import type { DeployedRelay, Lease, Match } from "@shipside/relay";
import { proxyError } from "./errors.ts";
import type { InterceptOptions } from "./intercept-options.ts";
import { createLocalEnd, type LocalEnd, type LocalPortStats } from "./local-end.ts";
import { localPortsOf, nothingListens, refusedPorts } from "./local-port.ts";
import { describeMatch } from "./match.ts";
import { isTwin } from "./own-lease.ts";
import type { InterceptPlan } from "./ports.ts";
import { endRelay, othersLease, relayGone } from "./relay-end.ts";
import { type LinksState, openRelayLinks, type RelayLinks } from "./relay-links.ts";
import { untilServed } from "./served.ts";
import { backendService, type InterceptRecord } from "./service-patch.ts";
import { openSwitch, type ServiceRef } from "./switch.ts";

export interface InterceptStatus {
  namespace: string;
  service: string;
  relay: string;
  /** The Service that leads to the pods which the intercepted one selects. */
  backend: string;
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

/** All that is known before anything is changed, but that the relay is there. */
export interface Engagement {
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
export async function engage(options: InterceptOptions, parts: Engagement): Promise<Intercept> {
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
    ...(options.datagramSocket && { datagramSocket: options.datagramSocket }),
    route: `${describeMatch(match)}${options.mirror ? "; a copy, the cluster answers" : ""}`,
    onRefused: (_port, error) => onEvent({ kind: "warning", error: refusedError(error, options.holdMs ?? 0) }),
  });
  closer.use(local);
  let onState: (state: LinksState) => void = () => {};
  try {
    links = await openRelayLinks({
      ...{ cluster, relay, lease, takeOver: parts.takeOver, logger, signal },
      onConnection: (connection) => local.take(connection),
      onChange: (state) => onState(state),
      onLost: (pod) =>
        notice(`${pod} of the relay is out of reach, though the cluster takes it to be ready: another one is made in its place`),
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
      backend: parts.backend,
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

const relayEnded = ({ name }: ServiceRef): Error =>
  proxyError(
    "PROXY_ENDED",
    `the intercept of ${name} has ended: its relay is gone, because this machine was away for longer than its grace period or somebody removed it`,
    {
      hint: "the Service is as it was; intercept it again",
    },
  );
