import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { abortError, type Closable, type DialerFactory, hasCode, type Logger, silentLogger } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { type DeployedRelay, deployRelay, findRelay, type MakeObject } from "./deploy.ts";
import { relayDialer } from "./dialer.ts";
import { relayError } from "./errors.ts";
import { openRelayLink, type RelayLink } from "./link.ts";
import { crashLoop } from "./readiness.ts";
import { relayName } from "./relay-names.ts";
import type { RelaySpec } from "./relay-spec.ts";
import { createReplacements, type Replacements } from "./replacement.ts";

export interface ClusterRelayOptions
  extends Pick<RelaySpec, "namespace" | "owner" | "image" | "resources" | "graceSeconds" | "imagePullSecrets" | "files"> {
  /** Left open. */
  cluster: Cluster;
  /** Makes its Deployment: see `DeployOptions.make`. */
  make?: MakeObject;
  /** What happens to it. */
  onEvent?(event: ClusterRelayEvent): void;
  logger?: Logger;
}

export type ClusterRelayEvent =
  | { kind: "deploying" | "ready" | "removed"; name: string; namespace: string; selfRemoving?: boolean }
  | { kind: "failed"; error: Error };

/** A relay in a cluster that dials for this machine, deployed when it is first needed, and anew where it has gone. */
export interface ClusterRelay extends Closable {
  /**
   * The link to it. Rejects with the codes of `deployRelay`, and with `RELAY_LINK_LOST` where its pods are ready and can't be linked to for 15 s; after a
   * failure the next ten seconds have the same answer.
   */
  link(signal: AbortSignal): Promise<RelayLink>;
  /** For a tunnel: `all` its targets, or by default those that port-forward can't reach. */
  dialerFactory(options?: { all?: boolean }): DialerFactory;
}

/** After a failure it isn't tried again for this long, in ms: many clients may be waiting to connect. */
const FAILED_MS = 10_000;
/** From when its pods are ready until it must be linked to, in ms: an API server may be about to come back. */
const LINKED_MS = 15_000;
/** A first dial may have to wait until an image has been pulled, in ms. */
const DIAL_MS = 140_000;

interface Running {
  relay: DeployedRelay;
  link: RelayLink;
}

/** Nothing is asked of the cluster before the first `link`. Closing it removes the relay. */
export function clusterRelay(options: ClusterRelayOptions): ClusterRelay {
  const { cluster, namespace, onEvent = () => {}, logger = silentLogger } = options;
  const lifetime = new AbortController();
  const closedError = relayError("RELAY_LINK_LOST", "the relay is no longer used");
  let current: Promise<Running> | undefined;
  /** Of relays that are of no use any more. */
  const removals = new Set<Promise<void>>();

  const remove = (relay: DeployedRelay): Promise<void> => {
    const removal = relay
      .remove()
      .catch((failed: Error) =>
        logger.warn("a relay could not be removed", { relay: `${namespace}/${relay.name}`, error: failed.message }),
      )
      .finally(() => removals.delete(removal));
    removals.add(removal);
    return removal;
  };

  const start = async (): Promise<Running> => {
    const name = relayName(options.files ? "files" : "dial", randomUUID());
    onEvent({ kind: "deploying", name, namespace });
    const { owner, image, resources, graceSeconds, imagePullSecrets, files } = options;
    const { silenceMs } = files ?? {};
    const spec: RelaySpec = {
      ...{ name, namespace, owner },
      ...(image !== undefined && { image }),
      ...(resources && { resources }),
      ...(graceSeconds !== undefined && { graceSeconds }),
      ...(imagePullSecrets && { imagePullSecrets }),
      ...(files && { files }),
    };
    const relay = await deployRelay(cluster, spec, { signal: lifetime.signal, ...(options.make && { make: options.make }) });
    const replacements = createReplacements(cluster, relay, logger);
    const open = (signal: AbortSignal): Promise<Duplex> => openControl(relay, replacements, signal);
    let last: Error | undefined;
    const link = openRelayLink({
      ...{ open, secret: relay.secret, signal: lifetime.signal, logger },
      ...(silenceMs !== undefined && { silenceMs }),
      onState: (_linked, error) => {
        last = error;
      },
    });
    const inTime = new AbortController();
    const tooLong = sleep(LINKED_MS, undefined, { signal: inTime.signal }).then(() => {
      throw notLinked(`${namespace}/${name}`, last);
    });
    try {
      await Promise.race([link.ready, tooLong]);
    } catch (error) {
      await Promise.all([link.close(), remove(relay)]);
      throw error;
    } finally {
      inTime.abort();
    }
    onEvent({ kind: "ready", name, namespace, selfRemoving: relay.selfRemoving });
    return { relay, link };
  };

  /**
   * Where the relay itself has gone (it removes itself when this machine was away for too long), or this user has no right to forward
   * ports, the link has no way back. Where its process ended more than once, somebody who waits for it waits for a new pod.
   */
  const openControl = async (relay: DeployedRelay, { replace }: Replacements, signal: AbortSignal): Promise<Duplex> => {
    let [best] = await relay.pods({ signal });
    const ends = best && crashLoop(best);
    if (best && ends !== undefined) {
      await replace(best, ends, signal);
      [best] = await relay.pods({ signal });
    }
    try {
      return await relay.openControl(best?.metadata.name, { signal });
    } catch (error) {
      const refusal = refusalBehind(error);
      if (refusal) throw refusal;
      if (!hasCode(error, "DIAL_GONE", "KUBE_NOT_FOUND")) throw error;
      if (await findRelay(cluster, relay, { signal })) throw error;
      throw relayError("RELAY_REFUSED", `the relay ${namespace}/${relay.name} is gone`, { cause: error });
    }
  };

  const running = (): Promise<Running> => {
    if (current) return current;
    const starting = start();
    current = starting;
    const forget = (): void => {
      if (current === starting) current = undefined;
    };
    starting.then(
      ({ relay, link }) =>
        void link.ended.then((error) => {
          forget();
          if (!error) return;
          onEvent({ kind: "failed", error });
          void remove(relay);
        }),
      (error: Error) => {
        if (lifetime.signal.aborted) return;
        onEvent({ kind: "failed", error });
        setTimeout(forget, FAILED_MS).unref();
      },
    );
    return starting;
  };

  const link = async (signal: AbortSignal): Promise<RelayLink> => {
    if (lifetime.signal.aborted) throw closedError;
    if (signal.aborted) throw abortError(signal);
    const { promise: gone, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(abortError(signal));
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return (await Promise.race([running(), gone])).link;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  };

  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const last = current;
    lifetime.abort(closedError);
    const there = await last?.catch(() => undefined);
    await Promise.all(removals);
    if (!there) return;
    await there.link.close();
    await there.relay.remove();
    onEvent({ kind: "removed", name: there.relay.name, namespace });
  };

  return {
    link,
    dialerFactory: ({ all = false } = {}) => ({
      name: "relay",
      datagrams: true,
      ...(!all && { fallback: true as const }),
      handles: () => true,
      create: () => relayDialer({ link, dialMs: DIAL_MS }),
    }),
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
}

const notLinked = (relay: string, last: Error | undefined): Error =>
  relayError("RELAY_LINK_LOST", `no link to the relay ${relay} within ${LINKED_MS / 1000} s${last ? `: ${last.message}` : ""}`, {
    hint: "its pod is ready, and this machine can't forward to it: `shipside doctor` tries the way to pods",
    ...(last && { cause: last }),
  });

/** A dial that was tried by several carriers has failed for a reason each. */
function refusalBehind(error: unknown): Error | undefined {
  if (hasCode(error, "KUBE_FORBIDDEN")) return error as Error;
  const { cause } = error as Error;
  const causes: unknown[] = cause instanceof AggregateError ? cause.errors : [cause];
  return causes.find((each): each is Error => hasCode(each, "KUBE_FORBIDDEN"));
}
