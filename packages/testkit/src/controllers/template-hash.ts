import type { Json } from "../json.ts";

const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/**
 * The value of `pod-template-hash` and of revisions' names: FNV-1a over the template in a fixed order of keys, in letters that make
 * no words. As long as the real one's; not the same value, which hashes Go's own dump.
 */
export function templateHash(template: Json, collisions = 0): string {
  let hash = 0x811c9dc5;
  const text = stable(template) + (collisions > 0 ? `#${collisions}` : "");
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return [...String(hash)].map((digit) => ALPHABET[digit.charCodeAt(0) % ALPHABET.length]).join("");
}

function stable(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(stable).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.keys(value).filter((key) => value[key] !== undefined);
  return `{${fields
    .sort()
    .map((key) => `${JSON.stringify(key)}:${stable(value[key])}`)
    .join(",")}}`;
}
