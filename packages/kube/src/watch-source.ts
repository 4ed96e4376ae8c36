import type { ListOptions } from "./cluster.ts";
import { createJsonLines } from "./json-lines.ts";
import { networkError } from "./network-error.ts";
import type { KubeObject, ResourceType } from "./objects.ts";
import { queryString, resourcePath } from "./paths.ts";
import type { Requester } from "./request.ts";
import { type Status, statusError } from "./status-error.ts";
import type { WatchLine, WatchSource } from "./watch.ts";

/** What a watch of one kind says to the API server (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes). */
export function watchSource<T extends KubeObject>(
  requester: Requester,
  server: string,
  type: ResourceType<T>,
  { namespace, labelSelector, fieldSelector }: ListOptions,
  list: (signal: AbortSignal) => Promise<{ items: T[]; resourceVersion: string }>,
): WatchSource<T> {
  const action = { verb: "watch", type, namespace };
  return {
    async list(signal) {
      const listed = await list(signal);
      for (const object of listed.items) lighten(object);
      return listed;
    },
    async watch({ resourceVersion, timeoutSeconds, signal }, on) {
      const query = { watch: true, allowWatchBookmarks: true, resourceVersion, timeoutSeconds, labelSelector, fieldSelector };
      const path = resourcePath(type, { namespace }) + queryString(query);
      const response = await requester.stream({ action, method: "GET", path, signal });
      const lines = createJsonLines<WatchLine<T>>();
      await new Promise<void>((resolve, reject) => {
        const fail = (error: unknown): void => {
          reject(signal.aborted ? signal.reason : networkError(error, server, "watching"));
          response.destroy();
        };
        response.on("error", fail);
        response.on("end", resolve);
        response.on("close", () => fail(Object.assign(new Error("aborted"), { code: "ECONNRESET" })));
        try {
          on.open();
        } catch (error) {
          return fail(error);
        }
        response.on("data", (chunk: Buffer) => {
          try {
            for (const line of lines.push(chunk)) {
              lighten(line.object);
              on.line(line);
            }
          } catch (error) {
            fail(error);
          }
        });
      });
    },
    errorOf(object) {
      const status = object as Status;
      return statusError({
        status: status.code ?? 500,
        headers: {},
        body: JSON.stringify({ ...status, kind: "Status" }),
        action,
        server,
      });
    },
  };
}

/** Who last wrote which field is often the larger part of an object, and nothing that a watch is held for reads it. */
function lighten(object: KubeObject): void {
  if (object.metadata) delete (object.metadata as { managedFields?: unknown }).managedFields;
}
