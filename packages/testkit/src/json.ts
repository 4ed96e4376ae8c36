// biome-ignore lint/suspicious/noExplicitAny: JSON of any shape
export type Json = any;

/** A copy that shares nothing with the original and may be changed. */
export function copyJson<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyJson) as T;
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[key];
    if (field !== undefined) out[key] = copyJson(field);
  }
  return out as T;
}

/** The same JSON: order of keys and undefined fields don't count. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => sameJson(item, b[i]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  let fields = 0;
  for (const key of Object.keys(left)) {
    if (left[key] === undefined) continue;
    fields++;
    if (right[key] === undefined || !sameJson(left[key], right[key])) return false;
  }
  for (const key of Object.keys(right)) if (right[key] !== undefined) fields--;
  return fields === 0;
}

/**
 * A deeply frozen copy of `value` that shares with `previous` (frozen already) whatever is equal, so that versions of an object cost
 * only what differs. Returns `previous` itself where nothing does. Undefined fields are left out.
 */
export function freezeSharing<T>(value: T, previous?: unknown): T {
  if (typeof value !== "object" || value === null) return value;
  if (value === previous) return value;
  if (Array.isArray(value)) {
    const before = Array.isArray(previous) ? previous : [];
    let same = Array.isArray(previous) && before.length === value.length;
    const out = value.map((item, i) => {
      const frozen = freezeSharing(item, before[i]);
      if (frozen !== before[i]) same = false;
      return frozen;
    });
    return (same ? previous : Object.freeze(out)) as T;
  }
  const before = (typeof previous === "object" && previous !== null && !Array.isArray(previous) ? previous : {}) as Record<
    string,
    unknown
  >;
  let same = before === previous;
  let fields = 0;
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[key];
    if (field === undefined) continue;
    fields++;
    const frozen = freezeSharing(field, before[key]);
    if (frozen !== before[key] || !(key in before)) same = false;
    out[key] = frozen;
  }
  if (same && Object.keys(before).length === fields) return previous as T;
  return Object.freeze(out) as T;
}
