import type { Json } from "../../json.ts";
import type { Resource } from "../resources.ts";

export interface Column {
  name: string;
  type?: string;
  format?: string;
  description?: string;
  /** 0 is always shown, 1 with `-o wide`. */
  priority?: number;
  value(object: Json, now: number): unknown;
}

/** The columns of kinds, by the store's name of the resource. */
export const COLUMNS: Record<string, readonly Column[]> = {};

export function columnsOf(resource: Resource): readonly Column[] {
  return COLUMNS[resource.key] ?? PLAIN;
}

export const nameColumn: Column = { name: "Name", format: "name", value: (object) => object.metadata.name };
export const ageColumn: Column = { name: "Age", value: (object, now) => age(object.metadata.creationTimestamp, now) };
const PLAIN: readonly Column[] = [nameColumn, ageColumn];

/** How long ago, in the two units that `kubectl get` shows. */
export function age(timestamp: string | undefined | null, now: number): string {
  if (!timestamp) return "<unknown>";
  return duration(now - Date.parse(timestamp));
}

export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  if (years < 8) return days % 365 === 0 ? `${years}y` : `${years}y${days % 365}d`;
  return `${years}y`;
}
