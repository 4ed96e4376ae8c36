import { spawn } from "node:child_process";
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { text } from "node:stream/consumers";

let last: Promise<unknown> = Promise.resolve();

/** Has them on `lo`. Rejects with what `ip` says. */
export function addAddresses(addresses: readonly string[]): Promise<void> {
  const turn = last.then(async () => {
    const there = new Set((networkInterfaces()["lo"] ?? []).map(({ address }) => address));
    const missing = [...new Set(addresses)].filter((address) => !there.has(address) && !address.startsWith("127."));
    if (missing.length > 0) await ip(missing.map((address) => addLine(address)));
  });
  last = turn.catch(() => {});
  return turn;
}

/** IPv6: nobody else is there who could have it, so it needn't be asked for (`nodad`). */
const addLine = (address: string): string =>
  isIPv6(address) ? `address add ${address}/128 dev lo nodad` : `address add ${address}/32 dev lo`;

async function ip(lines: readonly string[]): Promise<void> {
  const child = spawn("ip", ["-force", "-batch", "-"], { stdio: ["pipe", "ignore", "pipe"] });
  child.stdin.on("error", () => {});
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  child.stdin.end(`${lines.join("\n")}\n`);
  const [code, said] = await Promise.all([ended, text(child.stderr)]);
  if (code !== 0) throw new Error(`ip ended with ${code}: ${said.trim()}`);
}
