import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import { applyPatch, MERGE_PATCH, STRATEGIC_PATCH } from "./patch/patch.ts";
import type { Registry } from "./registry.ts";
import { badRequest } from "./status.ts";

/** Creates objects, or merges them into those that are there; a `List` counts as its items. Throws the API's Status errors. */
export async function applyManifests(registry: Registry, manifests: readonly object[] | string): Promise<KubeJson[]> {
  const objects = typeof manifests === "string" ? await documents(manifests) : manifests;
  const out: KubeJson[] = [];
  for (const object of objects.flatMap((item): Json[] => ((item as Json).kind === "List" ? (item as Json).items : [item]))) {
    const resource = registry.findKind(object?.apiVersion ?? "", object?.kind ?? "");
    if (!resource) throw badRequest(`no matches for kind "${object?.kind}" in version "${object?.apiVersion}"`);
    const namespace = resource.namespaced ? (object.metadata?.namespace ?? "default") : "";
    const name = object.metadata?.name;
    const found = name && registry.store.get(resource.key, namespace || undefined, name);
    if (found) {
      const merged = applyPatch(resource, found, object, resource.custom ? MERGE_PATCH : STRATEGIC_PATCH);
      out.push(registry.update(resource, namespace, name, merged));
    } else out.push(registry.create(resource, namespace, object, { trusted: true }));
  }
  return out;
}

async function documents(text: string): Promise<object[]> {
  const { parseAllDocuments } = await import("yaml");
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw badRequest(`error parsing YAML: ${document.errors[0]!.message}`);
    return document.toJS() ?? [];
  });
}
