import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import type { HostsConflict, HostsEntry } from "@shipside/core";
import { ownerOf, ownLineNumbers } from "./block.ts";

type ReadLines = (path: string, keepAll: true) => Array<string | [string, string]>;

/**
 * Names of `entries` that lines of others give another address. The only place where `hostile` is used: it is loaded by the first
 * call, so that whoever writes without asking for conflicts (a privileged process) never has it in memory.
 */
export async function findConflicts(path: string, owner: string, entries: readonly HostsEntry[]): Promise<HostsConflict[]> {
  const { default: hostile } = await import("hostile");
  return conflictsOf(readForeign(path, owner, hostile.getFile), entries);
}

interface ForeignLine {
  address: string;
  names: string[];
  line: number;
  /** Of another owner's line. */
  owner: string | undefined;
}

/** hostile reads by path, so the file is read on both sides of it until nobody has written in between. */
function readForeign(path: string, owner: string, getFile: ReadLines): ForeignLine[] {
  for (let attempt = 0; ; attempt++) {
    const text = readFileSync(path, "latin1");
    const lines = getFile(path, true);
    if (attempt < 5 && readFileSync(path, "latin1") !== text) continue;
    const own = ownLineNumbers(text, owner);
    const written = text.split("\n");
    return lines.flatMap((found, index) => {
      // A string is a comment or nothing. Of an entry hostile tells only two fields, and not always the right ones: together they are.
      if (typeof found === "string" || own.has(index + 1)) return [];
      const [address = "", ...names] = found
        .join(" ")
        .replace(/^\uFEFF/, "")
        .trim()
        .split(/\s+/);
      return [{ address, names, line: index + 1, owner: ownerOf(written[index] ?? "") }];
    });
  }
}

/** One conflict a name and foreign line, in the file's order. */
function conflictsOf(foreign: readonly ForeignLine[], entries: readonly HostsEntry[]): HostsConflict[] {
  const taken = new Set(foreign.flatMap(({ names }) => names.map((name) => name.toLowerCase())));
  const ours = new Map<string, string[]>();
  for (const { address, names } of entries) {
    for (const name of names) {
      const key = name.toLowerCase();
      if (taken.has(key)) ours.set(key, [...(ours.get(key) ?? []), address]);
    }
  }
  return foreign.flatMap(({ address, names, line, owner }) =>
    names.flatMap((name) => {
      const own = ours.get(name.toLowerCase());
      if (!own || own.some((each) => canonical(each) === canonical(address))) return [];
      return [{ name, ours: own[0] ?? "", theirs: address, line, ...(owner !== undefined && { owner }) }];
    }),
  );
}

/** One spelling an address (RFC 5952 for IPv6). */
function canonical(address: string): string {
  return isIPv6(address) && !address.includes("%") ? new URL(`http://[${address}]`).hostname : address.toLowerCase();
}
