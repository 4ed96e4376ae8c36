import { type Closable, hasCode, type Logger } from "@shipside/core";
import { EventEmitter } from "eventemitter3";
import { createBackoff, pause } from "./backoff.ts";
import { kubeError } from "./errors.ts";
import type { KubeObject } from "./objects.ts";

export interface WatchChange<T> {
  type: "added" | "modified" | "deleted";
  object: T;
  /** What it replaces; undefined for `added`. */
  previous?: T;
}

/**
 * `live`: the last event or bookmark came within the inactivity bound. `stale`: what is held may be out of date, and `error` says
 * why; a reconnect is under way.
 */
export type WatchState = { status: "connecting" } | { status: "live" } | { status: "stale"; error: Error };

export interface WatchEvents<T> {
  change: (change: WatchChange<T>) => void;
  state: (state: WatchState) => void;
}

/**
 * The objects of one kind, kept current until closed. Recovers by itself from 410 Gone, disconnects, connections that went silent,
 * and restarts of the API server; after a relist it emits only real differences. Never emits the same version twice.
 * `synced` resolves after the first list, and rejects only for what trying again can't mend (forbidden, unauthorized, unknown kind,
 * no trust in the server's certificate, a credential plugin that fails) or when the watch is closed before (`KUBE_CLOSED`). Also then
 * the watch goes on trying, slowly, until it is closed.
 */
export interface Watch<T extends KubeObject> extends Closable {
  readonly synced: Promise<void>;
  readonly state: WatchState;
  /** Keyed by `namespace/name` (`name` where cluster-scoped). */
  readonly items: ReadonlyMap<string, T>;
  readonly events: Pick<EventEmitter<WatchEvents<T>>, "on" | "once" | "off">;
}

/** One line of a watch (meta/v1 WatchEvent). */
export interface WatchLine<T> {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  object: T;
}

/** How a watch reaches the server. Both end with the signal. */
export interface WatchSource<T> {
  list(signal: AbortSignal): Promise<{ items: T[]; resourceVersion: string }>;
  /**
   * Calls `onOpen` when the server has accepted, `onLine` for each line. Resolves when the server ends the watch in good order;
   * rejects when it refuses, or the connection fails. An ERROR line is the caller's to judge.
   */
  watch(
    request: { resourceVersion: string; timeoutSeconds: number; signal: AbortSignal },
    on: { open(): void; line(line: WatchLine<T>): void },
  ): Promise<void>;
  /** An ERROR line's Status as one of our errors. */
  errorOf(status: unknown): Error;
}

export interface WatchOptions {
  /** Without any line for so long the connection is taken for dead, in ms. API servers send a bookmark a minute. */
  inactivityMs: number;
  logger: Logger;
  /** "watch services in all namespaces", for errors and logs. */
  what: string;
  random?: () => number;
  /** Bounds of the delay between reconnects, in ms. */
  backoff?: { baseMs: number; maxMs: number };
}

/** The inside of a {@link Watch}: `revalidate` reconnects now, for when the machine slept or the network changed. */
export interface ManagedWatch<T extends KubeObject> extends Watch<T> {
  revalidate(): void;
}

/** What trying again at once can't mend. A watch goes on trying nevertheless, slowly: roles are granted and people log in again. */
const HOPELESS = [
  "KUBE_FORBIDDEN",
  "KUBE_UNAUTHORIZED",
  "KUBE_KIND_UNKNOWN",
  "KUBE_INVALID",
  "KUBE_TLS",
  "KUBE_CONFIG_INVALID",
  "KUBE_AUTH_PLUGIN_FAILED",
  "KUBE_AUTH_PLUGIN_TIMEOUT",
];
/** client-go asks for 5 to 10 minutes; so do we, and spread the ends. */
const TIMEOUT_SECONDS = { least: 300, most: 600 };
/** A connection that brought something or lived so long was a good one: the next failure starts from the shortest delay. */
const STABLE_MS = 10_000;
/** A server may ask for more; it is not given more. */
const MAX_RETRY_AFTER_MS = 60_000;

export function createWatch<T extends KubeObject>(source: WatchSource<T>, options: WatchOptions): ManagedWatch<T> {
  const { logger, what, random = Math.random } = options;
  const bounds = options.backoff ?? { baseMs: 800, maxMs: 10_000 };
  const events = new EventEmitter<WatchEvents<T>>();
  const items = new Map<string, T>();
  const lifetime = new AbortController();
  const backoff = createBackoff({ ...bounds, random });
  let state: WatchState = { status: "connecting" };
  /** Ends what is under way, so that the loop starts anew: the connection, or the wait before the next. */
  let attempt = new AbortController();
  let revalidating = false;

  let settle: { resolve(): void; reject(error: Error): void };
  const synced = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Nobody has to wait for it.
  synced.catch(() => {});

  /** A listener's mistake is the listener's: it must not end the watch, and must be seen. */
  const emit = <E extends keyof WatchEvents<T>>(event: E, value: Parameters<WatchEvents<T>[E]>[0]): void => {
    try {
      (events.emit as (event: string, value: unknown) => boolean)(event, value);
    } catch (error) {
      logger.error(`a listener of ${what} threw`, {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  };
  const setState = (next: WatchState): void => {
    if (lifetime.signal.aborted || (next.status === state.status && next.status !== "stale")) return;
    state = next;
    emit("state", next);
  };

  const put = (object: T): void => {
    const key = keyOf(object);
    const previous = items.get(key);
    if (previous === undefined) {
      items.set(key, object);
      emit("change", { type: "added", object });
    } else if (previous.metadata.uid !== object.metadata.uid) {
      // Deleted and made anew while we weren't looking.
      remove(previous);
      items.set(key, object);
      emit("change", { type: "added", object });
    } else if (previous.metadata.resourceVersion !== object.metadata.resourceVersion) {
      items.set(key, object);
      emit("change", { type: "modified", object, previous });
    }
  };
  const remove = (object: T): void => {
    const key = keyOf(object);
    const previous = items.get(key);
    // A late deletion of a namesake's predecessor says nothing about the one we hold.
    if (previous === undefined || previous.metadata.uid !== object.metadata.uid) return;
    items.delete(key);
    emit("change", { type: "deleted", object, previous });
  };

  const relist = async (signal: AbortSignal): Promise<string> => {
    const { items: listed, resourceVersion } = await source.list(signal);
    signal.throwIfAborted();
    const present = new Set(listed.map(keyOf));
    for (const [key, object] of [...items]) if (!present.has(key)) remove(object);
    for (const object of listed) put(object);
    settle.resolve();
    return resourceVersion;
  };

  /** Follows one connection to its end and returns the version to go on from. */
  const follow = async (version: string, signal: AbortSignal, seen: (version: string) => void): Promise<void> => {
    signal.throwIfAborted();
    const silent = new AbortController();
    const onAbort = (): void => silent.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const timeoutSeconds = Math.round(TIMEOUT_SECONDS.least + random() * (TIMEOUT_SECONDS.most - TIMEOUT_SECONDS.least));
    const timer = setTimeout(() => {
      silent.abort(
        kubeError("KUBE_TIMEOUT", `${what}: nothing came for ${options.inactivityMs / 1000} s, the connection is taken for dead`, {
          details: { inactivityMs: options.inactivityMs },
        }),
      );
    }, options.inactivityMs);
    timer.unref();
    try {
      await source.watch(
        { resourceVersion: version, timeoutSeconds, signal: silent.signal },
        {
          open() {
            timer.refresh();
            setState({ status: "live" });
          },
          line({ type, object }) {
            if (signal.aborted) return;
            timer.refresh();
            if (type === "ERROR") throw source.errorOf(object);
            backoff.reset();
            if (type === "DELETED") remove(object);
            else if (type === "ADDED" || type === "MODIFIED") put(object);
            if (object.metadata?.resourceVersion) seen(object.metadata.resourceVersion);
          },
        },
      );
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  };

  const run = async (): Promise<void> => {
    let version: string | undefined;
    while (!lifetime.signal.aborted) {
      attempt = new AbortController();
      revalidating = false;
      const { signal } = attempt;
      const started = Date.now();
      let wait: number;
      const relisted = version === undefined;
      try {
        version ??= await relist(signal);
        await follow(version, signal, (seen) => {
          version = seen;
        });
        // The server ends a watch when its time is up. One that ends much sooner is no reason to hurry.
        if (Date.now() - started >= STABLE_MS) backoff.reset();
        wait = Date.now() - started >= STABLE_MS ? 0 : backoff.next();
      } catch (cause) {
        if (lifetime.signal.aborted) return;
        const error = cause instanceof Error ? cause : new Error(String(cause));
        if (Date.now() - started >= STABLE_MS) backoff.reset();
        // Too old a version is no failure of the server's, unless it is so again right after a list.
        const expired = hasCode(error, "KUBE_GONE") && !relisted;
        const { retryAfterMs } = (error as { details?: { retryAfterMs?: number } }).details ?? {};
        wait = expired
          ? random() * bounds.baseMs * 0.25
          : Math.max(backoff.next(), Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS));
        if (hasCode(error, "KUBE_GONE")) version = undefined;
        if (revalidating) {
          wait = random() * 200;
        } else if (hasCode(error, ...HOPELESS)) {
          wait = bounds.maxMs * (1 + 2 * random());
          settle.reject(error);
        }
        logger.debug(`${what}: will reconnect`, { error: error.message, waitMs: Math.round(wait) });
        setState({ status: "stale", error });
      }
      if (wait > 0 && !lifetime.signal.aborted) {
        attempt = new AbortController();
        await pause(wait, attempt.signal);
      }
    }
  };

  let done: Promise<void> | undefined;
  const running = run();
  return {
    synced,
    items,
    events,
    get state() {
      return state;
    },
    revalidate() {
      if (lifetime.signal.aborted) return;
      revalidating = true;
      backoff.reset();
      attempt.abort(kubeError("KUBE_UNREACHABLE", `${what}: asked to connect anew`));
    },
    close() {
      done ??= (async () => {
        const reason = kubeError("KUBE_CLOSED", `${what}: the watch was closed`);
        lifetime.abort(reason);
        attempt.abort(reason);
        settle.reject(reason);
        await running;
        events.removeAllListeners();
      })();
      return done;
    },
    [Symbol.asyncDispose]() {
      return this.close();
    },
  };
}

const keyOf = ({ metadata }: KubeObject): string => (metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name);
