import { setTimeout as sleep } from "node:timers/promises";
import { type Closable, createCloser, hasCode, type Logger, ShipsideError } from "@shipside/core";
import { type Cluster, isLive, isReady, PODS, type Pod, type Watch } from "@shipside/kube";
import {
  CONTROL_PATHS,
  crashLoop,
  type DeployedRelay,
  type IncomingConnection,
  type Lease,
  openRelayLink,
  type RelayLink,
  type RelayStatus,
  type Replacements,
  relayPodSelector,
} from "@shipside/relay";
import { proxyError } from "./errors.ts";
import { createLostReplicas } from "./lost-replica.ts";

export interface RelayLinksOptions {
  cluster: Cluster;
  relay: DeployedRelay;
  lease: Lease;
  /** Ends what other developers have of the same traffic. */
  takeOver: boolean;
  onConnection(connection: IncomingConnection): void;
  /** How many of the relay's pods are ready, and how many of them have our lease. */
  onChange(state: LinksState): void;
  /** One of its pods was out of reach alone, and another one is made in its place. */
  onLost?(pod: string): void;
  /** For a relay of one pod, which nothing stands in for while the kubelet waits before it starts it again. */
  replacements?: Replacements;
  logger: Logger;
  signal: AbortSignal;
}

export interface LinksState {
  ready: number;
  leased: number;
}

/** Our lease on every pod of a relay, through all that happens to the pods and the links to them. */
export interface RelayLinks extends Closable {
  readonly state: LinksState;
  /** What each linked pod says; those that don't answer are left out. */
  statuses(): Promise<RelayStatus[]>;
  /** Takes our lease off: what comes from now on isn't ours. What is open stays so until `close`. */
  release(): Promise<void>;
  /** Asks a pod of the relay to end it. False where none could be asked. */
  askToEnd(): Promise<boolean>;
  /** Resolves where it can't go on: the lease was taken over, or a pod refuses us for good. Undefined after `close`. */
  readonly ended: Promise<Error | undefined>;
}

/** A relay's lease lives 5 s without its link, and is told to it anew this often, in ms. */
const RENEW_MS = 2_000;
/** A link that is silent for so long is dead, in ms; to a relay it is after 4 s. */
const SILENCE_MS = 5_000;
/** Until the lease must stand on a pod that is ready. */
const FIRST_MS = 15_000;

/** Resolves when the lease stands on every pod that is ready now. Throws `PROXY_LEASE_TAKEN`, and what the relay refuses it with. */
export async function openRelayLinks(options: RelayLinksOptions): Promise<RelayLinks> {
  const { cluster, relay, lease, logger, signal } = options;
  const { namespace } = relay;
  const closer = createCloser();
  const links = new Map<string, { link: RelayLink; leased: boolean; wasLeased?: true; lastError?: Error | undefined }>();
  const ended = Promise.withResolvers<Error | undefined>();
  const lifetime = new AbortController();
  let released = false;
  let firstTime = true;
  let watch: Watch<Pod>;

  const readyPods = (): Pod[] => [...watch.items.values()].filter((pod) => isLive(pod) && isReady(pod)).sort(byName);
  const stateNow = (): LinksState => {
    const ready = readyPods();
    return { ready: ready.length, leased: ready.filter(({ metadata }) => links.get(metadata.name)?.leased).length };
  };
  let told = "";
  const tell = (): void => {
    const now = JSON.stringify(stateNow());
    if (now === told || closer.closing) return;
    told = now;
    options.onChange(stateNow());
  };

  const put = async (pod: string): Promise<void> => {
    const entry = links.get(pod);
    if (!entry || released) return;
    const path = `${CONTROL_PATHS.leases}${lease.id}${firstTime && options.takeOver ? "?take-over" : ""}`;
    try {
      await entry.link.request("PUT", path, lease);
      Object.assign(entry, { leased: true, wasLeased: true });
    } catch (error) {
      entry.leased = false;
      if (!hasCode(error, "LEASE_TAKEN", "LEASE_INVALID", "RELAY_PATTERN")) throw error;
      throw hasCode(error, "LEASE_TAKEN") ? takenError(error as ShipsideError, lease) : error;
    } finally {
      tell();
    }
  };
  const renew = (pod: string): void => {
    put(pod).catch((error: Error) => {
      if (!hasCode(error, "PROXY_LEASE_TAKEN", "LEASE_INVALID", "RELAY_PATTERN"))
        return logger.debug("a lease could not be renewed yet", { pod, error: error.message });
      // On the way in the opener tells it.
      if (!firstTime) ended.resolve(error);
    });
  };

  const linkTo = (pod: string): void => {
    if (links.has(pod) || closer.closing) return;
    const link = openRelayLink({
      open: (until) => relay.openControl(pod, { signal: until }),
      secret: relay.secret,
      silenceMs: SILENCE_MS,
      onConnection: options.onConnection,
      onState(linked, error) {
        const entry = links.get(pod);
        if (entry && !linked) Object.assign(entry, { leased: false, lastError: error });
        if (linked && !firstTime) renew(pod);
        tell();
      },
      logger,
    });
    links.set(pod, { link, leased: false });
    void link.ended.then((error) => {
      if (links.get(pod)?.link === link) links.delete(pod);
      if (error && hasCode(error, "RELAY_REFUSED", "RELAY_PROTOCOL") && !closer.closing) ended.resolve(error);
    });
  };
  let readyBefore = new Set<string>();
  const follow = (): void => {
    const known = new Set(links.keys());
    for (const pod of watch.items.values()) if (isLive(pod)) linkTo(pod.metadata.name);
    // Tries while its container started anew have made the pauses long.
    const readyNow = new Set(readyPods().map(({ metadata }) => metadata.name));
    for (const pod of readyNow) if (known.has(pod) && !readyBefore.has(pod)) links.get(pod)?.link.retry();
    readyBefore = readyNow;
    for (const pod of watch.items.values()) {
      const ends = isLive(pod) ? crashLoop(pod) : undefined;
      // What comes of it is logged.
      if (ends !== undefined) options.replacements?.replace(pod, ends, lifetime.signal).catch(() => {});
    }
    const names = new Set([...watch.items.values()].map(({ metadata }) => metadata.name));
    for (const [pod, { link }] of links) if (!names.has(pod)) void link.close();
    tell();
  };

  const lostReplicas = createLostReplicas();
  /** Whose node is lost: deleted, it is no endpoint any more, and another one is made. */
  const replaceLost = (): void => {
    const replicas = readyPods().map(({ metadata: { name } }) => {
      const { leased = false, wasLeased = false } = links.get(name) ?? {};
      return { name, leased, wasLeased };
    });
    const name = lostReplicas.look(replicas, performance.now());
    if (name === undefined) return;
    cluster.delete(PODS, { namespace, name }).then(
      () => options.onLost?.(name),
      (error: Error) =>
        logger.warn("a pod of the relay that is out of reach could not be deleted", { pod: name, error: error.message }),
    );
  };

  closer.defer(() => ended.resolve(undefined));
  closer.defer(() => lifetime.abort());
  closer.defer(() => Promise.all([...links.values()].map(({ link }) => link.close())));
  try {
    watch = closer.use(cluster.watch(PODS, { namespace, labelSelector: relayPodSelector(relay) }));
    await untilAborted(watch.synced, signal);
    watch.events.on("change", follow);
    follow();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(FIRST_MS)]);
    // One after the other in the same order for everybody: of two who want the same, one has it on every pod.
    for (let waited = false; !waited || readyPods().length === 0; waited = true) {
      for (const { metadata } of readyPods()) {
        const entry = links.get(metadata.name);
        if (!entry) continue;
        await untilAborted(entry.link.ready, limit).catch((error: unknown) => {
          // A pod that ended meanwhile is replaced.
          if (links.has(metadata.name) || signal.aborted) throw notLinked(error, relay, metadata.name, entry.lastError);
        });
        if (links.has(metadata.name)) await put(metadata.name);
      }
      if (readyPods().length === 0)
        await sleep(200, undefined, { signal: limit }).catch((error: unknown) =>
          Promise.reject(notLinked(error, relay, "any pod")),
        );
    }
    firstTime = false;
    for (const pod of links.keys()) renew(pod);
    const timer = setInterval(() => {
      for (const [pod, { link }] of links) if (link.linked) renew(pod);
      replaceLost();
    }, RENEW_MS);
    closer.defer(() => clearInterval(timer));
  } catch (error) {
    await Promise.all(
      [...links.values()].map(
        ({ link }) =>
          link.linked &&
          link
            .request("DELETE", CONTROL_PATHS.leases + lease.id, undefined, { signal: AbortSignal.timeout(2_000) })
            .catch(() => {}),
      ),
    );
    await closer.close();
    throw error;
  }

  const asked = <T>(ask: (link: RelayLink) => Promise<T>): Promise<T[]> =>
    Promise.all([...links.values()].filter(({ link }) => link.linked).map(({ link }) => ask(link).catch(() => undefined))).then(
      (answers) => answers.filter((answer) => answer !== undefined),
    ) as Promise<T[]>;
  const made: RelayLinks = {
    get state() {
      return stateNow();
    },
    statuses: () =>
      asked(
        (link) =>
          link.request("GET", CONTROL_PATHS.status, undefined, { signal: AbortSignal.timeout(2_000) }) as Promise<RelayStatus>,
      ),
    async askToEnd() {
      const answers = await asked(async (link) => {
        await link.request("POST", CONTROL_PATHS.end, undefined, { signal: AbortSignal.timeout(2_000) });
        return true;
      });
      return answers.length > 0;
    },
    async release() {
      released = true;
      await asked((link) =>
        link.request("DELETE", CONTROL_PATHS.leases + lease.id, undefined, { signal: AbortSignal.timeout(2_000) }),
      );
    },
    ended: ended.promise,
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
  return made;
}

const byName = (a: Pod, b: Pod): number => (a.metadata.name < b.metadata.name ? -1 : 1);

function takenError(cause: ShipsideError, lease: Lease): Error {
  const { holder = "somebody", since = "" } = (cause.details ?? {}) as { holder?: string; since?: string };
  const own = holder === lease.holder;
  return proxyError("PROXY_LEASE_TAKEN", `${own ? "you intercept" : `${holder} intercepts`} some of this traffic since ${since}`, {
    hint: own
      ? "`shipside session list` shows where; close that one, or take it over with --take-over"
      : `ask for something else (--header, --path), agree with ${holder}, or take it over with --take-over`,
    details: { holder, since },
    cause,
  });
}

/** `last` is why the link failed when it was last tried. */
const notLinked = (cause: unknown, { name }: DeployedRelay, pod: string, last?: Error): Error =>
  cause instanceof ShipsideError && cause.code !== "ABORTED"
    ? cause
    : proxyError(
        "PROXY_RELAY_STRANGE",
        `no link to ${pod} of the relay ${name} within ${FIRST_MS / 1000} s${last ? `: ${last.message}` : ""}`,
        { hint: `\`kubectl get pods\` and \`kubectl logs deployment/${name}\` say how it is`, cause: last ?? cause },
      );

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
