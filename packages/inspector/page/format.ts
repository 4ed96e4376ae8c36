export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toPrecision(3)} kB`;
  return `${(bytes / 1_000_000).toPrecision(3)} MB`;
}

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "…";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toPrecision(3)} s`;
}

export function clock(ms: number): string {
  const at = new Date(ms);
  const two = (part: number): string => String(part).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** UNKNOWN, INTERNAL, UNAVAILABLE and DATA_LOSS of gRPC are the server's fault, as 5xx is. */
const GRPC_BAD = new Set(["2", "13", "14", "15"]);

export function tone({ status, state, grpcStatus }: { status: number | null; state: string; grpcStatus: string }): string {
  if (state === "failed") return "bad";
  if (status === null) return "open";
  const [code = "0"] = grpcStatus.split(" ");
  if (status >= 500 || GRPC_BAD.has(code)) return "bad";
  return status >= 400 || (code !== "0" && code !== "") ? "warn" : "good";
}
