import { type Json, sameJson } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import type { MessageType } from "../schema/notation.ts";
import { type FieldSet, fieldSetOf, fromFieldsV1, toFieldsV1, valueAt } from "./field-sets.ts";

export interface Manager {
  name: string;
  operation: "Apply" | "Update";
  apiVersion: string;
  subresource: string;
  /** RFC 3339, now. */
  time: string;
}

export interface Entry extends Manager {
  set: FieldSet;
}

export const sameManager = (a: Manager, b: Manager): boolean =>
  a.name === b.name && a.operation === b.operation && a.subresource === b.subresource && a.apiVersion === b.apiVersion;

export function readEntries(object: KubeJson | undefined): Entry[] {
  return ((object?.metadata.managedFields ?? []) as Json[]).map((entry) => ({
    name: entry.manager ?? "",
    operation: entry.operation,
    apiVersion: entry.apiVersion,
    subresource: entry.subresource ?? "",
    time: entry.time,
    set: fromFieldsV1(entry.fieldsV1),
  }));
}

export function writeEntries(entries: readonly Entry[]): Json[] | undefined {
  const kept = entries.filter((entry) => entry.set.size > 0);
  if (kept.length === 0) return undefined;
  return kept.map(({ name, operation, apiVersion, subresource, time, set }) => ({
    manager: name,
    operation,
    apiVersion,
    time,
    fieldsType: "FieldsV1",
    fieldsV1: toFieldsV1(set),
    ...(subresource && { subresource }),
  }));
}

/** Who owns what after a write that isn't an apply: the writer owns what it changed, and takes it from the others. */
export function trackUpdate(
  old: KubeJson | undefined,
  next: Json,
  type: MessageType | undefined,
  manager: Manager,
): Json[] | undefined {
  const part = manager.subresource === "status" ? "status" : "main";
  const now = fieldSetOf(next, type, part);
  const before: FieldSet = old ? fieldSetOf(old, type, part) : new Map();
  const changed: FieldSet = new Map();
  for (const [key, path] of now) if (!before.has(key) || !sameJson(valueAt(old, path), valueAt(next, path))) changed.set(key, path);
  const removed = [...before.keys()].filter((key) => !now.has(key));
  const entries = readEntries(old);
  if (changed.size === 0 && removed.length === 0) return old?.metadata.managedFields as Json[] | undefined;
  const own = entries.find((entry) => sameManager(entry, manager));
  for (const entry of entries) {
    for (const key of removed) entry.set.delete(key);
    // An item of a keyed list that changed inside is still the same item to those who named it.
    if (entry !== own) for (const [key, path] of changed) if (!path.at(-1)!.startsWith("k:")) entry.set.delete(key);
  }
  if (own) {
    own.time = manager.time;
    for (const [key, path] of changed) own.set.set(key, path);
  } else if (changed.size > 0) entries.push({ ...manager, set: changed });
  return writeEntries(entries);
}
