import type { IncomingMessage } from "node:http";
import { abortError } from "@shipside/core";
import type { ConnectOptions } from "./cluster.ts";
import { createCredentialSource } from "./credentials.ts";
import { resolveContext } from "./kubeconfig.ts";
import { createWire } from "./wire.ts";

/** What any HTTP answer of the API server tells, a refusal too. */
export interface ServerAnswer {
  status: number;
  /** The server's clock (`Date`, RFC 9110 §6.6.1; whole seconds). */
  date?: Date;
  /** By this machine's clock, when the answer came. */
  arrivedAt: Date;
  /** From asking to the answer's head, the connection's making included. */
  answeredMs: number;
  /** Where something else answers in the API server's place (a login page, a proxy): what it does. An API server speaks JSON here. */
  foreign?: { contentType: string } | { location: string };
}

/**
 * Asks the API server for its version as nobody: whether it can be reached, whatever the credentials are worth. Runs no credential
 * plugin. Rejects with `KUBE_UNREACHABLE`, `KUBE_TLS`, the kubeconfig's codes, or the signal's reason.
 */
export async function probeServer(
  options: Pick<ConnectOptions, "kubeconfig" | "context" | "namespace"> & { signal?: AbortSignal },
): Promise<ServerAnswer> {
  const { signal = new AbortController().signal } = options;
  const context = await resolveContext(options);
  const wire = createWire(context);
  const nobody = createCredentialSource({ ...context, user: {} }, { pluginTimeoutMs: 1 });
  try {
    const credentials = await nobody.current(signal);
    const began = performance.now();
    const response = await wire.send({ method: "GET", path: "/version", connection: "own", credentials, signal });
    const answeredMs = Math.round(performance.now() - began);
    const arrivedAt = new Date();
    response.on("error", () => {}).resume();
    const date = new Date(response.headers.date ?? "");
    const foreign = foreignAnswer(response);
    return {
      status: response.statusCode ?? 0,
      answeredMs,
      arrivedAt,
      ...(!Number.isNaN(date.getTime()) && { date }),
      ...(foreign && { foreign }),
    };
  } catch (error) {
    throw signal.aborted ? abortError(signal) : error;
  } finally {
    nobody.close();
    wire.close();
  }
}

function foreignAnswer({ statusCode = 0, headers }: IncomingMessage): ServerAnswer["foreign"] {
  const { location, "content-type": contentType = "" } = headers;
  if (statusCode >= 300 && statusCode < 400) return { location: location ?? "another place" };
  return /^text\/html\b/i.test(contentType) ? { contentType } : undefined;
}
