import { createHash } from "node:crypto";

/**
 * Addresses in the order in which a client is sent to them, which every replica finds alike and without remembering any (rendezvous
 * hashing): one that comes or goes moves its own clients only.
 */
export function inOrderFor(client: string, addresses: readonly string[]): string[] {
  const weigh = (address: string): string => createHash("sha256").update(`${client} ${address}`).digest("hex");
  return [...new Set(addresses)]
    .map((address) => ({ address, weight: weigh(address) }))
    .sort((a, b) => (a.weight < b.weight ? 1 : -1))
    .map(({ address }) => address);
}
