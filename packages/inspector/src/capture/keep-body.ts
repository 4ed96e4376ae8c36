import type { Body } from "../exchange.ts";

export interface BodyKeeper extends Body {
  /** Counts `part` and keeps what fits; says by how many bytes the memory grew. The bytes are copied: a small part would hold its whole chunk. */
  add(part: Uint8Array): number;
}

const NOTHING = Buffer.alloc(0);
/** Up to here a body shares its memory with its neighbours, which come and go with it: to ask for its own costs more than to read it. */
const SMALL = 2048;

export function keepBody(limit: number): BodyKeeper {
  let store = NOTHING;
  let used = 0;
  return {
    bytes: 0,
    get kept() {
      return store.subarray(0, used);
    },
    add(part) {
      this.bytes += part.length;
      const room = Math.min(part.length, limit - used);
      if (room <= 0) return 0;
      const before = store.length;
      if (used + room > store.length) {
        // The first part decides: most bodies come in one.
        const size = used === 0 ? room : Math.min(limit, Math.max(2 * store.length, used + room));
        const larger = size <= SMALL ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
        store.copy(larger, 0, 0, used);
        store = larger;
      }
      store.set(part.subarray(0, room), used);
      used += room;
      return store.length - before;
    },
  };
}
