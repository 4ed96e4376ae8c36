import type { KubeJson } from "../store.ts";

/** The bytes of a version of an object, made once: `whole` has kind and apiVersion first, `item` is what follows them. */
interface Encoded {
  whole: Buffer;
  item: Buffer;
}

const cache = new WeakMap<object, Encoded>();

function encoded(object: KubeJson): Encoded {
  let found = cache.get(object);
  if (found) return found;
  const { kind, apiVersion, ...rest } = object;
  const head = JSON.stringify({ kind, apiVersion });
  const body = JSON.stringify(rest);
  const whole = Buffer.from(`${head.slice(0, -1)},${body.slice(1)}`);
  found = { whole, item: whole.subarray(Buffer.byteLength(head)) };
  if (Object.isFrozen(object)) cache.set(object, found);
  return found;
}

export const encodeObject = (object: KubeJson): Buffer => encoded(object).whole;

const OPEN = Buffer.from("{");
const COMMA = Buffer.from(",");

/** A list is the concatenation of its items' bytes. `typed` items say no kind, as those of built-in kinds do. */
export function encodeList(
  head: { kind: string; apiVersion: string; metadata: object },
  items: readonly KubeJson[],
  typed: boolean,
): Buffer {
  const parts: Buffer[] = [Buffer.from(`${JSON.stringify(head).slice(0, -1)},"items":[`)];
  items.forEach((object, i) => {
    if (i > 0) parts.push(COMMA);
    if (typed) parts.push(OPEN, encoded(object).item);
    else parts.push(encoded(object).whole);
  });
  parts.push(Buffer.from("]}\n"));
  return Buffer.concat(parts);
}
