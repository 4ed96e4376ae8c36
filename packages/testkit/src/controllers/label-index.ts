import { type LabelRequirement, matchesLabels } from "../api/selectors.ts";
import type { KubeJson, Store, StoreEvent } from "../store.ts";

/** Finds objects by a selector without looking at all of them. */
export interface LabelIndex {
  observe(event: StoreEvent): void;
  /** In name order. */
  matching(namespace: string, requirements: readonly LabelRequirement[]): KubeJson[];
}

export function createLabelIndex(store: Store, resource: string): LabelIndex {
  /** `namespace/key=value` → names. */
  const names = new Map<string, Set<string>>();
  const eachLabel = ({ metadata }: KubeJson, visit: (label: string, name: string) => void): void => {
    for (const [key, value] of Object.entries(metadata.labels ?? {})) visit(`${metadata.namespace}/${key}=${value}`, metadata.name);
  };
  const add = (object: KubeJson): void =>
    eachLabel(object, (label, name) => {
      const known = names.get(label);
      if (known) known.add(name);
      else names.set(label, new Set([name]));
    });
  const remove = (object: KubeJson): void =>
    eachLabel(object, (label, name) => {
      const known = names.get(label);
      known?.delete(name);
      if (known?.size === 0) names.delete(label);
    });
  for (const object of store.list(resource)) add(object);
  return {
    observe(event) {
      if (event.resource !== resource) return;
      if (event.type === "MODIFIED" && event.object.metadata.labels === event.previous?.metadata.labels) return;
      if (event.previous) remove(event.previous);
      if (event.type !== "DELETED") add(event.object);
    },
    matching(namespace, requirements) {
      const exact = requirements.find(({ operator, values }) => operator === "In" && values.length === 1);
      const candidates = exact
        ? [...(names.get(`${namespace}/${exact.key}=${exact.values[0]}`) ?? [])]
            .sort()
            .map((name) => store.get(resource, namespace, name))
        : store.list(resource, namespace);
      return candidates.filter(
        (object) => object !== undefined && matchesLabels(requirements, object.metadata.labels),
      ) as KubeJson[];
    },
  };
}
