import type { Json } from "../../json.ts";
import { sameJson } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import type { Admission } from "./admission.ts";
import { type Level, type Violation, violations } from "./pod-security.ts";
import { forbiddenBy } from "./refusal.ts";

const PREFIX = "pod-security.kubernetes.io/";
const LEVELS: readonly Level[] = ["privileged", "baseline", "restricted"];

interface Policy {
  level: Level;
  version: string;
}

/** What a namespace's labels ask for. Where `warn` isn't said, what is enforced is also warned of. */
function policies(labels: Record<string, string> = {}): { enforce: Policy; warn: Policy } {
  const policy = (mode: string): Policy | undefined => {
    const level = labels[`${PREFIX}${mode}`] as Level | undefined;
    return (
      level && { level: LEVELS.includes(level) ? level : "restricted", version: labels[`${PREFIX}${mode}-version`] ?? "latest" }
    );
  };
  const enforce = policy("enforce") ?? { level: "privileged", version: "latest" };
  return { enforce, warn: policy("warn") ?? enforce };
}

const show = (found: readonly Violation[]): string => found.map(({ reason, detail }) => `${reason} (${detail})`).join(", ");

/** The spec of the pods that an object of a workload's kind makes. */
function templateOf(key: string, object: Json): Json {
  if (key === "cronjobs.batch") return object.spec?.jobTemplate?.spec?.template?.spec;
  return WORKLOADS.has(key) ? object.spec?.template?.spec : undefined;
}

const WORKLOADS = new Set([
  "daemonsets.apps",
  "deployments.apps",
  "jobs.batch",
  "podtemplates",
  "replicasets.apps",
  "replicationcontrollers",
  "statefulsets.apps",
]);

/** Pod Security admission by the labels of a namespace: pods are refused, workloads' templates warned of. */
export const podSecurity: Admission = {
  check({ resource, object, old, store, warn }) {
    if (resource.key === "namespaces") return checkNamespace(object, old, (name) => store.list("pods", name), warn);
    const spec = resource.key === "pods" ? object.spec : templateOf(resource.key, object);
    if (!spec) return;
    const was = old && (resource.key === "pods" ? old["spec"] : templateOf(resource.key, old));
    if (was && sameJson(was, spec)) return;
    const { enforce, warn: warned } = policies(store.get("namespaces", undefined, object.metadata.namespace)?.metadata.labels);
    if (resource.key === "pods") {
      const found = violations(spec, enforce.level);
      if (found.length > 0)
        throw forbiddenBy(resource, object, `violates PodSecurity "${enforce.level}:${enforce.version}": ${show(found)}`);
    }
    const found = violations(spec, warned.level);
    if (found.length > 0) warn?.(`would violate PodSecurity "${warned.level}:${warned.version}": ${show(found)}`);
  },
};

/** Pods that are there stay; whoever makes the rule stricter is told of them. */
function checkNamespace(
  object: Json,
  old: KubeJson | undefined,
  pods: (namespace: string) => readonly KubeJson[],
  warn: ((message: string) => void) | undefined,
): void {
  if (!old || !warn) return;
  const { enforce } = policies(object.metadata.labels);
  const before = policies(old.metadata.labels).enforce;
  if (LEVELS.indexOf(enforce.level) <= LEVELS.indexOf(before.level)) return;
  const byReasons = new Map<string, string[]>();
  for (const pod of pods(object.metadata.name)) {
    const found = violations(pod["spec"], enforce.level);
    if (found.length === 0) continue;
    const reasons = found.map(({ reason }) => reason).join(", ");
    byReasons.set(reasons, [...(byReasons.get(reasons) ?? []), pod.metadata.name]);
  }
  if (byReasons.size === 0) return;
  warn(
    `existing pods in namespace ${JSON.stringify(object.metadata.name)} violate the new PodSecurity enforce level "${enforce.level}:${enforce.version}"`,
  );
  for (const [reasons, [first, ...others]] of byReasons) {
    const more = others.length === 0 ? "" : ` (and ${others.length} other pod${others.length === 1 ? "" : "s"})`;
    warn(`${first}${more}: ${reasons}`);
  }
}
