import { copyJson, type Json, sameJson } from "../../json.ts";
import { StatusError } from "../status.ts";

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

const refused = (message: string): StatusError =>
  new StatusError(422, "Invalid", `the server rejected our request due to an error in our request: ${message}`, {});

/** RFC 6902 on a copy. Throws Status 400 for what isn't a patch, 422 for one that can't be applied. */
export function applyJsonPatch(document: Json, patch: unknown): Json {
  if (!Array.isArray(patch))
    throw new StatusError(400, "BadRequest", "json: cannot unmarshal object into Go value of type jsonpatch.Patch");
  // A wrapper, so that the root is a place like any other.
  const root = { root: copyJson(document) };
  for (const operation of patch as Operation[]) applyOne(root, operation);
  return root.root;
}

function applyOne(root: Json, operation: Operation): void {
  const { op, path } = operation;
  switch (op) {
    case "add":
      add(root, path, copyJson(operation.value));
      return;
    case "remove":
      remove(root, path);
      return;
    case "replace": {
      const { parent, key } = place(root, path, op);
      if (!has(parent, key)) throw refused(`replace operation does not apply: doc is missing key: ${path}: missing value`);
      parent[key] = copyJson(operation.value);
      return;
    }
    case "move":
      add(root, path, remove(root, operation.from ?? ""));
      return;
    case "copy": {
      const { parent, key } = place(root, operation.from ?? "", op);
      if (!has(parent, key))
        throw refused(`copy operation does not apply: doc is missing from path: ${operation.from}: missing value`);
      add(root, path, copyJson(parent[key]));
      return;
    }
    case "test": {
      const { parent, key } = place(root, path, op);
      // `null` equals what isn't there, as in the library the server uses.
      if (!sameJson(parent[key] ?? null, operation.value ?? null)) throw refused(`testing value ${path} failed: test failed`);
      return;
    }
    default:
      throw refused(`Unexpected kind: ${op}`);
  }
}

function add(root: Json, path: string, value: unknown): void {
  const { parent, key } = place(root, path, "add");
  if (!Array.isArray(parent)) {
    parent[key] = value;
    return;
  }
  const index = key === "-" ? parent.length : Number(key);
  if (!Number.isInteger(index) || index < 0 || index > parent.length)
    throw refused(`add operation does not apply: doc is missing path: ${path}: invalid index referenced`);
  parent.splice(index, 0, value);
}

function remove(root: Json, path: string): unknown {
  const { parent, key } = place(root, path, "remove");
  if (!has(parent, key)) throw refused(`remove operation does not apply: doc is missing path: ${path}: missing value`);
  const value = parent[key];
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return value;
}

const has = (parent: Json, key: string): boolean => Object.hasOwn(parent, key) && !(Array.isArray(parent) && !/^\d+$/.test(key));

function place(root: Json, path: string, op: string): { parent: Json; key: string } {
  const parts = ["root", ...(path === "" ? [] : path.replace(/^\//, "").split("/"))].map((part) =>
    part.replace(/~1/g, "/").replace(/~0/g, "~"),
  );
  const key = parts.pop()!;
  let parent = root;
  for (const part of parts) {
    if (typeof parent !== "object" || parent === null || !has(parent, part))
      throw refused(`${op} operation does not apply: doc is missing path: "${path}": missing value`);
    parent = parent[part];
  }
  if (typeof parent !== "object" || parent === null)
    throw refused(`${op} operation does not apply: doc is missing path: "${path}": missing value`);
  return { parent, key };
}
