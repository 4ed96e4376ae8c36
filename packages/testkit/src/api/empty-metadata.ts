import type { ObjectMeta } from "../store.ts";

/** Takes out what the API omits where it is empty. `metadata` is changed. */
export function withoutEmpty<T extends Partial<ObjectMeta>>(metadata: T): T {
  for (const key of ["labels", "annotations", "finalizers", "ownerReferences"] as const) {
    const value = metadata[key];
    if (value === null || (value && Object.keys(value).length === 0)) delete metadata[key];
  }
  return metadata;
}
