import type { Json } from "../json.ts";

/** A number, or a percentage of `total`. */
export function resolveShare(value: number | string | undefined, total: number, round: (n: number) => number): number {
  if (typeof value === "number") return value;
  const percent = /^(\d+)%$/.exec(value ?? "")?.[1];
  return percent === undefined ? 0 : round((Number(percent) * total) / 100);
}

/** How far a rolling update may go above and below the number of replicas. Never nowhere. */
export function rollingBounds(rollingUpdate: Json, replicas: number): { surge: number; unavailable: number } {
  const surge = resolveShare(rollingUpdate?.maxSurge, replicas, Math.ceil);
  const unavailable = resolveShare(rollingUpdate?.maxUnavailable, replicas, Math.floor);
  return surge === 0 && unavailable === 0 ? { surge: 0, unavailable: 1 } : { surge, unavailable: Math.min(unavailable, replicas) };
}

/** A ReplicaSet's part in a rollout. */
export interface Share {
  name: string;
  replicas: number;
  available: number;
}

export interface RolloutState {
  replicas: number;
  surge: number;
  unavailable: number;
  /** The one of the current template. */
  current: Share;
  /** Oldest first. */
  old: readonly Share[];
}

/** The next step of a rolling update: the ReplicaSets to be scaled, and to what. Empty where there is nothing to do now. */
export function rollingStep(state: RolloutState): Array<{ name: string; to: number }> {
  const { replicas, surge, unavailable, current, old } = state;
  if (current.replicas > replicas) return [{ name: current.name, to: replicas }];
  const total = sum([current, ...old], "replicas");
  if (current.replicas < replicas) {
    const room = Math.max(0, replicas + surge - total);
    const by = Math.min(room, replicas - current.replicas);
    if (by > 0) return [{ name: current.name, to: current.replicas + by }];
  }
  return shrinkOld(old, total, replicas - unavailable, current);
}

function shrinkOld(old: readonly Share[], total: number, minimum: number, current: Share): Array<{ name: string; to: number }> {
  let budget = total - minimum - (current.replicas - current.available);
  const to = new Map<string, number>();
  // First what doesn't serve anyway.
  for (const { name, replicas, available } of old) {
    const by = Math.min(Math.max(0, replicas - available), Math.max(0, budget));
    if (by === 0) continue;
    to.set(name, replicas - by);
    budget -= by;
  }
  let spare = Math.min(budget, sum([current, ...old], "available") - minimum);
  for (const { name, replicas } of old) {
    const left = to.get(name) ?? replicas;
    const by = Math.min(left, Math.max(0, spare));
    if (by === 0) continue;
    to.set(name, left - by);
    spare -= by;
  }
  return [...to].map(([name, count]) => ({ name, to: count }));
}

/**
 * Spreads a change of the number of replicas over the ReplicaSets of an unfinished rollout, in proportion to their size: the largest
 * takes what rounding leaves.
 */
export function proportionalStep(shares: readonly Share[], allowed: number): Array<{ name: string; to: number }> {
  const total = sum(shares, "replicas");
  const change = allowed - total;
  if (change === 0 || total === 0) return [];
  const ordered = [...shares].sort((a, b) => b.replicas - a.replicas);
  let left = change;
  const out = ordered.map(({ name, replicas }) => {
    const part = Math.round((replicas * allowed) / total) - replicas;
    const by = change > 0 ? Math.min(Math.max(0, part), left) : Math.max(Math.min(0, part), left);
    left -= by;
    return { name, to: replicas + by };
  });
  out[0]!.to = Math.max(0, out[0]!.to + left);
  return out.filter(({ to }, i) => to !== ordered[i]!.replicas);
}

const sum = (shares: readonly Share[], field: "replicas" | "available"): number =>
  shares.reduce((total, share) => total + share[field], 0);
