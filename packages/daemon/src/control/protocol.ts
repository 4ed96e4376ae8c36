import type { ErrorJson, ProcessIdentity } from "@shipside/core";

/**
 * What methods and their fields mean. Both sides refuse to talk to another number, but for what is for all versions.
 *
 * - Raised by one when something that a peer already sends or reads gets another meaning, goes, or becomes required: a method, a field of
 *   its parameters, its result or its events, an error code that callers act on.
 * - Not raised when something is added that a peer may do without: a method, an optional field, a new event. A client that wants such a
 *   method bears `DAEMON_PROTOCOL` ("knows no method") from a daemon that lacks it; unknown fields and events are ignored on both sides.
 * - For all versions, and so never changed: the lines' forms in this file, the greeting, and the methods of `FOR_ALL_VERSIONS` with what
 *   they mean today. By these a newer command line takes an older daemon's place.
 */
export const PROTOCOL = 1;

/** Methods that a client of any version may call: `stop`, and what a successor needs to know. */
export const FOR_ALL_VERSIONS: ReadonlySet<string> = new Set(["stop", "session.export"]);

/** A longer line is an attack or a fault, not a message. */
const MAX_LINE_BYTES = 32 * 1024 * 1024;

/**
 * The first line that a server sends on every connection. Its form is for all versions: an older or newer client reads from it whom it
 * met, and which process to stop.
 */
export interface Hello {
  shipside: {
    protocol: number;
    version: string;
    pid: number;
    /** `foreground`: it goes when its own session ends. */
    kind: "daemon" | "foreground";
    /** Names the process beyond its pid. Missing from versions that have none. */
    identity?: ProcessIdentity;
  };
}

/** Client to server: one call, or taking one back. */
export type Request = { id: number; method: string; params: unknown } | { cancel: number };

/** Server to client: any number of events of a call, then its result or its error. */
export type Response = { id: number; event: unknown } | { id: number; result: unknown } | { id: number; error: ErrorJson };

export const encode = (message: Hello | Request | Response): string => `${JSON.stringify(message)}\n`;

/** Cuts a byte stream into lines and hands each on as JSON. Returns what takes a chunk. Throws what isn't JSON or is too long. */
export function lineReader(onMessage: (message: unknown) => void, maxBytes = MAX_LINE_BYTES): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let held = 0;
  return (chunk) => {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = Buffer.concat([...parts, rest.subarray(0, end)]).toString("utf8");
      parts = [];
      held = 0;
      rest = rest.subarray(end + 1);
      onMessage(JSON.parse(line));
    }
    if (rest.length === 0) return;
    parts.push(rest);
    held += rest.length;
    if (held > maxBytes) throw new Error(`a line is longer than ${maxBytes} bytes`);
  };
}

/** Undefined where `message` isn't a hello of any version. */
export function parseHello(message: unknown): Hello["shipside"] | undefined {
  const hello = (message as Partial<Hello> | null)?.shipside;
  if (typeof hello !== "object" || hello === null) return undefined;
  const { protocol, version, pid, kind, identity } = hello;
  if (typeof protocol !== "number" || typeof pid !== "number") return undefined;
  return {
    protocol,
    version: String(version ?? "unknown"),
    pid,
    kind: kind === "foreground" ? "foreground" : "daemon",
    ...(typeof identity === "string" && { identity }),
  };
}

export function parseRequest(message: unknown): Request | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  const { id, method, params, cancel } = message as Record<string, unknown>;
  if (typeof cancel === "number") return { cancel };
  return typeof id === "number" && typeof method === "string" ? { id, method, params } : undefined;
}

export function parseResponse(message: unknown): Response | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  const { id, event, result, error } = message as Record<string, unknown>;
  if (typeof id !== "number") return undefined;
  if (event !== undefined) return { id, event };
  if (error === undefined) return { id, result };
  const { code, message: text } = (error ?? {}) as Record<string, unknown>;
  return typeof code === "string" && typeof text === "string" ? { id, error: error as ErrorJson } : undefined;
}
