import type { Json } from "../../json.ts";
import { selectorText } from "../subresources/scale.ts";

export interface Column {
  name: string;
  /** "string" where it isn't said. */
  type?: "integer" | "boolean" | "date";
  format?: string;
  /** Shown with `-o wide` only. */
  wide?: true;
  value(object: Json, now: number): unknown;
}

export const nameColumn: Column = { name: "Name", format: "name", value: ({ metadata }) => metadata.name };
export const ageColumn: Column = { name: "Age", value: ({ metadata }, now) => age(metadata.creationTimestamp, now) };
export const createdColumn: Column = { name: "Created At", type: "date", value: ({ metadata }) => metadata.creationTimestamp };

export const NONE = "<none>";

/** Labels as `a=b,c=d`, sorted. */
export function labelsText(labels: Record<string, string> | undefined): string {
  return (
    Object.entries(labels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(",") || NONE
  );
}

export const selectorCell = (selector: Json): string => selectorText(selector) || NONE;

/** Containers, Images and, for what selects pods, Selector: the wide columns of all workloads. */
export function templateColumns(template: (object: Json) => Json, selector?: (object: Json) => string): Column[] {
  const containers = (object: Json): Json[] => template(object)?.spec?.containers ?? [];
  return [
    {
      name: "Containers",
      wide: true,
      value: (object) =>
        containers(object)
          .map(({ name }) => name)
          .join(","),
    },
    {
      name: "Images",
      wide: true,
      value: (object) =>
        containers(object)
          .map(({ image }) => image)
          .join(","),
    },
    ...(selector ? [{ name: "Selector", wide: true as const, value: selector }] : []),
  ];
}

/** How long ago, in the two units that `kubectl get` shows. */
export function age(timestamp: string | undefined | null, now: number): string {
  return timestamp ? duration(now - Date.parse(timestamp)) : "<unknown>";
}

export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const both = (high: number, highUnit: string, low: number, lowUnit: string): string =>
    low === 0 ? `${high}${highUnit}` : `${high}${highUnit}${low}${lowUnit}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return both(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return both(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return both(days, "d", hours % 24, "h");
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? both(years, "y", days % 365, "d") : `${years}y`;
}
