import { type Closable, createCloser, hasCode, silentLogger } from "@shipside/core";
import {
  type Cluster,
  CONFIG_MAPS,
  type KubeObject,
  type ListOptions,
  meantPod,
  PODS,
  type Pod,
  type ResourceType,
  resolveWorkload,
  SECRETS,
  SERVICES,
  selectorString,
  type Watch,
} from "@shipside/kube";
import { collectEnv, type EnvCollection } from "./collect.ts";
import type { CollectOptions } from "./collect-options.ts";
import { changedNames, diffEntries, type EnvDiff, isSame } from "./diff.ts";
import { type EnvFile, type EnvFileOptions, writeEnvFile } from "./env-file.ts";
import { mergeEntries } from "./merge.ts";

export interface EnvChange extends EnvDiff {
  /** Of all that was added, removed or changed, sorted; `select` bounds what is looked at. To restart a command on some of them. */
  names: string[];
  collection: EnvCollection;
}

export interface WatchEnvOptions extends CollectOptions {
  /** Called after each change of a value, when the file has been rewritten. */
  onChange?: (change: EnvChange) => void;
  /** Called when the env can't be collected or written for now: what was, stays, and it is tried again. */
  onError?: (error: unknown) => void;
  /** Kept current, and deleted on close where it is still ours. */
  file?: { path: string } & Pick<EnvFileOptions, "format" | "ours" | "skipUnrepresentable" | "onReplace">;
  /** How long changes are gathered before the env is collected again, in ms. Default 100. */
  gatherMs?: number;
}

export interface EnvWatch extends Closable {
  /** As collected last. */
  readonly current: EnvCollection;
  readonly file: EnvFile | undefined;
}

/** Between attempts after an error, in ms. */
const RETRY = { first: 1_000, most: 30_000 };

/**
 * Collects a workload's env and follows it: the workload itself, each ConfigMap and Secret that it refers to (watched by name, so
 * that a right to that one object is enough), the namespace's services where they are part of it, and its pods where values come from
 * one: when that pod is replaced they are the new one's, and stay until then; of a StatefulSet they stay those of the same replica. Rejects as `collectEnv` and `writeEnvFile` do; after
 * that errors go to `onError`.
 */
export async function watchEnv(cluster: Cluster, options: WatchEnvOptions): Promise<EnvWatch> {
  const { onChange, onError, gatherMs = 100, logger = silentLogger, signal: outer, file: fileOptions, ...rest } = options;
  const closer = createCloser();
  const ended = new AbortController();
  const signal = outer ? AbortSignal.any([outer, ended.signal]) : ended.signal;
  const workload =
    typeof options.workload === "string"
      ? await resolveWorkload(cluster, options.workload, { namespace: options.namespace, signal })
      : options.workload;
  /** Of a StatefulSet: whose values they are, and stay. */
  let { replica } = options;
  const collect = async (): Promise<EnvCollection> => {
    // The reference, not the object: it is read anew each time.
    const reference = { workload: `${workload.kind}/${workload.name}`, namespace: workload.namespace };
    const collection = await collectEnv(cluster, {
      ...rest,
      ...reference,
      ...(replica !== undefined && { replica }),
      logger,
      signal,
    });
    replica ??= collection.pod?.name;
    return collection;
  };

  let current = await collect();
  const file = fileOptions && (await writeEnvFile(fileOptions.path, current.entries, { ...fileOptions, logger }));
  if (file) closer.use(file);

  const watches = new Map<string, () => Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let retry = RETRY.first;

  const schedule = (delay: number): void => {
    if (signal.aborted) return;
    if (running) {
      again = true;
      return;
    }
    clearTimeout(timer);
    timer = setTimeout(() => {
      running = refresh().finally(() => {
        running = undefined;
        if (again) {
          again = false;
          schedule(gatherMs);
        }
      });
    }, delay);
    timer.unref();
  };
  const refresh = async (): Promise<void> => {
    try {
      const next = keepPodsValues(current, await collect());
      const difference = diffEntries(current.entries, next.entries);
      if (!isSame(difference)) await file?.write(next.entries);
      current = next;
      follow();
      retry = RETRY.first;
      if (!isSame(difference)) onChange?.({ ...difference, names: changedNames(difference), collection: next });
    } catch (error) {
      if (signal.aborted) return;
      logger.warn("the env could not be brought up to date", { workload: current.workload, error });
      onError?.(error);
      clearTimeout(timer);
      timer = setTimeout(() => schedule(0), retry);
      timer.unref();
      retry = Math.min(retry * 2, RETRY.most);
    }
  };

  /** One watch an object that the env depends on, and none else. */
  const follow = (): void => {
    const wanted = new Map<string, () => Promise<void>>();
    const want = (type: ResourceType<KubeObject>, name?: string): void => {
      const key = `${type.plural}/${name ?? ""}`;
      const only = name === undefined ? {} : { fieldSelector: `metadata.name=${name}` };
      wanted.set(key, watches.get(key) ?? openWatch(type, only));
    };
    want(workload.type, workload.name);
    for (const name of current.references.configMaps) want(CONFIG_MAPS, name);
    for (const name of current.references.secrets) want(SECRETS, name);
    if (workload.podSpec.enableServiceLinks !== false) want(SERVICES);
    if (workload.selector && (current.pod || current.warnings.some(({ reason }) => reason === "NEEDS_POD"))) {
      wanted.set("pods", watches.get("pods") ?? openPodWatch(selectorString(workload.selector)));
    }
    for (const [key, close] of watches) if (!wanted.has(key)) void close().catch(() => {});
    watches.clear();
    for (const [key, close] of wanted) watches.set(key, close);
  };
  const openWatch = (type: ResourceType<KubeObject>, only: ListOptions): (() => Promise<void>) => {
    const watch = cluster.watch(type, { namespace: workload.namespace, signal, ...only });
    watch.events.on("change", () => schedule(gatherMs));
    onceRefused(watch, (error) => {
      logger.warn("changes will not be noticed", { plural: type.plural, ...only, error });
      // Of what is left out anyway nothing is missed.
      const leftOut = current.refusals.some((refusal) => ofPlural(refusal) === type.plural);
      if (!hasCode(error, "KUBE_FORBIDDEN") || !leftOut) onError?.(error);
    });
    return () => watch.close();
  };
  /** Pods change all the time: it only matters when another one, or another run of its containers, is the one to ask. */
  const openPodWatch = (labelSelector: string): (() => Promise<void>) => {
    const watch = cluster.watch(PODS, { namespace: workload.namespace, signal, labelSelector });
    let asked: string | undefined;
    watch.events.on("change", () => {
      const best = meantPod(watch.items.values(), replica);
      if (!best || runOf(best) === asked) return;
      asked = runOf(best);
      schedule(gatherMs);
    });
    onceRefused(watch, (error) => {
      logger.warn("a pod that is replaced will not be noticed", { labelSelector, error });
      const leftOut = current.refusals.some((refusal) => ofPlural(refusal) === PODS.plural);
      if (hasCode(error, "KUBE_FORBIDDEN") && !leftOut) onError?.(error);
    });
    return () => watch.close();
  };
  /** A watch that can't be, told once: whether it can't be listed, or, with the right to list, not be watched. */
  const onceRefused = <T extends KubeObject>(watch: Watch<T>, tell: (error: unknown) => void): void => {
    let told = false;
    const once = (error: unknown): void => {
      if (told || signal.aborted) return;
      told = true;
      tell(error);
    };
    watch.synced.catch(once);
    watch.events.on("state", (state) => {
      if (state.status === "stale" && hasCode(state.error, "KUBE_FORBIDDEN")) once(state.error);
    });
  };

  const stop = async (): Promise<void> => {
    ended.abort();
    clearTimeout(timer);
    await running;
    await Promise.all([...watches.values()].map((close) => close()));
  };
  closer.defer(stop);
  follow();
  return {
    get current() {
      return current;
    },
    file,
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

/** Which resource a refusal is about. */
const ofPlural = (refusal: Error): unknown => (refusal as { details?: { resource?: unknown } }).details?.resource;

const runOf = ({ metadata, status }: Pod): string =>
  `${metadata.uid} ${status?.containerStatuses?.map(({ name, restartCount }) => `${name} ${restartCount}`).join()}`;

/** While there is no pod to ask, what came from one stays: its file must not lose values during a rollout. */
function keepPodsValues(before: EnvCollection, now: EnvCollection): EnvCollection {
  if (!before.pod || now.pod) return now;
  const lost = new Set(now.warnings.flatMap(({ name }) => (name === undefined ? [] : [name])));
  const kept = before.entries.filter(({ name }) => lost.has(name));
  if (kept.length === 0) return now;
  const names = new Set(kept.map(({ name }) => name));
  return {
    ...now,
    pod: before.pod,
    entries: mergeEntries(now.entries, kept),
    warnings: now.warnings.filter(({ name }) => name === undefined || !names.has(name)),
  };
}
