import type { Json } from "../../json.ts";
import { badRequest } from "../status.ts";
import type { Field, FieldType, MessageType } from "./notation.ts";
import { messageType } from "./types.ts";

const GO_TYPES: Readonly<Record<string, string>> = {
  s: "string",
  i: "int32",
  b: "bool",
  f: "float64",
  y: "[]uint8",
  t: "Time",
  u: "MicroTime",
};

/**
 * Brings a client's object into the form of its type: fields that the type doesn't have go and are returned by their paths, nulls
 * too. Throws Status 400 where a value is of another type, worded as Go's JSON decoder words it.
 */
export function conform(object: Json, type: MessageType, kind: string, version: string): string[] {
  const unknown: string[] = [];
  const mismatch = (value: Json, go: string, owner: string, path: string): Error =>
    badRequest(
      `${kind} in version "${version}" cannot be handled as a ${kind}: json: cannot unmarshal ${jsonType(value)} into Go struct field ` +
        `${owner}.${path} of type ${go}`,
    );

  const check = (value: Json, of: FieldType, owner: string, path: string): void => {
    if (of.is === "message") {
      const message = messageType(of.name);
      if (!message) return;
      if (typeof value !== "object" || Array.isArray(value)) throw mismatch(value, `v1.${of.name}`, owner, path);
      walk(value, message, path);
    } else if (of.is === "list") {
      if (!Array.isArray(value)) throw mismatch(value, `[]${goName(of.of)}`, owner, path);
      value.forEach((item, i) => {
        if (item !== null) check(item, of.of, owner, `${path}[${i}]`);
      });
    } else if (of.is === "map") {
      if (typeof value !== "object" || Array.isArray(value)) throw mismatch(value, `map[string]${goName(of.of)}`, owner, path);
      for (const [key, item] of Object.entries(value)) {
        if (item === null) delete value[key];
        else check(item, of.of, owner, path);
      }
    } else if (!fits(value, of.code)) throw mismatch(value, GO_TYPES[of.code] ?? "string", owner, path);
  };

  const walk = (value: Json, message: MessageType, path: string): void => {
    for (const [name, item] of Object.entries(value)) {
      const field: Field | undefined = message.fields.get(name);
      const at = path ? `${path}.${name}` : name;
      if (!field) {
        if (path === "" && (name === "kind" || name === "apiVersion")) continue;
        // Templates of claims carry a kind of their own.
        if (message.name === "PersistentVolumeClaim" && (name === "kind" || name === "apiVersion")) continue;
        unknown.push(at);
        delete value[name];
      } else if (item === null) delete value[name];
      else {
        check(item, field.type, message.name, at);
        if (field.type.is === "scalar" && field.type.code === "q") value[name] = String(item);
        if (field.type.is === "map" && field.type.of.is === "scalar" && field.type.of.code === "q") {
          const amounts = item as Record<string, Json>;
          for (const key of Object.keys(amounts)) amounts[key] = String(amounts[key]);
        }
      }
    }
  };
  walk(object, type, "");
  return unknown;
}

function fits(value: Json, code: string): boolean {
  switch (code) {
    case "s":
    case "y":
    case "t":
    case "u":
      return typeof value === "string";
    case "i":
      return Number.isInteger(value);
    case "f":
      return typeof value === "number";
    case "b":
      return typeof value === "boolean";
    case "q":
      return typeof value === "string" || typeof value === "number";
    case "x":
      return typeof value === "string" || Number.isInteger(value);
    default:
      return true;
  }
}

const jsonType = (value: Json): string => {
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  return typeof value === "number" && !Number.isInteger(value) ? `number ${value}` : typeof value;
};

const goName = (type: FieldType): string =>
  type.is === "message" ? `v1.${type.name}` : type.is === "scalar" ? (GO_TYPES[type.code] ?? "string") : "…";
