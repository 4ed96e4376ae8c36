import type { Closable } from "@shipside/core";
import type { EventEmitter } from "eventemitter3";
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
 * `synced` resolves after the first list, and rejects only for what trying again can't mend (forbidden, unauthorized, unknown kind).
 */
export interface Watch<T extends KubeObject> extends Closable {
  readonly synced: Promise<void>;
  readonly state: WatchState;
  /** Keyed by `namespace/name` (`name` where cluster-scoped). */
  readonly items: ReadonlyMap<string, T>;
  readonly events: Pick<EventEmitter<WatchEvents<T>>, "on" | "once" | "off">;
}
