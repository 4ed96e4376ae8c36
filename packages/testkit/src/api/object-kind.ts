import type { Json } from "../json.ts";
import type { WriteOptions } from "./registry.ts";
import type { Resource } from "./resources.ts";
import { conform } from "./schema/decode.ts";
import { kindType } from "./schema/types.ts";
import { badRequest } from "./status.ts";

/** Sees to it that a body is of the kind it was sent as, and takes out fields that the kind doesn't have. Changes `body`. */
export function checkKind(resource: Resource, body: Json, options: WriteOptions): void {
  const apiVersion = resource.group ? `${resource.group}/${resource.version}` : resource.version;
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: json: cannot unmarshal ${Array.isArray(body) ? "array" : typeof body} into Go value of type ${resource.version}.${resource.kind}`,
    );
  }
  if (body.kind !== undefined && body.kind !== resource.kind) {
    throw badRequest(
      `${body.kind} in version "${String(body.apiVersion).split("/").pop()}" cannot be handled as a ${resource.kind}: converting (${body.kind}) to (${resource.kind}): unknown conversion`,
    );
  }
  if (body.apiVersion !== undefined && body.apiVersion !== apiVersion) {
    throw badRequest(`the API version in the data (${body.apiVersion}) does not match the expected API version (${apiVersion})`);
  }
  const type = kindType(resource);
  const unknown = type ? conform(body, type, resource.kind, resource.version) : [];
  if (unknown.length > 0 && options.strictness === "Strict") {
    const each = unknown.map((path) => `unknown field "${path}"`).join(", ");
    throw badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: strict decoding error: ${each}`,
    );
  }
  if (options.strictness === "Warn") for (const path of unknown) options.warn?.(`unknown field "${path}"`);
  body.kind = resource.kind;
  body.apiVersion = apiVersion;
  body.metadata ??= {};
}
