import type { ServerResponse } from "node:http";
import type { KubeJson, Store, StoreEvent } from "../store.ts";
import { encodeObject } from "./encode.ts";
import { checkFuture } from "./list.ts";
import { isTrue } from "./request-info.ts";
import type { Resource } from "./resources.ts";
import { selection } from "./selectors.ts";
import { type Status, StatusError } from "./status.ts";

export type WatchType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";

/** One line of a watch in another form than the object itself: a Table, or only its metadata. */
export type Render = (type: WatchType, object: KubeJson) => object;

export interface WatchRequest {
  resource: Resource;
  namespace: string | undefined;
  /** From the path; a watch of one object. */
  name: string;
  query: URLSearchParams;
  response: ServerResponse;
  contentType: string;
  render?: Render;
}

export interface WatchHub {
  /** Serves until the client goes, the time is over, or `close`. Throws a Status before anything is sent. */
  serve(request: WatchRequest): void;
  /** How many watches are open, for tests. */
  readonly size: number;
  /** Ends all of them in good order. */
  close(): void;
}

/** What a client that doesn't read may make us hold before its watch is ended, in bytes. */
const BACKLOG = 32 * 2 ** 20;

/** A line's bytes, made once for all watchers. */
const lines = new WeakMap<KubeJson, Map<WatchType, Buffer>>();
const NEWLINE = Buffer.from("}\n");

function line(type: WatchType, object: KubeJson): Buffer {
  let byType = lines.get(object);
  if (!byType) lines.set(object, (byType = new Map()));
  let bytes = byType.get(type);
  if (!bytes)
    byType.set(type, (bytes = Buffer.concat([Buffer.from(`{"type":"${type}","object":`), encodeObject(object), NEWLINE])));
  return bytes;
}

export function createWatchHub(store: Store, options: { bookmarkIntervalMs: number }): WatchHub {
  const watchers = new Map<string, Set<(event: StoreEvent) => void>>();
  const open = new Set<() => void>();
  store.subscribe((event) => {
    for (const watcher of watchers.get(event.resource) ?? []) watcher(event);
  });

  return {
    get size() {
      return open.size;
    },
    close() {
      for (const end of [...open]) end();
    },
    serve({ resource, namespace, name, query, response, contentType, render }) {
      const selected = selection(resource.key, query);
      const wanted = (object: KubeJson | undefined): boolean =>
        object !== undefined &&
        (!namespace || object.metadata.namespace === namespace) &&
        (!name || object.metadata.name === name) &&
        selected.match(object);
      const version = query.get("resourceVersion") ?? "";
      const streamList = isTrue(query.get("sendInitialEvents"));
      const bookmarks = isTrue(query.get("allowWatchBookmarks"));
      checkInitialEvents(query, streamList);
      if (version) checkFuture(version, store.revision);

      let pending: Buffer[] = [];
      let scheduled = false;
      const flush = (): void => {
        scheduled = false;
        if (response.destroyed || pending.length === 0) return;
        response.write(pending.length === 1 ? pending[0] : Buffer.concat(pending));
        pending = [];
        if (response.writableLength > BACKLOG) response.destroy();
      };
      const push = (bytes: Buffer): void => {
        pending.push(bytes);
        if (scheduled) return;
        scheduled = true;
        setImmediate(flush);
      };
      const emit = (type: WatchType, object: KubeJson): void => {
        push(render ? Buffer.from(`${JSON.stringify({ type, object: render(type, object) })}\n`) : line(type, object));
      };
      const bookmark = (annotations?: Record<string, string>): void =>
        emit("BOOKMARK", {
          kind: resource.kind,
          apiVersion: resource.group ? `${resource.group}/${resource.version}` : resource.version,
          metadata: { resourceVersion: String(store.revision), creationTimestamp: null, ...(annotations && { annotations }) },
        } as unknown as KubeJson);

      const onEvent = (event: StoreEvent): void => {
        const now = event.type !== "DELETED" && wanted(event.object);
        const before = event.type === "DELETED" ? wanted(event.object) : wanted(event.previous);
        if (now) emit(before ? "MODIFIED" : "ADDED", event.object);
        else if (event.type === "DELETED" && before) emit("DELETED", event.object);
        else if (before) {
          // It left the selection: told as gone, as it last was, at the version of the change.
          const { metadata, ...rest } = event.previous!;
          emit("DELETED", { ...rest, metadata: { ...metadata, resourceVersion: String(event.revision) } } as KubeJson);
        }
      };

      response.writeHead(200, { "content-type": contentType, "cache-control": "no-cache, private" });
      response.flushHeaders();

      const initial = streamList || version === "" || version === "0";
      const missed = initial ? [] : store.since(resource.key, Number(version));
      if (!missed) {
        const status: Status = new StatusError(410, "Expired", `too old resource version: ${version} (${store.revision})`).status;
        response.end(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
        return;
      }
      if (initial && query.get("sendInitialEvents") !== "false") {
        for (const object of store.list(resource.key, namespace)) if (wanted(object)) emit("ADDED", object);
        if (streamList && bookmarks) bookmark({ "k8s.io/initial-events-end": "true" });
      }
      for (const event of missed) onEvent(event);

      let group = watchers.get(resource.key);
      if (!group) watchers.set(resource.key, (group = new Set()));
      group.add(onEvent);
      const timeout = Number(query.get("timeoutSeconds")) || 1800 + Math.floor(Math.random() * 1800);
      const end = (): void => {
        flush();
        response.end();
        stop();
      };
      const timers = [setTimeout(end, timeout * 1000)];
      if (bookmarks) {
        timers.push(setInterval(bookmark, options.bookmarkIntervalMs));
        if (timeout > 4) timers.push(setTimeout(bookmark, (timeout - 2) * 1000));
      }
      for (const timer of timers) timer.unref();
      const stop = (): void => {
        for (const timer of timers) clearTimeout(timer);
        group.delete(onEvent);
        open.delete(end);
      };
      open.add(end);
      response.on("close", stop);
    },
  };
}

function checkInitialEvents(query: URLSearchParams, streamList: boolean): void {
  const matching = query.get("resourceVersionMatch") ?? "";
  const wrong = (field: string, message: string): StatusError =>
    new StatusError(422, "Invalid", `ListOptions.meta.k8s.io "" is invalid: ${field}: ${message}`, {
      group: "meta.k8s.io",
      kind: "ListOptions",
      causes: [{ reason: "FieldValueForbidden", message, field }],
    });
  if (query.has("sendInitialEvents")) {
    if (matching !== "NotOlderThan") {
      throw wrong("resourceVersionMatch", "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    }
    if (streamList && !isTrue(query.get("allowWatchBookmarks"))) {
      throw wrong("allowWatchBookmarks", "Forbidden: sendInitialEvents requires setting allowWatchBookmarks to true");
    }
  } else if (matching) {
    throw wrong(
      "resourceVersionMatch",
      "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    );
  }
}
