import type { Json } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import { labelSelectorRequirements } from "../selectors.ts";
import { invalid } from "../status.ts";

/** autoscaling/v1 Scale: the view of a controller that `kubectl scale` works on. */
export function toScale(object: KubeJson): KubeJson {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = selectorText(object["spec"].selector);
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, ...(namespace && { namespace }), uid, resourceVersion, creationTimestamp },
    spec: { replicas: object["spec"].replicas ?? 0 },
    status: { replicas: object["status"]?.replicas ?? 0, ...(selector && { selector }) },
  };
}

/** The object with the replicas of a Scale. */
export function fromScale(object: KubeJson, scale: Json): Json {
  const replicas = scale?.spec?.replicas ?? 0;
  if (replicas < 0) {
    throw invalid("Scale", "autoscaling", object.metadata.name, [
      {
        reason: "FieldValueInvalid",
        message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
        field: "spec.replicas",
      },
    ]);
  }
  const { resourceVersion } = scale.metadata ?? {};
  return {
    ...object,
    metadata: { ...object.metadata, ...(resourceVersion && { resourceVersion }) },
    spec: { ...object["spec"], replicas },
  };
}

/** A LabelSelector in the form of a query parameter. */
export function selectorText(selector: Json): string {
  return (labelSelectorRequirements(selector) ?? [])
    .map(({ key, operator, values }) => {
      if (operator === "Exists") return key;
      if (operator === "DoesNotExist") return `!${key}`;
      if (operator === "In" && values.length === 1) return `${key}=${values[0]}`;
      return `${key} ${operator === "In" ? "in" : "notin"} (${[...values].sort().join(",")})`;
    })
    .sort()
    .join(",");
}
