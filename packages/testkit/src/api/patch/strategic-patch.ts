import type { Json } from "../../json.ts";
import { sameJson } from "../../json.ts";
import type { Field, MessageType } from "../schema/notation.ts";
import { messageType } from "../schema/types.ts";
import { badRequest } from "../status.ts";

const DIRECTIVE = "$patch";
const RETAIN = "$retainKeys";
const DELETE = "$deleteFromPrimitiveList/";
const ORDER = "$setElementOrder/";

/**
 * Strategic merge patch (sig-api-machinery's "Strategic Merge Patch"): a merge patch that knows which lists are keyed by what.
 * Changes neither argument. Without a type it is a merge patch that obeys the directives.
 */
export function applyStrategicPatch(original: Json, patch: Json, type: MessageType | undefined): Json {
  if (!isMap(patch)) return patch;
  const directive = patch[DIRECTIVE];
  if (directive === "replace") return withoutDirectives(patch);
  if (directive === "delete") return {};
  if (directive !== undefined && directive !== "merge") throw badRequest(`Unknown patch type: ${directive}`);
  const out: Record<string, Json> = isMap(original) ? { ...original } : {};

  const retain = patch[RETAIN];
  if (Array.isArray(retain)) for (const key of Object.keys(out)) if (!retain.includes(key)) delete out[key];

  for (const [key, value] of Object.entries(patch)) {
    if (key === DIRECTIVE || key === RETAIN) continue;
    if (key.startsWith(DELETE)) {
      const name = key.slice(DELETE.length);
      const gone = value as Json[];
      if (Array.isArray(out[name]))
        out[name] = (out[name] as Json[]).filter((item) => !gone.some((other) => sameJson(item, other)));
      continue;
    }
    if (key.startsWith(ORDER)) {
      const name = key.slice(ORDER.length);
      // With the list's own patch it is seen to below; alone it only sorts.
      if (patch[name] === undefined && Array.isArray(out[name])) {
        out[name] = ordered(out[name] as Json[], out[name] as Json[], value as Json[], type?.fields.get(name));
      }
      continue;
    }
    if (value === null) {
      delete out[key];
      continue;
    }
    const field = type?.fields.get(key);
    if (Array.isArray(value)) out[key] = mergeList(out[key], value, field, patch[ORDER + key]);
    else out[key] = applyStrategicPatch(out[key], value, fieldMessage(field));
  }
  return out;
}

const isMap = (value: Json): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

function fieldMessage(field: Field | undefined): MessageType | undefined {
  if (!field) return undefined;
  const type = field.type.is === "list" || field.type.is === "map" ? field.type.of : field.type;
  return type.is === "message" ? messageType(type.name) : undefined;
}

function withoutDirectives(value: Json): Json {
  const { [DIRECTIVE]: _directive, ...rest } = value;
  return Object.fromEntries(Object.entries(rest).filter(([key]) => !key.startsWith("$")));
}

function mergeList(original: Json, patch: Json[], field: Field | undefined, order: Json[] | undefined): Json[] {
  const before: Json[] = Array.isArray(original) ? original : [];
  const key = field?.keys[0];
  if (key === undefined && !field?.set) {
    // Atomic: but directives aren't values.
    return patch.filter((item) => !(isMap(item) && item[DIRECTIVE] !== undefined && Object.keys(item).length === 1));
  }
  if (key === undefined) {
    const merged = [...before, ...patch.filter((item) => !before.some((other) => sameJson(item, other)))];
    return ordered(merged, before, order ?? patch, field);
  }
  if (patch.some((item) => isMap(item) && item[DIRECTIVE] === "replace" && item[key] === undefined)) {
    return patch.filter((item) => item[DIRECTIVE] === undefined);
  }
  const message = fieldMessage(field);
  let merged = [...before];
  for (const item of patch) {
    if (!isMap(item) || item[key] === undefined) {
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    }
    const same = (other: Json): boolean => sameJson(other?.[key], item[key]);
    if (item[DIRECTIVE] === "delete") {
      merged = merged.filter((other) => !same(other));
      continue;
    }
    const at = merged.findIndex(same);
    if (at < 0) merged.push(applyStrategicPatch(undefined, item, message));
    else merged[at] = applyStrategicPatch(merged[at], item, message);
  }
  return ordered(merged, before, order ?? patch, field);
}

/** What `order` names comes in its order; what only the server has keeps its place among the server's. */
function ordered(merged: Json[], before: Json[], order: Json[], field: Field | undefined): Json[] {
  const key = field?.keys[0];
  const identity = (item: Json): string => JSON.stringify(key === undefined ? item : item?.[key]);
  const position = new Map(order.map((item, i) => [identity(item), i]));
  const was = new Map(before.map((item, i) => [identity(item), i]));
  const named = merged
    .filter((item) => position.has(identity(item)))
    .sort((a, b) => position.get(identity(a))! - position.get(identity(b))!);
  const others = merged.filter((item) => !position.has(identity(item)));
  const out: Json[] = [];
  while (named.length > 0 && others.length > 0) {
    const [left, right] = [was.get(identity(others[0])), was.get(identity(named[0]))];
    out.push((left !== undefined && right !== undefined && left < right ? others : named).shift());
  }
  return [...out, ...named, ...others];
}
