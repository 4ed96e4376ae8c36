import type { Json } from "../json.ts";
import { timestamp } from "./clock.ts";

/**
 * Sets a condition in a list, in place. Nothing changes where status and reason are the same; the time of transition stays where the
 * status does.
 */
export function setCondition(
  conditions: Json[],
  now: number,
  type: string,
  status: "True" | "False" | "Unknown",
  reason: string,
  message: string,
  extra: { lastUpdateTime?: true; lastProbeTime?: true } = {},
): void {
  const at = conditions.findIndex((entry) => entry.type === type);
  const before = conditions[at];
  if (before?.status === status && before.reason === reason) return;
  const time = timestamp(now);
  const next = {
    type,
    status,
    ...(extra.lastUpdateTime && { lastUpdateTime: time }),
    ...(extra.lastProbeTime && { lastProbeTime: time }),
    lastTransitionTime: before?.status === status ? before.lastTransitionTime : time,
    reason,
    message,
  };
  // The real server appends what it has changed.
  if (at >= 0) conditions.splice(at, 1);
  conditions.push(next);
}
