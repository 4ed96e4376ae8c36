import type { Paint, Style } from "../terminal.ts";
import type { TailedRequest } from "./tail.ts";

/** A request for a person: when, how it was answered, what it was, between whom, how long, how much, and by which rule. */
export function requestLine(request: TailedRequest, paint: Paint): string {
  const {
    startedAt,
    method,
    path,
    host,
    status,
    state,
    duration,
    responseBytes,
    replayOf,
    direction,
    service,
    caller,
    route,
    grpcStatus,
  } = request;
  const at = new Date(startedAt).toLocaleString("sv-SE").slice(11);
  // A connection of another protocol has no status when it is over.
  const answer = status === null ? (state === "failed" ? "ERR" : "-") : String(status);
  const to = service || host;
  const between = direction === "incoming" ? `${to} ← ${replayOf === null ? caller || "unknown" : "you"}` : `→ ${to}`;
  return [
    paint("dim", at),
    paint(styleOf(status, state), answer.padEnd(3)),
    `${replayOf === null ? "" : "↻ "}${method} ${path}`,
    ...(grpcStatus === "" ? [] : [grpcStatus]),
    between,
    `${duration === null ? "?" : Math.round(duration)} ms`,
    sizeOf(responseBytes),
    ...(route === "" ? [] : [paint("dim", `(${route})`)]),
  ].join("  ");
}

function styleOf(status: number | null, state: TailedRequest["state"]): Style {
  if (state === "failed" || (status ?? 0) >= 500) return "red";
  return (status ?? 0) >= 400 ? "yellow" : "green";
}

function sizeOf(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toPrecision(3)} kB` : `${(bytes / 1_000_000).toPrecision(3)} MB`;
}
