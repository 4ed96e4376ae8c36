import { constants } from "node:fs";
import { access, readFile, realpath } from "node:fs/promises";
import { codeOf, isHostName } from "@shipside/core";
import { type Check, count, type Finding, ok, problem, some, warning } from "../check.ts";

/** From here on every look-up that reads the file takes milliseconds. */
const LARGE_BYTES = 1 << 20;

/** The machine's hosts file: can it be read and written, what of ours is in it, and does anything contradict it. */
export const hostsFile: Check = {
  id: "hosts-file",
  title: "hosts file",
  async run({ hostsPath, helper }) {
    let bytes: Buffer;
    try {
      bytes = await readFile(hostsPath);
    } catch (error) {
      const why = codeOf(error) === "ENOENT" ? "does not exist" : `can't be read: ${(error as Error).message}`;
      return [problem(`${hostsPath} ${why}`, "restore it: `127.0.0.1 localhost` is its least content", { path: hostsPath })];
    }
    const lines = parseHosts(bytes.toString("latin1"));
    const findings: Finding[] = [await writable(hostsPath, (await helper())?.running === true)];
    const ours = lines.filter(({ owner }) => owner !== undefined);
    const owners = [...new Set(ours.map(({ owner }) => owner!))];
    if (ours.length > 0)
      findings.push(ok(`${count(ours.length, "line")} of ours (${some(owners)})`, { lines: ours.length, owners }));
    for (const { name, ours: mine, theirs } of contradictions(lines))
      findings.push(
        warning(
          `${name} is ${theirs.address} by line ${theirs.number} and ${mine.address} by ours`,
          `take line ${theirs.number} out, or use ${name}'s longer names`,
          { name, line: theirs.number },
        ),
      );
    const local = lines.find(({ names }) => names.includes("localhost"));
    if (!lines.some(({ address, names }) => names.includes("localhost") && address === "127.0.0.1"))
      findings.push(
        warning(
          local ? `localhost is ${local.address} and not 127.0.0.1` : "localhost is not in it",
          `add \`127.0.0.1 localhost\` to ${hostsPath}`,
        ),
      );
    if (bytes.length > LARGE_BYTES)
      findings.push(
        warning(
          `it has ${Math.round(bytes.length / 1024)} KiB: each look-up of a name reads all of it`,
          "take out what isn't needed",
          {
            bytes: bytes.length,
          },
        ),
      );
    return findings;
  },
};

async function writable(path: string, helped: boolean): Promise<Finding> {
  const target = await realpath(path);
  const shown = target === path ? path : `${path} (${target})`;
  try {
    await access(target, constants.W_OK);
    return ok(`${shown} can be written`, { path, target });
  } catch (error) {
    if (helped) return ok(`${shown} is written by the helper`, { path, target });
    return warning(
      `${shown} can't be written by this user`,
      "`shipside start` asks for root once; without it, names reach only the commands given after `--`",
      { path, target, code: codeOf(error) ?? null },
    );
  }
}

interface Line {
  number: number;
  address: string;
  /** Lower case. */
  names: string[];
  /** Whose it is, where it is ours: it ends in our tag. */
  owner?: string;
}

/** The file's entries, without what isn't one. */
export function parseHosts(text: string): Line[] {
  return text.split("\n").flatMap((raw, index) => {
    const [entry = ""] = raw.replace(/^\xef\xbb\xbf/, "").split("#", 1);
    const [address, ...names] = entry.trim().split(/\s+/);
    const [, owner] = /# shipside:([\w.@-]+)\s*$/.exec(raw) ?? [];
    if (!address || names.length === 0) return [];
    return [
      { number: index + 1, address, names: names.map((name) => name.toLowerCase()).filter(isHostName), ...(owner && { owner }) },
    ];
  });
}

/** Names of ours that a line of somebody else's gives another address. */
function contradictions(lines: readonly Line[]): Array<{ name: string; ours: Line; theirs: Line }> {
  const foreign = new Map<string, Line>();
  for (const line of lines) {
    if (line.owner !== undefined) continue;
    for (const name of line.names) if (!foreign.has(name)) foreign.set(name, line);
  }
  return lines.flatMap((ours) =>
    ours.owner === undefined
      ? []
      : ours.names.flatMap((name) => {
          const theirs = foreign.get(name);
          return theirs && theirs.address !== ours.address ? [{ name, ours, theirs }] : [];
        }),
  );
}
