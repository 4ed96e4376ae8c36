import { randomBytes } from "node:crypto";
import { open, readFile, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf, type Logger, silentLogger } from "@shipside/core";
import { syncFolder } from "./atomic-write.ts";
import { ownersIn, replaceBlock, withoutOwners } from "./block.ts";
import { changeHosts } from "./change.ts";
import { hostsError } from "./errors.ts";
import { defaultHostsPath } from "./platform.ts";
import { readSnapshot } from "./snapshot.ts";

/** Which hosts file, and how its lock is waited for. */
export interface HostsFileOptions {
  /** Absolute. Default: the platform's hosts file. */
  path?: string;
  /** Default 5,000. */
  lockTimeoutMs?: number;
  signal?: AbortSignal;
  logger?: Logger;
}

/** A hosts file, and what of it is owners'. Texts are the file's bytes as latin1, one character a byte. */
export interface HostsView {
  path: string;
  text: string;
  /** As it would be without any owner. */
  without: string;
  owners: string[];
}

/** Reads it; needs no privilege. Rejects with `HOSTS_MISSING`, `HOSTS_UNREADABLE`, `HOSTS_ENCODING`. */
export async function viewHosts({
  path = defaultHostsPath(process.platform),
}: Pick<HostsFileOptions, "path"> = {}): Promise<HostsView> {
  const { text } = await readSnapshot(path);
  return { path, text, without: withoutOwners(text), owners: [...ownersIn(text)].sort() };
}

/** Takes out the lines of the owners that `which` says, by default of all, and nothing else. Resolves to whose there were. */
export async function removeOwners(
  options: HostsFileOptions = {},
  which: (owner: string) => boolean = () => true,
): Promise<string[]> {
  const ours = (text: string): string[] => [...ownersIn(text)].filter(which).sort();
  const view = await viewHosts(options);
  // What has nothing of theirs needs no lock and no privilege.
  if (ours(view.text).length === 0) return [];
  const { before } = await changeHosts(changeOptions(options, view.path), (text) =>
    ours(text).reduce((rest, owner) => replaceBlock(rest, owner, [], "\n").text, text),
  );
  return ours(before);
}

/** Makes `text` (latin1) the whole file, whatever is in it. */
export async function replaceHosts(text: string, options: HostsFileOptions = {}): Promise<void> {
  const { path = defaultHostsPath(process.platform) } = options;
  await changeHosts(changeOptions(options, path), () => text);
}

const changeOptions = (options: HostsFileOptions, path: string) => ({
  path,
  owner: "shipside",
  backupDir: undefined,
  lockTimeoutMs: options.lockTimeoutMs ?? 5_000,
  signal: options.signal ?? new AbortController().signal,
  logger: options.logger ?? silentLogger,
  backup: false,
});

/**
 * Keeps a copy of the hosts file as it is without any owner at `place` (absolute; 0600, this user's). A copy that exists is replaced by a
 * file that no owner has lines in, and by no other: then the older copy is nearer to the truth. Rejects with `HOSTS_UNWRITABLE`.
 */
export async function keepOriginal(place: string, options: Pick<HostsFileOptions, "path"> = {}): Promise<"written" | "kept"> {
  const { path, text, without, owners } = await viewHosts(options);
  const existing = await readFile(place, "latin1").catch((error) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw cannotKeep(path, place, error);
  });
  if (existing !== undefined && (existing === text || owners.length > 0)) return "kept";
  const temporary = `${place}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(without, "latin1");
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, place);
    await syncFolder(dirname(place));
    return "written";
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw cannotKeep(path, place, error);
  }
}

const cannotKeep = (path: string, place: string, cause: unknown): Error =>
  hostsError("HOSTS_UNWRITABLE", `could not keep a copy of ${path} at ${place}; ${path} is unchanged`, {
    cause,
    hint: `make room in ${dirname(place)} and let this user write there, or choose another place`,
  });
