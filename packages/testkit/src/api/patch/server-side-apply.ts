import { copyJson, type Json, sameJson } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import type { Field, MessageType } from "../schema/notation.ts";
import { StatusError } from "../status.ts";
import { type FieldSet, fieldSetOf, innerMessage, itemKey, removeAt, showPath, valueAt } from "./field-sets.ts";
import { type Entry, type Manager, readEntries, sameManager, writeEntries } from "./managed-fields.ts";

/**
 * Server-side apply (KEP-555): merges `config` into `live` and returns the object with its new `managedFields`. What this manager
 * applied before and applies no more goes, unless somebody else owns it. Throws Status 409 with a cause for each field that another
 * manager owns with another value, unless `force`.
 */
export function applyServerSide(
  live: KubeJson | undefined,
  config: Json,
  type: MessageType | undefined,
  manager: Manager,
  force: boolean,
): Json {
  const part = manager.subresource === "status" ? "status" : "main";
  const applied = fieldSetOf(config, type, part);
  const entries = readEntries(live?.metadata.managedFields as Json[] | undefined);
  const own = entries.find((entry) => sameManager(entry, manager));
  const others = entries.filter((entry) => entry !== own);

  const conflicts = findConflicts(live, config, applied, others);
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  for (const { entry, key } of conflicts) entry.set.delete(key);

  const merged = merge(live ? copyJson(live) : {}, copyJson(config), type);
  for (const [key, path] of own?.set ?? []) {
    if (applied.has(key) || others.some((entry) => owns(entry.set, key, path))) continue;
    removeAt(merged, path);
  }
  const unchanged = own && own.set.size === applied.size && [...applied.keys()].every((key) => own.set.has(key));
  const entry: Entry = { ...manager, time: unchanged ? own.time : manager.time, set: applied };
  merged.metadata.managedFields = writeEntries(own ? entries.map((other) => (other === own ? entry : other)) : [...entries, entry]);
  return merged;
}

/** A field is owned by who owns it or something below it; an item of a list only by who named the item itself. */
const owns = (set: FieldSet, key: string, path: readonly string[]): boolean =>
  set.has(key) || (path.at(-1)!.startsWith("f:") && [...set.keys()].some((other) => other.startsWith(`${key}\u0001`)));

interface Conflict {
  entry: Entry;
  key: string;
  path: readonly string[];
}

function findConflicts(live: KubeJson | undefined, config: Json, applied: FieldSet, others: readonly Entry[]): Conflict[] {
  const conflicts: Conflict[] = [];
  for (const [key, path] of applied) {
    if (path.at(-1)!.startsWith("k:") || path.at(-1)!.startsWith("v:")) continue;
    for (const entry of others) {
      if (entry.set.has(key) && !sameJson(valueAt(live, path), valueAt(config, path))) conflicts.push({ entry, key, path });
    }
  }
  return conflicts;
}

function conflictError(conflicts: readonly Conflict[]): StatusError {
  const using = ({ entry }: Conflict): string => {
    const subresource = entry.subresource && ` with subresource "${entry.subresource}"`;
    // Who applied is one manager whatever the version.
    return `conflict with "${entry.name}"${subresource}${entry.operation === "Update" ? ` using ${entry.apiVersion}` : ""}`;
  };
  const one = conflicts.length === 1;
  const byManager = new Map<string, string[]>();
  for (const conflict of conflicts) {
    const text = using(conflict);
    byManager.set(text, [...(byManager.get(text) ?? []), showPath(conflict.path)]);
  }
  const text = [...byManager].map(([who, paths]) => {
    if (paths.length === 1) return `${who}: ${paths[0]}`;
    return `${who.replace("conflict with", "conflicts with")}:\n${paths.map((path) => `- ${path}`).join("\n")}`;
  });
  return new StatusError(409, "Conflict", `Apply failed with ${conflicts.length} conflict${one ? "" : "s"}: ${text.join("\n")}`, {
    causes: conflicts.map((conflict) => ({
      reason: "FieldManagerConflict",
      message: using(conflict),
      field: showPath(conflict.path),
    })),
  });
}

/** `config` over `live`, which is changed: maps by key, keyed lists by item, sets as unions, all else replaced. */
function merge(live: Json, config: Json, type: MessageType | undefined): Json {
  for (const [name, value] of Object.entries(config)) {
    if (value === null) continue;
    live[name] = mergeField(live[name], value, type?.fields.get(name), type !== undefined);
  }
  return live;
}

const isMap = (value: Json): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

function mergeField(live: Json, value: Json, field: Field | undefined, typed: boolean): Json {
  const inner = field && innerMessage(field.type);
  if (isMap(value)) {
    const atomic = field && (field.atomic || (field.type.is === "message" && inner?.atomic) || (field.type.is === "map" && inner));
    if (atomic || !isMap(live)) return value;
    return merge(live, value, typed && field?.type.is === "map" ? undefined : inner);
  }
  if (!Array.isArray(value) || !Array.isArray(live) || !field) return value;
  if (field.atomic) return value;
  if (field.set) return [...live, ...value.filter((item) => !live.some((other) => sameJson(item, other)))];
  if (field.keys.length === 0) return value;
  const wanted = new Map(value.map((item): [string, Json] => [itemKey(item, field), item]));
  const present = new Set(live.map((item) => itemKey(item, field)));
  return [
    ...live.map((item) => (wanted.has(itemKey(item, field)) ? merge(item, wanted.get(itemKey(item, field)), inner) : item)),
    ...value.filter((item) => !present.has(itemKey(item, field))),
  ];
}
