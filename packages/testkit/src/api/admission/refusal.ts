import type { Json } from "../../json.ts";
import type { Resource } from "../resources.ts";
import { StatusError } from "../status.ts";

/** What admission refuses, in the words of the real server. */
export function forbiddenBy(resource: Resource, object: Json, why: string): StatusError {
  // An object whose name is yet to be generated is named by what there is of it.
  const name: string = object.metadata.name ?? object.metadata.generateName ?? "Unknown";
  return new StatusError(403, "Forbidden", `${resource.key} ${JSON.stringify(name)} is forbidden: ${why}`, {
    name,
    ...(resource.group && { group: resource.group }),
    kind: resource.plural,
  });
}
