import { nodeError } from "../errors.ts";

export interface AddressPool {
  take(): string;
  give(address: string): void;
}

/** Addresses `prefix.x.y` from `first` on, round and round, so that a freed one isn't given out again at once. */
export function createAddressPool(prefix: string, first = 2, size = 65_000): AddressPool {
  const taken = new Set<number>();
  let next = 0;
  const text = (n: number): string => `${prefix}.${((n + first) >> 8) & 255}.${(n + first) & 255}`;
  return {
    take() {
      if (taken.size >= size) {
        throw nodeError("NODE_ADDRESSES_EXHAUSTED", `all ${size} pod addresses of ${prefix}.0.0/16 are in use`, {
          hint: "delete pods first",
        });
      }
      while (taken.has(next)) next = (next + 1) % size;
      const n = next;
      taken.add(n);
      next = (n + 1) % size;
      return text(n);
    },
    give(address) {
      const [, , high, low] = address.split(".").map(Number);
      taken.delete(high! * 256 + low! - first);
    },
  };
}
