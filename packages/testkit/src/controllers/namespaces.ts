import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import { setCondition } from "./conditions.ts";
import type { Context, Controller } from "./context.ts";

/** Empties a namespace that is being deleted; when nothing is left in it, it goes. */
export function namespaceController(context: Context): Controller {
  const { store, objects } = context;
  const ending = (name: string | undefined): KubeJson | undefined => {
    const namespace = name === undefined ? undefined : store.get("namespaces", undefined, name);
    return namespace?.metadata.deletionTimestamp ? namespace : undefined;
  };
  return {
    name: "namespace",
    observe({ resource, object }, add) {
      const name = resource === "namespaces" ? object.metadata.name : object.metadata.namespace;
      if (ending(name)) add(name!);
    },
    reconcile(name) {
      const namespace = ending(name);
      if (!namespace) return;
      for (const ref of objects.contents(name)) {
        const deleting = store.get(ref.resource, ref.namespace, ref.name)?.metadata.deletionTimestamp;
        if (!deleting) context.remove(ref.resource, ref.namespace, ref.name, { propagationPolicy: "Background" });
      }
      const left = objects.contents(name).map((ref) => store.get(ref.resource, ref.namespace, ref.name)!);
      store.mutate("namespaces", undefined, name, (copy) => {
        if (left.length > 0) {
          copy["status"] = {
            ...copy["status"],
            phase: "Terminating",
            conditions: remaining(copy["status"]?.conditions ?? [], left, context.clock.now()),
          };
        } else
          copy["spec"] = {
            ...copy["spec"],
            finalizers: (copy["spec"]?.finalizers ?? []).filter((f: string) => f !== "kubernetes"),
          };
      });
    },
  };
}

/** What a namespace's deletion waits for. */
function remaining(conditions: Json[], left: readonly KubeJson[], now: number): Json[] {
  const kinds = new Map<string, number>();
  for (const { kind } of left) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const list = [...kinds].map(([kind, count]) => `${kind} has ${count} resource instances`).join(", ");
  setCondition(
    conditions,
    now,
    "NamespaceContentRemaining",
    "True",
    "SomeResourcesRemain",
    `Some resources are remaining: ${list}`,
  );
  const finalizers = new Map<string, number>();
  for (const { metadata } of left)
    for (const name of metadata.finalizers ?? []) finalizers.set(name, (finalizers.get(name) ?? 0) + 1);
  if (finalizers.size > 0) {
    const text = [...finalizers].map(([name, count]) => `${name} in ${count} resource instances`).join(", ");
    const message = `Some content in the namespace has finalizers remaining: ${text}`;
    setCondition(conditions, now, "NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", message);
  } else {
    const message = "All content-preserving finalizers finished";
    setCondition(conditions, now, "NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", message);
  }
  return conditions;
}
