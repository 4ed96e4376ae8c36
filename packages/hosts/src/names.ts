import { isIP } from "node:net";
import { type HostsEntry, isHostName } from "@shipside/core";
import { hostsError } from "./errors.ts";

/** IPv4 or IPv6; a zone (`fe80::1%lo0`) only in characters that can't end the field. */
export function isAddress(address: unknown): address is string {
  return typeof address === "string" && isIP(address) !== 0 && /^[0-9a-z:.]+(?:%[\w.-]+)?$/i.test(address);
}

/** Throws `HOSTS_INVALID_ENTRY` (details: `index`, `value`) for the first entry that may not be written. */
export function checkEntries(entries: readonly HostsEntry[]): void {
  if (!Array.isArray(entries)) throw invalid("entries must be an array", -1, entries);
  entries.forEach((entry: HostsEntry | null | undefined, index) => {
    if (!isAddress(entry?.address)) {
      throw invalid(`entry ${index}: ${show(entry?.address)} is not an IPv4 or IPv6 address`, index, entry?.address);
    }
    if (!Array.isArray(entry.names) || entry.names.length === 0) {
      throw invalid(`entry ${index} (${entry.address}): names must be an array of at least one name`, index, entry.names);
    }
    for (const name of entry.names) {
      if (!isHostName(name)) throw invalid(`entry ${index} (${entry.address}): ${show(name)} is not a host name`, index, name);
    }
  });
}

const show = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value.slice(0, 300)) : String(value));

const invalid = (message: string, index: number, value: unknown): Error =>
  hostsError("HOSTS_INVALID_ENTRY", message, {
    hint: "a name is labels of letters, digits and inner hyphens (at most 63 each, 253 together) joined by dots",
    details: { index, value: typeof value === "string" ? value : null },
  });
