import type { IpPool } from "./ip-pool.ts";

/** Addresses by service, from the pool, where those asked for at the same time are one transaction. */
export interface AddressBook {
  addressOf(namespace: string, service: string, hostname?: string): Promise<string>;
  /** The service is gone, and so is the use of its addresses. */
  release(namespace: string, service: string): void;
}

export function addressBook(pool: IpPool, context: string): AddressBook {
  /** Of the services that are there. */
  const known = new Map<string, string>();
  const asked = new Map<string, Array<{ resolve(address: string): void; reject(error: unknown): void }>>();

  const answer = async (): Promise<void> => {
    const batch = new Map(asked);
    asked.clear();
    const settle = async (keys: readonly string[]): Promise<void> => {
      try {
        for (const [key, address] of await pool.assign(keys, new Set(known.keys()))) {
          known.set(key, address);
          for (const { resolve } of batch.get(key) ?? []) resolve(address);
        }
      } catch (error) {
        // One key too many must not cost the others theirs.
        if (keys.length > 1) for (const key of keys) await settle([key]);
        else for (const { reject } of batch.get(keys[0]!) ?? []) reject(error);
      }
    };
    await settle([...batch.keys()]);
  };

  const keyOf = (...names: string[]): string => [context, ...names].join("/");
  return {
    release(namespace, service) {
      const own = keyOf(namespace, service);
      for (const key of known.keys()) if (key === own || key.startsWith(`${own}/`)) known.delete(key);
    },
    addressOf(namespace, service, hostname) {
      const key = keyOf(namespace, service, ...(hostname === undefined ? [] : [hostname]));
      const address = known.get(key);
      if (address !== undefined) return Promise.resolve(address);
      return new Promise((resolve, reject) => {
        if (asked.size === 0) setImmediate(() => void answer());
        asked.set(key, [...(asked.get(key) ?? []), { resolve, reject }]);
      });
    },
  };
}
