import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import { PODS } from "./objects.ts";
import type { Requester } from "./request.ts";

/**
 * A connection of its own to the API server, switched to another protocol: the way to a pod's `portforward` and `exec`. Goes through
 * the proxy of the kubeconfig where there is one. Rejects with a coded error for any answer but 101; `details.status` is the HTTP
 * code. The signal counts until the protocol is switched.
 */
export type PodUpgrade = (request: {
  method: "POST" | "GET";
  /** `/api/v1/namespaces/{namespace}/pods/{name}/{subresource}` and query. */
  path: string;
  headers: Record<string, string>;
  signal: AbortSignal;
}) => Promise<{ socket: Duplex; head: Buffer; headers: IncomingHttpHeaders; status: 101 }>;

export function createUpgrade(requester: Requester): PodUpgrade {
  return ({ method, path, headers, signal }) => {
    const [namespace, , name, subresource] = new URL(path, "http://x").pathname.split("/").slice(4).map(decodeURIComponent);
    const action = { verb: method === "POST" ? "create" : "get", type: PODS, namespace, name, subresource };
    return requester.upgrade({ action, method, path, headers, signal });
  };
}
