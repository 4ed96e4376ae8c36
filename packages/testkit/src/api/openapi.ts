import type { Json } from "../json.ts";
import { openApiV2Protobuf } from "./openapi-v2.ts";
import type { Resource } from "./resources.ts";
import type { Field, FieldType, MessageType } from "./schema/notation.ts";
import { kindType, messageType } from "./schema/types.ts";

export interface OpenApi {
  /** The document at `/openapi/v2` or under `/openapi/v3`; undefined where there is none. */
  document(path: string, accept: string): { body: Buffer | string; contentType: string } | undefined;
}

const V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2";
const INFO = { title: "Kubernetes", version: "v1.36.0" };
const V3 = "/openapi/v3";

/**
 * What kubectl looks up before it applies, patches or explains. Version 3 describes the built-in kinds; version 2, which old clients
 * want, says so little that they leave validation to the server.
 */
export function openApi(resources: () => readonly Resource[]): OpenApi {
  const documents = new Map<string, string>();
  const groupVersions = (): Map<string, Resource[]> => {
    const out = new Map<string, Resource[]>();
    for (const resource of resources()) {
      const path = resource.group ? `apis/${resource.group}/${resource.version}` : `api/${resource.version}`;
      out.set(path, [...(out.get(path) ?? []), resource]);
    }
    return out;
  };
  return {
    document(path, accept) {
      if (path === "/openapi/v2") {
        if (!accept.includes(V2_PROTOBUF)) {
          return json({ swagger: "2.0", info: INFO, paths: {}, definitions: {} });
        }
        // Asked for with `@v1.0`, which is no media type that Go's parser takes.
        return { body: openApiV2Protobuf(resources(), INFO), contentType: `${V2_PROTOBUF}.v1.0+protobuf` };
      }
      const all = groupVersions();
      if (path === V3 || path === `${V3}/`) {
        return json({ paths: Object.fromEntries([...all.keys()].map((key) => [key, { serverRelativeURL: `${V3}/${key}` }])) });
      }
      const key = path.startsWith(`${V3}/`) ? path.slice(V3.length + 1) : "";
      const list = all.get(key);
      if (!list) return undefined;
      const custom = list.some((resource) => resource.custom);
      const known = custom ? undefined : documents.get(key);
      const body = known ?? JSON.stringify(v3Document(list));
      if (!custom) documents.set(key, body);
      return { body, contentType: "application/json" };
    },
  };
}

const json = (document: object): { body: string; contentType: string } => ({
  body: JSON.stringify(document),
  contentType: "application/json",
});

function v3Document(list: readonly Resource[]): Json {
  const schemas: Record<string, Json> = {};
  const paths: Record<string, Json> = {};
  for (const resource of list) {
    const { group, version, kind, plural, namespaced } = resource;
    const gvk = { group, version, kind };
    const base = group ? `/apis/${group}/${version}` : `/api/${version}`;
    const operation = (action: string): Json => ({
      parameters: ["dryRun", "fieldManager", "fieldValidation"].map((name) => ({ name, in: "query", schema: { type: "string" } })),
      "x-kubernetes-action": action,
      "x-kubernetes-group-version-kind": gvk,
      responses: { 200: { description: "OK" } },
    });
    const collection = `${base}${namespaced ? "/namespaces/{namespace}" : ""}/${plural}`;
    paths[collection] = { post: operation("post") };
    paths[`${collection}/{name}`] = { put: operation("put"), patch: operation("patch") };
    const type = kindType(resource);
    const schema: Json = type ? schemaOf(type, schemas) : { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    schema.properties = { apiVersion: { type: "string" }, kind: { type: "string" }, ...schema.properties };
    schema["x-kubernetes-group-version-kind"] = [gvk];
    schemas[kind] = schema;
  }
  return { openapi: "3.0.0", info: INFO, paths, components: { schemas } };
}

/** A type's schema; those that it refers to are put beside it. */
function schemaOf(type: MessageType, schemas: Record<string, Json>): Json {
  return {
    type: "object",
    ...(type.atomic && { "x-kubernetes-map-type": "atomic" }),
    properties: Object.fromEntries([...type.fields.values()].map((field) => [field.name, fieldSchema(field, schemas)])),
  };
}

function fieldSchema(field: Field, schemas: Record<string, Json>): Json {
  const schema = typeSchema(field.type, schemas);
  if (field.keys.length > 0) {
    Object.assign(schema, {
      ...(field.atomic
        ? { "x-kubernetes-list-type": "atomic" }
        : { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": field.keys }),
      "x-kubernetes-patch-merge-key": field.keys[0],
      "x-kubernetes-patch-strategy": "merge",
    });
  } else if (field.set) Object.assign(schema, { "x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge" });
  else if (field.type.is === "list") schema["x-kubernetes-list-type"] = "atomic";
  return schema;
}

const SCALARS: Readonly<Record<string, Json>> = {
  s: { type: "string" },
  y: { type: "string", format: "byte" },
  i: { type: "integer" },
  b: { type: "boolean" },
  f: { type: "number" },
  q: { type: "string" },
  x: { type: "string", format: "int-or-string" },
  t: { type: "string", format: "date-time" },
  u: { type: "string", format: "date-time" },
};

function typeSchema(type: FieldType, schemas: Record<string, Json>): Json {
  if (type.is === "list") return { type: "array", items: typeSchema(type.of, schemas) };
  if (type.is === "map") return { type: "object", additionalProperties: typeSchema(type.of, schemas) };
  if (type.is === "scalar") return { ...(SCALARS[type.code] ?? { type: "object" }) };
  if (!schemas[type.name]) {
    const message = messageType(type.name);
    if (!message) return { type: "object" };
    // Before its own fields are looked at, so that a type may refer to itself.
    schemas[type.name] = {};
    schemas[type.name] = schemaOf(message, schemas);
  }
  return { allOf: [{ $ref: `#/components/schemas/${type.name}` }] };
}
