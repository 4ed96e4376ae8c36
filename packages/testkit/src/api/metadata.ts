import type { Json } from "../json.ts";
import type { KubeJson, Store } from "../store.ts";
import { withoutEmpty } from "./empty-metadata.ts";
import { STRATEGIES } from "./kinds/index.ts";
import { randomSuffix } from "./kinds/pod.ts";
import { nameRule } from "./kinds/strategy.ts";
import type { Resource } from "./resources.ts";
import { notFound, StatusError } from "./status.ts";
import { type FieldErrors, validateAnnotations, validateLabels } from "./validation.ts";

/** A name from `generateName`. Throws Status 409 where none is free after eight tries. */
export function generatedName(resource: Resource, namespace: string, base: string, store: Store): string {
  for (let tries = 0; tries < 8; tries++) {
    const name = `${base.slice(0, 58)}${randomSuffix()}`;
    if (!store.get(resource.key, namespace || undefined, name)) return name;
  }
  throw new StatusError(
    409,
    "AlreadyExists",
    `${resource.key} "${base}" already exists, the server was not able to generate a unique name for the object`,
    {
      name: base,
      kind: resource.plural,
    },
  );
}

/** A client's metadata with what belongs to the server put back. */
export function ownMetadata(metadata: Json, old: KubeJson): Json {
  const { deletionTimestamp, deletionGracePeriodSeconds, creationTimestamp, uid, generation, name, namespace } = old.metadata;
  const { selfLink: _selfLink, ...rest } = metadata;
  const own = { name, namespace, uid, creationTimestamp, generation, deletionTimestamp, deletionGracePeriodSeconds };
  return withoutEmpty({ ...rest, ...own });
}

export function validateMetadata(resource: Resource, object: Json, old: KubeJson | undefined, errors: FieldErrors): void {
  const { metadata } = object;
  if (!metadata.name) errors.required("metadata.name", "name or generateName is required");
  else if (!old) {
    const wrong = nameRule(STRATEGIES[resource.key])(metadata.name);
    if (wrong) errors.invalid("metadata.name", metadata.name, wrong);
  }
  validateLabels(errors, "metadata.labels", metadata.labels);
  validateAnnotations(errors, "metadata.annotations", metadata.annotations);
  if (old?.metadata.deletionTimestamp) {
    const added = ((metadata.finalizers ?? []) as string[]).filter((name) => !old.metadata.finalizers?.includes(name));
    if (added.length > 0) {
      errors.forbidden(
        "metadata.finalizers",
        `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((name) => `"${name}"`).join(", ")}}`,
      );
    }
  }
  const owners = (metadata.ownerReferences ?? []) as Json[];
  owners.forEach((owner, i) => {
    for (const field of ["apiVersion", "kind", "name", "uid"]) {
      if (!owner[field])
        errors.invalid(
          `metadata.ownerReferences[${i}].${field}`,
          owner[field] ?? "",
          `${field === "apiVersion" ? "version" : field} must not be empty`,
        );
    }
  });
  if (owners.filter((owner) => owner.controller).length > 1) {
    errors.invalid("metadata.ownerReferences", owners, "Only one reference can have Controller set to true");
  }
}

/** Throws Status 404 or 403 where nothing can be made in a namespace. */
export function checkNamespace(store: Store, resource: Resource, namespace: string, name: string): void {
  const found = store.get("namespaces", undefined, namespace);
  if (!found) throw notFound("namespaces", namespace);
  if (found["status"]?.phase !== "Terminating") return;
  throw new StatusError(
    403,
    "Forbidden",
    `${resource.key} "${name}" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
    {
      name,
      ...(resource.group && { group: resource.group }),
      kind: resource.plural,
      causes: [
        { reason: "NamespaceTerminating", message: `namespace ${namespace} is being terminated`, field: "metadata.namespace" },
      ],
    },
  );
}
