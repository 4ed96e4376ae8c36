import type { DoctorContext } from "./context.ts";

/** The worst last. */
export const LEVELS = ["ok", "warning", "problem"] as const;
export type Level = (typeof LEVELS)[number];

/** One thing that was seen. */
export interface Finding {
  level: Level;
  /** A sentence without its full stop. No secret is ever in it. */
  text: string;
  /** What to do. Missing only where nothing is to be done. */
  hint?: string;
  /** Facts for programs. */
  details?: Readonly<Record<string, unknown>>;
}

/**
 * One question that `doctor` asks. It looks and changes nothing. It may throw or hang: either becomes a finding. It returns nothing where
 * its question makes no sense here: on another system, or without a cluster that answers (which another check tells of).
 */
export interface Check {
  /** Stable: what programs match. */
  id: string;
  title: string;
  run(context: DoctorContext, signal: AbortSignal): Promise<Finding[]>;
}

export const ok = (text: string, details?: Finding["details"]): Finding => ({ level: "ok", text, ...(details && { details }) });

export const warning = (text: string, hint: string, details?: Finding["details"]): Finding => ({
  ...{ level: "warning", text, hint },
  ...(details && { details }),
});

export const problem = (text: string, hint: string, details?: Finding["details"]): Finding => ({
  ...{ level: "problem", text, hint },
  ...(details && { details }),
});

/** `1 line`, `2 lines`. */
export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

/** The first few, and how many more. */
export const some = (items: readonly string[], most = 5): string =>
  items.length <= most ? items.join(", ") : `${items.slice(0, most).join(", ")} and ${items.length - most} more`;
