import { isIP } from "node:net";
import type { HostsEntry } from "@shipside/core";
import { hostsError } from "./errors.ts";

const NAME = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/** RFC 1123 section 2.1, with RFC 1035's limits: 63 a label, 253 in all. Something that reads as an address is not a name. */
export function isHostName(name: unknown): name is string {
  return typeof name === "string" && NAME.test(name) && isIP(name) === 0;
}

/**
 * Names that who writes for somebody less privileged leaves alone: those that a machine's own programs rely on (`localhost` and what is
 * below it by RFC 6761, and what the hosts files of Linux and macOS come with), and those that inet_aton(3) reads as an address, because
 * their last label is a number (`127.1`).
 */
export function isReservedName(name: string): boolean {
  return /(?:^|\.)(?:localhost|\d+|0x[\da-f]*)$|^localhost\.localdomain$|^broadcasthost$|^ip6-(?:local|loop|mcast|all)/i.test(name);
}

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
