import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { run } from "./program.ts";

let last: Promise<unknown> = Promise.resolve();

/** Has them on `lo`. Rejects with what `ip` says. */
export function addAddresses(addresses: readonly string[]): Promise<void> {
  const turn = last.then(async () => {
    const there = new Set((networkInterfaces()["lo"] ?? []).map(({ address }) => address));
    const missing = [...new Set(addresses)].filter((address) => !there.has(address) && !address.startsWith("127."));
    if (missing.length > 0) await run("ip", ["-force", "-batch", "-"], `${missing.map(addLine).join("\n")}\n`);
  });
  last = turn.catch(() => {});
  return turn;
}

/** IPv6: nobody else is there who could have it, so it needn't be asked for (`nodad`). */
const addLine = (address: string): string =>
  isIPv6(address) ? `address add ${address}/128 dev lo nodad` : `address add ${address}/32 dev lo`;
