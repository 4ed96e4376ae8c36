import type { Json } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import type { Resource } from "../resources.ts";
import type { Column } from "./cells.ts";
import { columnsOf } from "./columns.ts";

const definition = ({ name, type, format = "", wide }: Column): Json => ({
  name,
  type: type ?? "string",
  format,
  description: name,
  priority: wide ? 1 : 0,
});

export interface TableOptions {
  /** What a row carries of its object: all of it, its metadata (the default), or nothing. */
  include: "Object" | "Metadata" | "None";
  version: string;
  now: number;
  /** The later events of a watch say no columns. */
  headless?: boolean;
}

/** Objects as `kubectl get` shows them (meta.k8s.io Table). */
export function renderTable(resource: Resource, objects: readonly KubeJson[], metadata: object, options: TableOptions): Json {
  const columns = columnsOf(resource);
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata,
    columnDefinitions: options.headless ? null : columns.map(definition),
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.value(object, options.now) ?? null),
      object:
        options.include === "Object" ? object : options.include === "Metadata" ? partialMetadata(object, options.version) : null,
    })),
  };
}

export const partialMetadata = (object: KubeJson, version: string): Json => ({
  kind: "PartialObjectMetadata",
  apiVersion: `meta.k8s.io/${version}`,
  metadata: object.metadata,
});
