import type { Resource } from "../resources.ts";
import { ageColumn, type Column, nameColumn } from "./cells.ts";
import { CLUSTER_COLUMNS } from "./cluster-columns.ts";
import { customColumns } from "./custom-columns.ts";
import { NETWORK_COLUMNS } from "./network-columns.ts";
import { podColumns } from "./pod-columns.ts";
import { WORKLOAD_COLUMNS } from "./workload-columns.ts";

const PLAIN: readonly Column[] = [nameColumn, ageColumn];

/** What `kubectl get` shows of a kind: the server decides. */
export function columnsOf(resource: Resource): readonly Column[] {
  if (resource.custom) return customColumns(resource.custom);
  if (resource.key === "pods") return podColumns;
  return WORKLOAD_COLUMNS[resource.key] ?? NETWORK_COLUMNS[resource.key] ?? CLUSTER_COLUMNS[resource.key] ?? PLAIN;
}
