import { copyJson, type Json, sameJson } from "../../json.ts";
import { StatusError } from "../status.ts";

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

/** The real server says no more either. */
const refused = (): StatusError =>
  new StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {});

/** RFC 6902 on a copy. Throws Status 400 for what isn't a patch, 422 for one that can't be applied. */
export function applyJsonPatch(document: Json, patch: unknown): Json {
  if (!Array.isArray(patch))
    throw new StatusError(
      400,
      "BadRequest",
      "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
    );
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
      const { parent, key } = place(root, path);
      // Beyond the RFC, as the real server has it: what isn't there is added.
      if (Array.isArray(parent) && !has(parent, key)) throw refused();
      parent[key] = copyJson(operation.value);
      return;
    }
    case "move":
      add(root, path, remove(root, operation.from ?? ""));
      return;
    case "copy": {
      const { parent, key } = place(root, operation.from ?? "");
      if (!has(parent, key)) throw refused();
      add(root, path, copyJson(parent[key]));
      return;
    }
    case "test": {
      const { parent, key } = place(root, path);
      // `null` equals what isn't there, as in the library the server uses.
      if (!sameJson(parent[key] ?? null, operation.value ?? null)) throw refused();
      return;
    }
    default:
      throw refused();
  }
}

function add(root: Json, path: string, value: unknown): void {
  const { parent, key } = place(root, path);
  if (!Array.isArray(parent)) {
    parent[key] = value;
    return;
  }
  const index = key === "-" ? parent.length : Number(key);
  if (!Number.isInteger(index) || index < 0 || index > parent.length) throw refused();
  parent.splice(index, 0, value);
}

function remove(root: Json, path: string): unknown {
  const { parent, key } = place(root, path);
  if (!has(parent, key)) throw refused();
  const value = parent[key];
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return value;
}

const has = (parent: Json, key: string): boolean => Object.hasOwn(parent, key) && !(Array.isArray(parent) && !/^\d+$/.test(key));

function place(root: Json, path: string): { parent: Json; key: string } {
  const parts = ["root", ...(path === "" ? [] : path.replace(/^\//, "").split("/"))].map((part) =>
    part.replace(/~1/g, "/").replace(/~0/g, "~"),
  );
  const key = parts.pop()!;
  let parent = root;
  for (const part of parts) {
    if (typeof parent !== "object" || parent === null || !has(parent, part)) throw refused();
    parent = parent[part];
  }
  if (typeof parent !== "object" || parent === null) throw refused();
  return { parent, key };
}
