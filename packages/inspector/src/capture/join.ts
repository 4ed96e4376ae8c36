import type { Duplex } from "node:stream";
import { type SpliceOptions, type SpliceResult, splice, type TappedConnection } from "@shipside/core";

/** `splice` of core with somebody looking on: `caller` is the side that makes requests. */
export async function joinTapped(
  caller: Duplex,
  server: Duplex,
  tap: TappedConnection,
  options?: SpliceOptions,
): Promise<SpliceResult> {
  const over = splice(caller, server, options);
  // In the same turn: both have begun to flow, and neither has yet said a byte.
  caller.on("data", (chunk: Uint8Array) => tap.data?.("in", chunk));
  server.on("data", (chunk: Uint8Array) => tap.data?.("out", chunk));
  caller.once("end", () => tap.end?.("in"));
  server.once("end", () => tap.end?.("out"));
  const result = await over;
  tap.close?.(result.error);
  return result;
}
