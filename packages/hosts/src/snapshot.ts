import type { BigIntStats } from "node:fs";
import { type FileHandle, open, realpath, stat } from "node:fs/promises";
import { codeOf } from "@shipside/core";
import { hostsError } from "./errors.ts";

/** The hosts file at one moment. */
export interface Snapshot {
  /** Where the file really is: symbolic links are followed, and stay. */
  target: string;
  /** The bytes as latin1, one character a byte. */
  text: string;
  stat: BigIntStats;
}

/** Rejects with `HOSTS_MISSING`, `HOSTS_UNREADABLE` or `HOSTS_ENCODING`. */
export async function readSnapshot(path: string): Promise<Snapshot> {
  let handle: FileHandle | undefined;
  try {
    const target = await realpath(path);
    handle = await open(target, "r");
    const [stats, bytes] = [await handle.stat({ bigint: true }), await handle.readFile()];
    if (bytes.length >= 2 && (bytes.readUInt16BE(0) === 0xfeff || bytes.readUInt16BE(0) === 0xfffe)) {
      throw hostsError("HOSTS_ENCODING", `${path} is in UTF-16`, {
        hint: "save it as UTF-8 without a byte-order mark, or as ASCII",
      });
    }
    return { target, text: bytes.toString("latin1"), stat: stats };
  } catch (error) {
    if (codeOf(error) === "HOSTS_ENCODING") throw error;
    if (codeOf(error) === "ENOENT") {
      throw hostsError("HOSTS_MISSING", `there is no hosts file at ${path}`, {
        cause: error,
        hint: "create it with the line `127.0.0.1 localhost`, or give the right path",
      });
    }
    throw hostsError("HOSTS_UNREADABLE", `could not read ${path}`, {
      cause: error,
      hint: "check that it is a file and its permissions",
    });
  } finally {
    await handle?.close();
  }
}

/** Whether the file is no longer the one of the snapshot: another writer, or an editor that knows no lock. */
export async function hasChanged({ target, stat: before }: Snapshot): Promise<boolean> {
  const now = await stat(target, { bigint: true }).catch(() => undefined);
  return (
    now?.ino !== before.ino ||
    now.dev !== before.dev ||
    now.size !== before.size ||
    now.mtimeNs !== before.mtimeNs ||
    now.ctimeNs !== before.ctimeNs
  );
}
