import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { codeOf } from "@shipside/core";
import { type Check, type Finding, ok, problem, warning } from "../check.ts";
import type { DoctorContext } from "../context.ts";
import { parseHosts } from "./hosts-file.ts";

/** How this machine's programs find the address of a name: does the hosts file count, and does it come first. */
export const names: Check = {
  id: "names",
  title: "name resolution",
  async run(context) {
    return (await Promise.all([order(context), asInFile(context), answersAll()])).flat();
  },
};

/** nsswitch.conf(5): where glibc looks, in which order. */
async function order({ platform, file }: DoctorContext): Promise<Finding[]> {
  if (platform !== "linux") return [];
  const text = await readFile(file("/etc/nsswitch.conf"), "utf8").catch(() => "");
  const [, list] = /^\s*hosts:\s*([^#\n]*)/m.exec(text) ?? [];
  if (list === undefined) return [];
  const sources = list
    .trim()
    .split(/\s+/)
    .filter((source) => !source.startsWith("["));
  const at = sources.indexOf("files");
  const hint = "let `files` stand first in its line `hosts:`";
  if (at < 0) return [problem("/etc/nsswitch.conf doesn't name the hosts file (`files`)", hint, { sources })];
  const before = sources.slice(0, at).filter((source) => /^(dns|resolve|mdns)/.test(source));
  if (before.length > 0) return [warning(`/etc/nsswitch.conf asks ${before.join(", ")} before the hosts file`, hint, { sources })];
  return [];
}

/** A name of the file, asked as every program asks (getaddrinfo). */
async function asInFile({ hostsPath }: DoctorContext): Promise<Finding[]> {
  const text = await readFile(hostsPath, "latin1").catch(() => undefined);
  if (text === undefined) return [];
  const entries = parseHosts(text).filter(({ address }) => /^[\d.]+$/.test(address));
  // Ours before others: those are what must work.
  const entry = entries.find(({ owner }) => owner !== undefined) ?? entries.find(({ names: all }) => all.length > 0);
  const name = entry?.names[0];
  if (!entry || name === undefined) return [];
  const expected = entries.filter(({ names: all }) => all.includes(name)).map(({ address }) => address);
  try {
    const found = (await lookup(name, { all: true, family: 4 })).map(({ address }) => address);
    if (found.some((address) => expected.includes(address))) return [ok(`${name} is ${entry.address}, as in ${hostsPath}`)];
    return [
      problem(
        `${name} is ${found.join(", ")} to programs, and ${entry.address} in ${hostsPath}`,
        "something answers before the hosts file: a DNS filter, a VPN client, or a cache (resolvectl flush-caches)",
        { name, found, expected },
      ),
    ];
  } catch (error) {
    return [
      problem(`${name} stands in ${hostsPath} and programs don't find it (${codeOf(error)})`, "does this system read that file?", {
        name,
        code: codeOf(error) ?? null,
      }),
    ];
  }
}

/** A name that nobody can have (RFC 6761 §6.4). Who answers it answers everything: a captive portal, a search helper. */
async function answersAll(): Promise<Finding[]> {
  const name = `shipside-${randomBytes(6).toString("hex")}.invalid`;
  const found = await lookup(name).catch(() => undefined);
  if (!found) return [];
  return [
    warning(
      `the DNS server answers names that don't exist (${name} is ${found.address})`,
      "is a login page of this network waiting in the browser? A mistyped service will seem to be there",
      { address: found.address },
    ),
  ];
}
