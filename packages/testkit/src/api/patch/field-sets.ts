import type { Json } from "../../json.ts";
import type { Field, FieldType, MessageType } from "../schema/notation.ts";
import { messageType } from "../schema/types.ts";

/**
 * Sets of field paths, as `managedFields` names them (FieldsV1): `f:name`, `k:{"name":"a"}` an item of a keyed list, `v:"x"` a
 * value of a set. A path is its elements joined by a character that none has.
 */
export type FieldSet = Map<string, readonly string[]>;

const JOIN = "\u0001";
export const pathKey = (path: readonly string[]): string => path.join(JOIN);

const isContainer = (value: Json): boolean => typeof value === "object" && value !== null;

/** Metadata that no manager owns. */
const UNOWNED = new Set([
  "name",
  "namespace",
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "generation",
  "managedFields",
  "selfLink",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
]);

const isMap = (value: Json): boolean => isContainer(value) && !Array.isArray(value);

const isEmptyMap = (value: Json): boolean => isMap(value) && Object.keys(value).length === 0;

/** Structs that an object has from the start, however empty: nobody's write makes them. */
const INHERENT = new Set(
  "metadata spec status template jobTemplate strategy updateStrategy containers resources loadBalancer".split(" "),
);

/**
 * The leaves of an object, and the items of its keyed lists. `part`: all but status, or status alone. `containers`: maps, structs and
 * lists too, as a write that isn't an apply owns what it made (`.` in FieldsV1).
 */
export function fieldSetOf(
  object: Json,
  type: MessageType | undefined,
  part: "main" | "status",
  { containers = false } = {},
): FieldSet {
  const set: FieldSet = new Map();
  const add = (path: readonly string[]): void => void set.set(pathKey(path), path);

  const walkFields = (value: Json, message: MessageType | undefined, path: readonly string[]): void => {
    for (const [name, item] of Object.entries(value)) {
      // A status that says `null` says it.
      if (item === undefined || (item === null && part === "main")) continue;
      if (path.length === 0 && (name === "kind" || name === "apiVersion" || (name === "status") !== (part === "status"))) continue;
      if (path.length === 1 && path[0] === "f:metadata" && UNOWNED.has(name)) continue;
      walk(item, message?.fields.get(name), message !== undefined, [...path, `f:${name}`]);
    }
  };

  const walk = (value: Json, field: Field | undefined, typed: boolean, path: readonly string[]): void => {
    const inner = field && innerMessage(field.type);
    const atomic = field !== undefined && (field.atomic || (field.type.is === "message" && inner?.atomic));
    const inherent = !path.some((element) => !INHERENT.has(element.slice(2))) && (type !== undefined || path[0] === "f:metadata");
    if (containers && !inherent && isContainer(value)) add(path);
    if (Array.isArray(value) && !atomic) {
      if (field?.set && value.length > 0) for (const item of value) add([...path, `v:${JSON.stringify(item)}`]);
      else if (field && field.keys.length > 0 && value.length > 0) {
        for (const item of value) {
          const at = [...path, itemKey(item, field)];
          add(at);
          if (!inner?.atomic) walkFields(item, inner, at);
        }
      } else add(path);
    } else if (
      isMap(value) &&
      !atomic &&
      Object.keys(value).length > 0 &&
      (field?.type.is !== "map" || field.type.of.is === "scalar")
    ) {
      // Without a type (a custom kind) maps are granular and lists are replaced.
      if (typed && field?.type.is === "map") for (const key of Object.keys(value)) add([...path, `f:${key}`]);
      else walkFields(value, inner, path);
    } else if (!(containers && inherent && part === "main" && isEmptyMap(value))) add(path);
  };
  walkFields(object, type, []);
  return set;
}

export function innerMessage(type: FieldType): MessageType | undefined {
  const of = type.is === "list" || type.is === "map" ? type.of : type;
  return of.is === "message" ? messageType(of.name) : undefined;
}

/** `k:{…}` of a keyed list's item; a key that isn't there has its default. */
export function itemKey(item: Json, field: Field): string {
  return `k:${JSON.stringify(Object.fromEntries([...field.keys].sort().map((key) => [key, item[key] ?? (key === "protocol" ? "TCP" : null)])))}`;
}

/** What stands at a path; undefined where nothing does. */
export function valueAt(object: Json, path: readonly string[]): Json {
  let value = object;
  for (const element of path) {
    if (value === undefined || value === null) return undefined;
    const rest = element.slice(2);
    if (element.startsWith("f:")) value = value[rest];
    else if (!Array.isArray(value)) return undefined;
    else if (element.startsWith("k:")) value = value.find((item) => matches(item, JSON.parse(rest)));
    else value = value.find((item) => JSON.stringify(item) === rest);
  }
  return value;
}

const matches = (item: Json, key: Record<string, Json>): boolean =>
  Object.entries(key).every(([name, value]) => (item?.[name] ?? (name === "protocol" ? "TCP" : null)) === value);

/** Takes out what stands at a path, and containers that are empty then. `object` is changed. */
export function removeAt(object: Json, path: readonly string[]): void {
  const [element = "", ...rest] = path;
  const name = element.slice(2);
  if (element.startsWith("f:")) {
    if (!isMap(object) || object[name] === undefined) return;
    if (rest.length > 0) removeAt(object[name], rest);
    if (rest.length === 0 || (typeof object[name] === "object" && Object.keys(object[name]).length === 0)) delete object[name];
    return;
  }
  if (!Array.isArray(object)) return;
  const at = object.findIndex((item) =>
    element.startsWith("k:") ? matches(item, JSON.parse(name)) : JSON.stringify(item) === name,
  );
  if (at < 0) return;
  if (rest.length > 0) removeAt(object[at], rest);
  else object.splice(at, 1);
}

/** As in `managedFields[].fieldsV1`. */
export function toFieldsV1(set: FieldSet): Json {
  const root: Json = {};
  const open = new Map<string, Json>();
  for (const [key, path] of [...set].sort(([a], [b]) => (a < b ? -1 : 1))) {
    let node = root;
    for (const element of path) node = node[element] ??= {};
    open.set(key, node);
  }
  for (const node of open.values()) if (Object.keys(node).length > 0) node["."] = {};
  return root;
}

export function fromFieldsV1(fields: Json): FieldSet {
  const set: FieldSet = new Map();
  const walk = (node: Json, path: readonly string[]): void => {
    const names = Object.keys(node);
    if (path.length > 0 && (names.length === 0 || node["."])) set.set(pathKey(path), path);
    for (const name of names) if (name !== ".") walk(node[name], [...path, name]);
  };
  walk(fields ?? {}, []);
  return set;
}

/** `.spec.template.spec.containers[name="a"].image` */
export function showPath(path: readonly string[]): string {
  return path
    .map((element) => {
      const rest = element.slice(2);
      if (element.startsWith("f:")) return `.${rest}`;
      if (element.startsWith("v:")) return `[=${rest}]`;
      return `[${Object.entries(JSON.parse(rest))
        .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
        .join(",")}]`;
    })
    .join("");
}
