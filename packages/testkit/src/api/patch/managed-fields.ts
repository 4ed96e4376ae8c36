import { type Json, sameJson } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import type { MessageType } from "../schema/notation.ts";
import { type FieldSet, fieldSetOf, fromFieldsV1, pathKey, toFieldsV1, valueAt } from "./field-sets.ts";

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

export function readEntries(managers: readonly Json[] = []): Entry[] {
  return managers.map((entry) => ({
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
  return kept.sort(inOrder).map(({ name, operation, apiVersion, subresource, time, set }) => ({
    manager: name,
    operation,
    apiVersion,
    time,
    fieldsType: "FieldsV1",
    fieldsV1: toFieldsV1(set),
    ...(subresource && { subresource }),
  }));
}

const inOrder = (a: Entry, b: Entry): number => compare(orderOf(a), orderOf(b));
const orderOf = ({ operation, time, name, apiVersion, subresource }: Entry): string =>
  [operation, time, name, apiVersion, subresource].join("\0");
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** A write may say itself who owns what (`[]` or `[{}]`: nobody); where it says nothing, it is as it was. */
export function managersGiven(given: Json, old: KubeJson | undefined): Json[] | undefined {
  if (!Array.isArray(given)) return old?.metadata.managedFields as Json[] | undefined;
  return given.every((entry) => Object.keys(entry ?? {}).length === 0) ? undefined : given;
}

/** Whether nothing in it changed that anybody can own: quicker to tell than what did. */
function samePart(old: KubeJson, next: Json, part: "main" | "status"): boolean {
  if (part === "status") return sameJson(old["status"], next.status);
  const owned = ({ metadata, status: _status, ...rest }: Json): Json => ({
    ...rest,
    labels: metadata.labels,
    annotations: metadata.annotations,
    finalizers: metadata.finalizers,
    generateName: metadata.generateName,
    ownerReferences: metadata.ownerReferences,
  });
  return sameJson(owned(old), owned(next));
}

/**
 * Who owns what after a write that isn't an apply: the writer owns what it changed, and takes it from the others. `managers`: who owned
 * what before it.
 */
export function trackUpdate(
  old: KubeJson | undefined,
  next: Json,
  type: MessageType | undefined,
  manager: Manager,
  managers: Json[] | undefined,
): Json[] | undefined {
  const part = manager.subresource === "status" ? "status" : "main";
  if (old && samePart(old, next, part)) return managers;
  const now = fieldSetOf(next, type, part, { containers: true });
  const before: FieldSet = old ? fieldSetOf(old, type, part, { containers: true }) : new Map();
  const containers = new Set([...now.values()].map((path) => pathKey(path.slice(0, -1))));
  const changed: FieldSet = new Map();
  for (const [key, path] of now) {
    if (!before.has(key) || (!containers.has(key) && !sameJson(valueAt(old, path), valueAt(next, path)))) changed.set(key, path);
  }
  const removed = [...before.keys()].filter((key) => !now.has(key));
  if (changed.size === 0 && removed.length === 0) return managers;
  const entries = readEntries(managers);
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
