import { isIPv4, isIPv6 } from "node:net";
import type { HostsEntry } from "@shipside/core";
import type { LineRules } from "./platform.ts";

/** The lines that give `entries`, without their ends, each closed by `tag`. The entries have been checked. */
export function renderLines(entries: readonly HostsEntry[], tag: string, rules: LineRules): string[] {
  const lines: string[] = [];
  const written = new Set<string>();
  for (const { address, names } of withCompanions(entries, rules)) {
    const fresh = names.filter((name) => {
      const pair = `${address} ${name.toLowerCase()}`;
      return !written.has(pair) && written.add(pair);
    });
    let line = "";
    let count = 0;
    for (const name of fresh) {
      if (count === rules.maxNames || (count > 0 && line.length + 1 + name.length + tag.length > rules.maxBytes)) {
        lines.push(line + tag);
        count = 0;
      }
      line = count++ === 0 ? `${address} ${name}` : `${line} ${name}`;
    }
    if (count > 0) lines.push(line + tag);
  }
  return lines;
}

/**
 * Adds the IPv6 line that `.local` names need on macOS, as the IPv4-mapped form of the same address: `::1` would lead to whatever
 * else listens there on that port, most likely the developer's own service.
 */
function withCompanions(entries: readonly HostsEntry[], rules: LineRules): HostsEntry[] {
  if (!rules.ipv6ForLocal) return [...entries];
  const haveIPv6 = new Set(entries.filter((entry) => isIPv6(entry.address)).flatMap((entry) => entry.names.map(lower)));
  return entries.flatMap((entry) => {
    const local = isIPv4(entry.address)
      ? entry.names.filter((name) => lower(name).endsWith(".local") && !haveIPv6.has(lower(name)))
      : [];
    return local.length > 0 ? [entry, { address: `::ffff:${entry.address}`, names: local }] : [entry];
  });
}

const lower = (name: string): string => name.toLowerCase();
