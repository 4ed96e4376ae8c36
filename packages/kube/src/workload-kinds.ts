import { kubeError } from "./errors.ts";
import { nearMisses } from "./near.ts";
import {
  CRON_JOBS,
  type CronJob,
  DAEMON_SETS,
  DEPLOYMENTS,
  JOBS,
  PODS,
  type Pod,
  type PodController,
  REPLICA_SETS,
  type ResourceType,
  STATEFUL_SETS,
} from "./objects.ts";

export type WorkloadObject = PodController | CronJob | Pod;

/** What can be a workload, in the order in which a bare name is looked for. */
export const WORKLOAD_TYPES: ReadonlyArray<ResourceType<WorkloadObject>> = [
  DEPLOYMENTS,
  STATEFUL_SETS,
  DAEMON_SETS,
  CRON_JOBS,
  JOBS,
  REPLICA_SETS,
  PODS,
];

/** "deployment" */
export const kindOf = (type: ResourceType): string => type.kind.toLowerCase();

export interface ParsedReference {
  /** Undefined where only a name was given. */
  type: ResourceType<WorkloadObject> | undefined;
  name: string;
}

/**
 * Reads `kind/name`, `kind name`, `[kind, name]` or a bare `name`. The kind as kubectl takes it: singular, plural or short name, in any
 * case, also `plural.group` and `plural.version.group`. Throws `KUBE_KIND_UNKNOWN`, `KUBE_OPTION_INVALID`.
 */
export function parseReference(reference: string | readonly [string, string]): ParsedReference {
  const parts = typeof reference === "string" ? reference.trim().split(/\s*\/\s*|\s+/) : reference.map((part) => part.trim());
  const [first = "", second, ...more] = parts;
  if (more.length > 0 || parts.some((part) => part === "" || part.includes("/"))) {
    throw kubeError("KUBE_OPTION_INVALID", `${JSON.stringify(parts.join("/"))} is not a reference to a workload`, {
      hint: "write kind/name, for example deployment/core",
    });
  }
  return second === undefined ? { type: undefined, name: first } : { type: typeOf(first), name: second };
}

function typeOf(word: string): ResourceType<WorkloadObject> {
  const wanted = word.toLowerCase();
  const found = WORKLOAD_TYPES.find((type) => spellings(type).includes(wanted));
  if (found) return found;
  const near = nearMisses(
    wanted,
    WORKLOAD_TYPES.flatMap((type) => [kindOf(type), ...type.shortNames]),
    2,
  );
  const kinds = WORKLOAD_TYPES.map((type) =>
    type.shortNames.length > 0 ? `${kindOf(type)} (${type.shortNames.join(", ")})` : kindOf(type),
  );
  throw kubeError("KUBE_KIND_UNKNOWN", `"${word}" is not a kind of workload that Shipside knows`, {
    hint: `${near.length > 0 ? `did you mean ${near.join(" or ")}? ` : ""}There is ${kinds.join(", ")}`,
    details: { kind: word, kinds: WORKLOAD_TYPES.map(kindOf), near },
  });
}

function spellings(type: ResourceType): string[] {
  const names = [kindOf(type), type.plural];
  const suffixes = type.group === "" ? [`.${type.version}`] : [`.${type.group}`, `.${type.version}.${type.group}`];
  return [...names, ...type.shortNames, ...names.flatMap((name) => suffixes.map((suffix) => name + suffix))];
}
