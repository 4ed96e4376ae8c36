import { list } from "../api/kinds/strategy.ts";
import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";

const tolerates = (toleration: Json, taint: Json): boolean =>
  (!toleration.effect || toleration.effect === taint.effect) &&
  (!toleration.key || toleration.key === taint.key) &&
  (toleration.operator === "Exists" || (toleration.value ?? "") === (taint.value ?? ""));

/** The node's taints of these effects that the pod, or a template's, doesn't tolerate at all. */
export function untolerated(pod: Json, node: KubeJson, effects: readonly string[]): Json[] {
  const tolerations = list(pod.spec?.tolerations);
  return list(node["spec"]?.taints)
    .filter(({ effect }) => effects.includes(effect))
    .filter((taint) => !tolerations.some((toleration) => tolerates(toleration, taint)));
}

/**
 * How long a pod may stay on a node for its `NoExecute` taints, in ms from when it was bound or tainted: 0 where it has to go, undefined
 * where it may stay. The shortest `tolerationSeconds` counts.
 */
export function staysFor(pod: KubeJson, node: KubeJson): number | undefined {
  const taints = list(node["spec"]?.taints).filter(({ effect }) => effect === "NoExecute");
  if (untolerated(pod, node, ["NoExecute"]).length > 0) return 0;
  const seconds = list(pod["spec"].tolerations)
    .filter((toleration) => taints.some((taint) => tolerates(toleration, taint)))
    .flatMap(({ tolerationSeconds }) => tolerationSeconds ?? []) as unknown as number[];
  return seconds.length > 0 ? Math.max(0, Math.min(...seconds)) * 1000 : undefined;
}
