import { setTimeout as sleep } from "node:timers/promises";
import { type Closable, createCloser, hasCode, type Logger } from "@shipside/core";
import { type Cluster, SERVICES, type Service } from "@shipside/kube";
import { disownPatch } from "@shipside/relay";
import { proxyError } from "./errors.ts";
import { type InterceptRecord, restorePatch, switchPatch, switchState } from "./service-patch.ts";

export interface ServiceRef {
  namespace: string;
  name: string;
  uid: string;
}

/** Of a try that somebody else's write came before. */
const ATTEMPTS = 8;

/** A patch whose tests no longer hold is refused by one of these. */
const isOutdated = (error: unknown): boolean => hasCode(error, "KUBE_CONFLICT", "KUBE_INVALID");

/**
 * Patches a Service as `plan` says of its present state, again where it was changed in between. `plan` gives undefined where nothing is to be
 * done. Resolves to the Service as it is then, undefined where it (that one) is gone.
 */
async function patchService(
  cluster: Cluster,
  ref: ServiceRef,
  plan: (service: Service) => readonly object[] | undefined,
  signal: AbortSignal,
): Promise<Service | undefined> {
  for (let attempt = 1; ; attempt++) {
    const service = await cluster.get(SERVICES, ref, { signal }).catch((error: unknown) => {
      if (hasCode(error, "KUBE_NOT_FOUND")) return undefined;
      throw error;
    });
    if (service?.metadata.uid !== ref.uid) return undefined;
    const patch = plan(service);
    if (!patch) return service;
    try {
      return await cluster.patch(SERVICES, ref, patch, { kind: "json", signal });
    } catch (error) {
      if (!isOutdated(error) || attempt >= ATTEMPTS) throw error;
      await sleep(50 * attempt * Math.random(), undefined, { signal });
    }
  }
}

/**
 * Leads a Service to the relay, if it is still as the record says. Throws `PROXY_SERVICE_CHANGED` where somebody has changed its selector
 * meanwhile.
 */
async function switchService(cluster: Cluster, ref: ServiceRef, record: InterceptRecord, signal: AbortSignal): Promise<void> {
  const service = await patchService(
    cluster,
    ref,
    (now) => {
      const state = switchState(now, record);
      if (state === "switched") return undefined;
      if (state === "restored") return switchPatch(now, record);
      throw changed(ref, `its selector is now ${JSON.stringify(now.spec.selector ?? {})}`);
    },
    signal,
  );
  if (!service) throw changed(ref, "it was deleted");
}

/** Puts back what leads to the relay, whatever else was changed. Nothing to do is fine, and so is a Service that is gone. */
export async function restoreService(
  cluster: Cluster,
  ref: ServiceRef,
  record: InterceptRecord,
  signal: AbortSignal,
): Promise<void> {
  await patchService(cluster, ref, (now) => restorePatch(now, record), signal);
  await patchService(
    cluster,
    ref,
    (now) => (switchState(now, record) === "switched" ? undefined : disownPatch(now, record.owners ?? [])),
    signal,
  );
}

const changed = ({ namespace, name }: ServiceRef, what: string): Error =>
  proxyError("PROXY_SERVICE_CHANGED", `service ${name} in ${namespace} was changed by somebody else: ${what}`, {
    hint: "intercept it again to go on with what it is now",
  });

export interface SwitchOptions {
  cluster: Cluster;
  service: ServiceRef;
  record: InterceptRecord;
  /** Somebody put the selector back: `renewed` as often as that is borne with, and then it is over. */
  onPutBack(times: number): void;
  /** No relay has been ready for `unreadyMs`: the Service leads to its pods until one is again. */
  onRestored(reason: string): void;
  onSwitched(): void;
  /** The Service may not be watched (`KUBE_FORBIDDEN`): nobody will see it where somebody puts it back. Told once. */
  onBlind(error: Error): void;
  /** How long a Service may lead to a relay of which no pod is ready, in ms. Default 3,000. */
  unreadyMs?: number;
  logger: Logger;
}

/** A Service that leads to the relay for as long as that is open and there is a relay. */
export interface ServiceSwitch extends Closable {
  /** How many of the relay's pods are ready, and how many of those have our lease. */
  relayState(state: { ready: number; leased: number }): void;
  /** From now on the Service isn't touched: others need it as it is. */
  leave(): void;
  /** Puts it back, unless it is to be left. */
  close(): Promise<void>;
  /** Resolves where it can't go on, with why. Undefined after `close`. */
  readonly ended: Promise<Error | undefined>;
}

/** Who puts it back so often within a minute means it. */
const BORNE = 3;
const WITHIN_MS = 60_000;
/** Before it is switched again: whoever applies a manifest applies all of it first. */
const RENEW_AFTER_MS = 500;
/** For putting it back at the end, with retries. */
const CLOSE_MS = 20_000;

/** Switches now, and keeps it so. Throws as {@link switchService}. */
export async function openSwitch(options: SwitchOptions, signal: AbortSignal): Promise<ServiceSwitch> {
  const { cluster, service: ref, record, logger, unreadyMs = 3_000 } = options;
  const closer = createCloser();
  const lifetime = new AbortController();
  const ended = Promise.withResolvers<Error | undefined>();
  closer.defer(() => ended.resolve(undefined));
  let wanted = true;
  let left = false;
  let leased = true;
  let putBack: number[] = [];
  let unready: NodeJS.Timeout | undefined;
  // One thing at a time is done to the Service.
  let queue: Promise<void> = Promise.resolve();
  const doing = (work: () => Promise<void>): void => {
    queue = queue.then(async () => {
      if (lifetime.signal.aborted || left) return;
      await work().catch((error: Error) => {
        if (lifetime.signal.aborted) return;
        if (hasCode(error, "PROXY_SERVICE_CHANGED", "KUBE_FORBIDDEN", "KUBE_UNAUTHORIZED")) ended.resolve(error);
        else logger.warn("the Service could not be changed yet", { service: ref.name, error: error.message });
      });
    });
  };

  closer.defer(async () => {
    if (left) return;
    for (const limit = AbortSignal.timeout(CLOSE_MS); ; ) {
      try {
        return await restoreService(cluster, ref, record, limit);
      } catch (error) {
        if (limit.aborted || hasCode(error, "KUBE_FORBIDDEN", "KUBE_CLOSED")) throw error;
        await sleep(500, undefined, { signal: limit }).catch(() => {});
      }
    }
  });
  closer.defer(() => {
    lifetime.abort();
    clearTimeout(unready);
    return queue;
  });

  try {
    await switchService(cluster, ref, record, signal);
  } catch (error) {
    await closer.close();
    throw error;
  }

  /** Whether the Service led to the relay when it was last seen: what then doesn't, somebody has put back. */
  let leading = true;
  const judge = (service: Service | undefined): void => {
    if (lifetime.signal.aborted || left) return;
    if (!service || service.metadata.uid !== ref.uid) {
      ended.resolve(changed(ref, "it was deleted"));
      return;
    }
    const state = switchState(service, record);
    const before = leading;
    leading = state === "switched";
    if (leading || !wanted) return;
    if (state === "changed") {
      ended.resolve(changed(ref, `its selector is now ${JSON.stringify(service.spec.selector ?? {})}`));
      return;
    }
    if (state === "mixed") {
      // It selects nothing at all, which nobody can mean: back to the pods at once, and then on.
      doing(() => restoreService(cluster, ref, record, lifetime.signal));
    }
    if (before) renew();
  };
  const renew = (): void => {
    putBack = [...putBack.filter((at) => at > Date.now() - WITHIN_MS), Date.now()];
    if (putBack.length >= BORNE) {
      const times = `${BORNE} times within a minute`;
      ended.resolve(
        proxyError("PROXY_ENDED", `the intercept of ${ref.name} has ended: something put its selector back ${times}`, {
          hint: "hold off what writes that Service (Argo CD self-heal, Flux, an operator) and intercept it again",
        }),
      );
      return;
    }
    options.onPutBack(putBack.length);
    doing(async () => {
      await sleep(RENEW_AFTER_MS, undefined, { signal: lifetime.signal });
      // The relay itself may have put it back, because nobody was there: then it must not lead there again.
      if (wanted && leased) await switchService(cluster, ref, record, lifetime.signal);
      else wanted = false;
    });
  };
  const watch = closer.use(cluster.watch(SERVICES, { namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}` }));
  let blind = false;
  const tellBlind = (error: Error): void => {
    if (blind || closer.closing || !hasCode(error, "KUBE_FORBIDDEN")) return;
    blind = true;
    options.onBlind(error);
  };
  watch.events.on("state", (state) => state.status === "stale" && tellBlind(state.error));
  void watch.synced
    .then(() => {
      // A list may be older than our own write: what is judged first is asked for anew.
      watch.events.on("change", ({ type, object }) => {
        if (object.metadata.name === ref.name) judge(type === "deleted" ? undefined : object);
      });
      return cluster.get(SERVICES, ref, { signal: lifetime.signal }).then(judge, (error: unknown) => {
        if (hasCode(error, "KUBE_NOT_FOUND")) judge(undefined);
      });
    })
    .catch((error: Error) => {
      tellBlind(error);
      if (!closer.closing) logger.warn("the intercepted Service can't be watched", { error: error.message });
    });

  return {
    relayState({ ready, leased: count }) {
      leased = count > 0;
      if (ready > 0) {
        clearTimeout(unready);
        unready = undefined;
        if (wanted || !leased) return;
        wanted = true;
        doing(async () => {
          await switchService(cluster, ref, record, lifetime.signal);
          options.onSwitched();
        });
      } else {
        unready ??= setTimeout(() => {
          wanted = false;
          doing(async () => {
            await restoreService(cluster, ref, record, lifetime.signal);
            options.onRestored(`no relay has been ready for ${unreadyMs / 1000} s`);
          });
        }, unreadyMs);
      }
    },
    leave() {
      left = true;
    },
    ended: ended.promise,
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}
