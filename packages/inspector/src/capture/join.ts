import type { Duplex } from "node:stream";
import { lookOn, type SafeTap, type SpliceOptions, type SpliceResult, splice } from "@shipside/core";

/** `splice` of core with somebody looking on: `caller` is the side that makes requests. */
export async function joinTapped(
  caller: Duplex,
  server: Duplex,
  tapped: SafeTap | undefined,
  options?: SpliceOptions,
): Promise<SpliceResult> {
  const over = splice(caller, server, options);
  if (tapped) lookOn(caller, server, tapped);
  return over;
}
