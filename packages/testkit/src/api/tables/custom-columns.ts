import type { Json } from "../../json.ts";
import type { CustomKind } from "../resources.ts";
import { age, ageColumn, type Column, nameColumn } from "./cells.ts";

/** The columns that a CustomResourceDefinition asks for, or name and age. */
export function customColumns({ columns }: CustomKind): readonly Column[] {
  if (columns.length === 0) return [nameColumn, ageColumn];
  return [
    nameColumn,
    ...columns.map(
      ({ name, type, jsonPath, priority }): Column => ({
        name,
        ...((type === "integer" || type === "boolean") && { type }),
        ...(priority && { wide: true }),
        value(object, now) {
          const value = follow(object, jsonPath);
          if (type === "date") return age(value, now);
          return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
        },
      }),
    ),
  ];
}

/** Simple JSONPaths: names, indices, and one condition on a list's items (`.status.conditions[?(@.type=="Ready")].status`). */
function follow(object: Json, path: string): Json {
  let value = object;
  for (const [, name, index, key, wanted] of path.matchAll(/\.([\w-]+)|\[(\d+)\]|\[\?\(@\.([\w-]+) *== *["']([^"']*)["']\)\]/g)) {
    if (value === undefined || value === null) return undefined;
    if (name !== undefined) value = value[name];
    else if (index !== undefined) value = value[Number(index)];
    else value = (value as Json[]).find((item) => item[key!] === wanted);
  }
  return value;
}
