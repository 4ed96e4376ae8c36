import { createHash, randomBytes } from "node:crypto";
import type { Lease, Match } from "@shipside/relay";
import type { InterceptPlan } from "./ports.ts";

/** The lease of one intercept. Its `wish` is the same for another one that asks for the same. */
export const leaseOf = (
  { holder, match, mirror, holdMs = 0 }: { holder: string; match: Match; mirror?: boolean; holdMs?: number },
  plan: InterceptPlan,
): Lease => ({
  id: randomBytes(9).toString("hex"),
  holder,
  ports: plan.claimed.map(({ port }) => port),
  match,
  ...(mirror && { mirror }),
  holdMs,
  wish: createHash("sha256")
    .update(JSON.stringify([plan.claimed, match, mirror, holdMs]))
    .digest("hex")
    .slice(0, 16),
});

/** The same wish of the same developer, opened besides this one. */
export const isTwin = (other: Lease, { id, holder, wish }: Lease): boolean =>
  other.id !== id && other.holder === holder && other.wish === wish;
