import { createCloser, hasCode, silentLogger } from "@shipside/core";
import { notesOf } from "./access-facts.ts";
import type { Cluster, ConnectOptions, ListOptions, ObjectRef, PatchKind, ServerVersion } from "./cluster.ts";
import { createCredentialSource } from "./credentials.ts";
import { kubeError } from "./errors.ts";
import { createExec } from "./exec.ts";
import { type ResolvedContext, resolveContext } from "./kubeconfig.ts";
import { hasEnded } from "./live-pod.ts";
import { type KubeObject, PODS, type ResourceType } from "./objects.ts";
import { queryString, resourcePath } from "./paths.ts";
import { createPortForwardPool } from "./portforward/pool.ts";
import { createRequester } from "./request.ts";
import { createUpgrade } from "./upgrade.ts";
import { watchForUpheaval } from "./upheaval.ts";
import { createWatch, type ManagedWatch } from "./watch.ts";
import { watchSource } from "./watch-source.ts";
import { createWire } from "./wire.ts";

const FIELD_MANAGER = "shipside";
const PAGE = 500;
const PATCH_TYPES: Record<PatchKind, string> = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
};

interface RawList<T> {
  apiVersion?: string;
  metadata: { resourceVersion?: string; continue?: string };
  items: T[] | null;
}

/**
 * Reads the kubeconfig and makes ready to talk to its cluster. No request is sent and no credential plugin runs until something is
 * asked for ({@link Cluster.version} is the cheapest question).
 * Errors: `KUBE_NO_CONFIG`, `KUBE_CONFIG_INVALID`, `KUBE_CONTEXT_UNKNOWN`, `KUBE_OPTION_INVALID`.
 */
export async function connectCluster(options: ConnectOptions = {}): Promise<Cluster> {
  const checked = checkOptions(options);
  options.signal?.throwIfAborted();
  const context = await resolveContext(options);
  return createCluster(context, checked);
}

interface Checked {
  requestTimeoutMs: number;
  authPluginTimeoutMs: number;
  watchInactivityMs: number;
  logger: NonNullable<ConnectOptions["logger"]>;
}

function checkOptions(options: ConnectOptions): Checked {
  const ms = (name: "requestTimeoutMs" | "authPluginTimeoutMs" | "watchInactivityMs", fallback: number): number => {
    const value = options[name] ?? fallback;
    if (!Number.isFinite(value) || value <= 0 || value > 2 ** 31 - 1) {
      throw kubeError("KUBE_OPTION_INVALID", `${name} must be a number of milliseconds above 0, not ${JSON.stringify(value)}`);
    }
    return value;
  };
  if (options.namespace !== undefined && !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(options.namespace)) {
    throw kubeError("KUBE_OPTION_INVALID", `${JSON.stringify(options.namespace)} can't be a namespace`, {
      hint: "a namespace is lower case letters, digits and dashes, 63 characters at most (RFC 1123)",
    });
  }
  return {
    requestTimeoutMs: ms("requestTimeoutMs", 15_000),
    authPluginTimeoutMs: ms("authPluginTimeoutMs", 30_000),
    watchInactivityMs: ms("watchInactivityMs", 90_000),
    logger: options.logger ?? silentLogger,
  };
}

function createCluster(context: ResolvedContext, options: Checked): Cluster {
  const notes = notesOf(context);
  const info = { ...context.info, ...(notes.length > 0 && { notes }) };
  const { logger } = options;
  const closer = createCloser();
  const lifetime = new AbortController();
  const watches = new Set<ManagedWatch<KubeObject>>();
  const wire = createWire(context);
  closer.defer(() => wire.close());
  const credentials = createCredentialSource(context, { pluginTimeoutMs: options.authPluginTimeoutMs });
  closer.defer(() => credentials.close());
  const requester = createRequester({
    wire,
    credentials,
    server: info.server,
    timeoutMs: options.requestTimeoutMs,
    logger,
    signal: lifetime.signal,
  });
  const upgrade = createUpgrade(requester);
  const runExec = createExec(upgrade);
  const pool = createPortForwardPool({
    upgrade,
    logger,
    podEnded: (pod, signal) => cluster.get(PODS, pod, { signal }).then(hasEnded, (error) => hasCode(error, "KUBE_NOT_FOUND")),
  });
  closer.defer(() => lifetime.abort(kubeError("KUBE_CLOSED", `the connection to ${info.server} was closed`)));
  closer.use(pool);
  closer.defer(() => Promise.all([...watches].map((watch) => watch.close())));

  const revalidate = (): void => {
    wire.dropIdle();
    void pool.revalidate().catch(() => {});
    for (const watch of watches) watch.revalidate();
  };
  closer.defer(
    watchForUpheaval((reason) => {
      logger.info(`${reason}; connections to ${info.server} are checked`);
      revalidate();
    }),
  );

  const at = (type: ResourceType, ref: ObjectRef): { namespace?: string; name: string } => {
    if (typeof ref.name !== "string" || ref.name === "" || ref.name === "." || ref.name === "..") {
      throw kubeError("KUBE_OPTION_INVALID", `${JSON.stringify(ref.name)} can't be the name of ${type.kind}`);
    }
    return type.namespaced ? { namespace: ref.namespace ?? info.namespace, name: ref.name } : { name: ref.name };
  };

  const listPages = async <T extends KubeObject>(
    type: ResourceType<T>,
    { namespace, labelSelector, fieldSelector }: ListOptions,
    signal: AbortSignal | undefined,
  ): Promise<{ items: T[]; resourceVersion: string }> => {
    const page = (limit: number | undefined, next: string | undefined): Promise<RawList<T>> =>
      requester.json<RawList<T>>({
        action: { verb: "list", type, namespace },
        method: "GET",
        path: resourcePath(type, { namespace }) + queryString({ labelSelector, fieldSelector, limit, continue: next }),
        signal,
      });
    const apiVersion = type.group === "" ? type.version : `${type.group}/${type.version}`;
    const items: T[] = [];
    const add = (list: RawList<T>): void => {
      // Within a list the API leaves out what every item has in common.
      for (const item of list.items ?? []) items.push(Object.assign({ apiVersion, kind: type.kind }, item));
    };
    let list = await page(PAGE, undefined);
    add(list);
    while (list.metadata.continue) {
      try {
        list = await page(PAGE, list.metadata.continue);
      } catch (error) {
        if (!hasCode(error, "KUBE_GONE")) throw error;
        // The snapshot that the pages come from has expired: once more, in one piece.
        items.length = 0;
        list = await page(undefined, undefined);
      }
      add(list);
    }
    return { items, resourceVersion: list.metadata.resourceVersion ?? "" };
  };

  const cluster: Cluster = {
    info,
    version: ({ signal } = {}) =>
      requester.json<ServerVersion>({ action: { verb: "get", type: VERSION }, method: "GET", path: "/version", signal }),
    async get<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, { signal }: { signal?: AbortSignal } = {}) {
      const where = at(type, ref);
      return requester.json<T>({ action: { verb: "get", type, ...where }, method: "GET", path: resourcePath(type, where), signal });
    },
    list: async (type, listOptions = {}) => (await listPages(type, listOptions, listOptions.signal)).items,
    watch<T extends KubeObject>(type: ResourceType<T>, listOptions: ListOptions = {}) {
      const { namespace, signal } = listOptions;
      const source = watchSource(requester, info.server, type, listOptions, (ending) => listPages(type, listOptions, ending));
      const watch = createWatch(source, {
        inactivityMs: options.watchInactivityMs,
        logger,
        what: `watch ${type.plural}${namespace === undefined ? " in all namespaces" : ` in namespace ${namespace}`}`,
      });
      const managed = watch as unknown as ManagedWatch<KubeObject>;
      watches.add(managed);
      const onAbort = (): void => void watch.close();
      const close = watch.close.bind(watch);
      watch.close = () => {
        watches.delete(managed);
        signal?.removeEventListener("abort", onAbort);
        return close();
      };
      if (signal?.aborted || closer.closing) onAbort();
      else signal?.addEventListener("abort", onAbort, { once: true });
      return watch;
    },
    async create<T extends KubeObject>(
      type: ResourceType<T>,
      object: T,
      { dryRun, signal }: { dryRun?: boolean; signal?: AbortSignal } = {},
    ) {
      const namespace = type.namespaced ? (object.metadata.namespace ?? info.namespace) : undefined;
      const apiVersion = type.group === "" ? type.version : `${type.group}/${type.version}`;
      return requester.json<T>({
        action: { verb: "create", type, namespace },
        method: "POST",
        path: resourcePath(type, { namespace }) + queryString({ fieldManager: FIELD_MANAGER, dryRun: dryRun ? "All" : undefined }),
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ apiVersion, kind: type.kind, ...object }),
        signal,
      });
    },
    async patch<T extends KubeObject>(
      type: ResourceType<T>,
      ref: ObjectRef,
      patch: unknown,
      { kind, force, dryRun, signal }: { kind: PatchKind; force?: boolean; dryRun?: boolean; signal?: AbortSignal },
    ) {
      if (!Object.hasOwn(PATCH_TYPES, kind))
        throw kubeError("KUBE_OPTION_INVALID", `${JSON.stringify(kind)} is not a kind of patch`);
      const where = at(type, ref);
      const query = {
        fieldManager: FIELD_MANAGER,
        force: force && kind === "apply" ? true : undefined,
        dryRun: dryRun ? "All" : undefined,
      };
      return requester.json<T>({
        action: { verb: "patch", type, ...where },
        method: "PATCH",
        path: resourcePath(type, where) + queryString(query),
        headers: { "Content-Type": PATCH_TYPES[kind] },
        body: JSON.stringify(patch),
        signal,
      });
    },
    async delete(type, ref, { propagation, gracePeriodSeconds, uid, signal } = {}) {
      const where = at(type, ref);
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        ...(propagation && { propagationPolicy: propagation }),
        ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
        ...(uid !== undefined && { preconditions: { uid } }),
      };
      try {
        await requester.json<unknown>({
          action: { verb: "delete", type, ...where },
          method: "DELETE",
          path: resourcePath(type, where),
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(body),
          signal,
        });
      } catch (error) {
        if (!hasCode(error, "KUBE_NOT_FOUND")) throw error;
      }
    },
    portForward: (pod, port, { signal } = {}) => pool.open(pod, port, signal ? { signal } : {}),
    portForwardStats: () => pool.stats(),
    exec: (pod, command, { signal, ...execOptions } = {}) =>
      runExec(pod, command, {
        ...execOptions,
        signal: signal ? AbortSignal.any([signal, lifetime.signal]) : lifetime.signal,
      }),
    revalidate,
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
  return cluster;
}

/** Not a kind, but asked for like one. */
const VERSION: ResourceType = { group: "", version: "v1", plural: "version", kind: "version", namespaced: false, shortNames: [] };
