import { copyJson, type Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import type { Call } from "./call.ts";
import { encodeList, encodeObject } from "./encode.ts";
import { type Form, negotiate } from "./negotiation.ts";
import type { Resource } from "./resources.ts";
import { send } from "./responses.ts";
import { partialMetadata, renderTable, type TableOptions } from "./tables/table.ts";

export const tableOptions = (form: Form & { as: "table" }, query: URLSearchParams): TableOptions => {
  const include = query.get("includeObject");
  return { include: include === "Object" || include === "None" ? include : "Metadata", version: form.version, now: Date.now() };
};

export function contentType(form: Form): string {
  if (form.as === "table") return `application/json;as=Table;v=${form.version};g=meta.k8s.io`;
  if (form.as === "partial") return `application/json;as=PartialObjectMetadata;v=${form.version};g=meta.k8s.io`;
  return form.as === "object" && form.yaml ? "application/yaml" : "application/json";
}

/** Answers with an object in the form that the client asked for. */
export async function respond(call: Call, resource: Resource, code: number, object: KubeJson): Promise<void> {
  const form = negotiate(call.request.headers.accept);
  if (form.as === "table") {
    const table = renderTable(
      resource,
      [object],
      { resourceVersion: object.metadata.resourceVersion },
      tableOptions(form, call.query),
    );
    return send(call.response, code, JSON.stringify(table), contentType(form));
  }
  if (form.as === "partial")
    return send(call.response, code, JSON.stringify(partialMetadata(object, form.version)), contentType(form));
  if (form.as === "object" && form.yaml) return respondYaml(call, code, object);
  send(call.response, code, encodeObject(object));
}

/** The same for what is no object of a kind: it has no Table. */
export async function respondJson(call: Call, code: number, body: Json): Promise<void> {
  const form = negotiate(call.request.headers.accept);
  if (form.as === "object" && form.yaml) return respondYaml(call, code, body);
  send(call.response, code, JSON.stringify(body));
}

async function respondYaml(call: Call, code: number, body: Json): Promise<void> {
  const { stringify } = await import("yaml");
  send(call.response, code, stringify(copyJson(body)), "application/yaml");
}

export async function respondList(call: Call, resource: Resource, items: readonly KubeJson[], metadata: object): Promise<void> {
  const form = negotiate(call.request.headers.accept);
  const apiVersion = resource.group ? `${resource.group}/${resource.version}` : resource.version;
  if (form.as === "table") {
    return send(
      call.response,
      200,
      JSON.stringify(renderTable(resource, items, metadata, tableOptions(form, call.query))),
      contentType(form),
    );
  }
  if (form.as === "partial") {
    const list = {
      kind: "PartialObjectMetadataList",
      apiVersion: `meta.k8s.io/${form.version}`,
      metadata,
      items: items.map((item) => partialMetadata(item, form.version)),
    };
    return send(call.response, 200, JSON.stringify(list), contentType(form).replace("Metadata;", "MetadataList;"));
  }
  if (form.as === "object" && form.yaml)
    return respondYaml(call, 200, { kind: `${resource.kind}List`, apiVersion, metadata, items });
  send(call.response, 200, encodeList({ kind: `${resource.kind}List`, apiVersion, metadata }, items, !resource.custom));
}
