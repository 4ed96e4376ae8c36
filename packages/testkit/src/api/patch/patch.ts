import type { Json } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import type { Resource } from "../resources.ts";
import { kindType } from "../schema/types.ts";
import { badRequest, unsupportedMediaType } from "../status.ts";
import { applyJsonPatch } from "./json-patch.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { applyStrategicPatch } from "./strategic-patch.ts";

const JSON_PATCH = "application/json-patch+json";
export const MERGE_PATCH = "application/merge-patch+json";
export const STRATEGIC_PATCH = "application/strategic-merge-patch+json";
export const APPLY_PATCH = "application/apply-patch+yaml";

/** The object that a patch other than an apply makes of `current`; neither is changed. Throws Status 400, 415, 422. */
export function applyPatch(resource: Resource, current: KubeJson, patch: Json, type: string): Json {
  const accepted = [JSON_PATCH, MERGE_PATCH, ...(resource.custom ? [] : [STRATEGIC_PATCH]), APPLY_PATCH];
  if (!accepted.includes(type)) {
    throw unsupportedMediaType(
      `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
    );
  }
  if (type === JSON_PATCH) return applyJsonPatch(current, patch);
  if (typeof patch !== "object" || patch === null || Array.isArray(patch))
    throw badRequest("error decoding patch: the patch must be an object");
  if (type === STRATEGIC_PATCH) return applyStrategicPatch(current, patch, kindType(resource));
  return applyMergePatch(current, patch);
}
