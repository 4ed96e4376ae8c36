import type { Json } from "../../json.ts";

/** RFC 7386. Shares what it doesn't change; changes neither argument. */
export function applyMergePatch(document: Json, patch: Json): Json {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const out: Record<string, Json> =
    typeof document === "object" && document !== null && !Array.isArray(document) ? { ...document } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else out[key] = applyMergePatch(out[key], value);
  }
  return out;
}
