import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, hasCode } from "@shipside/core";
import { ignoreMissing } from "../journal-files.ts";
import { assertPrivateDir, controlPath, runtimeDir } from "../paths.ts";
import { type ControlClient, connectControl } from "./client.ts";

/** Where a process that has sessions of its own (without being the daemon) serves them. */
export const foregroundPath = (dir: string, pid = process.pid): string => join(dir, `fg-${pid}.sock`);

export interface FoundHosts {
  clients: ControlClient[];
  /** Those that are there and could not be talked to: another version, no answer. */
  failed: Array<{ path: string; error: Error }>;
}

/** Every process of this user that has sessions: the daemon first. Sockets of processes that are gone are removed. */
export async function connectSessionHosts(dir: string = runtimeDir()): Promise<FoundHosts> {
  const found: FoundHosts = { clients: [], failed: [] };
  const daemon = controlPath(dir);
  const paths = [daemon];
  if (process.platform !== "win32" && (await assertPrivateDir(dir))) {
    const names = await readdir(dir);
    paths.push(...names.filter((name) => /^fg-\d+\.sock$/.test(name)).map((name) => join(dir, name)));
  }
  await Promise.all(
    paths.map(async (path) => {
      try {
        found.clients.push(await connectControl({ path }));
      } catch (error) {
        if (!hasCode(error, "DAEMON_UNREACHABLE")) found.failed.push({ path, error: error as Error });
        // Nobody listens on it any more, and its name (a pid) is nobody else's to take.
        else if (path !== daemon && codeOf((error as Error).cause) === "ECONNREFUSED") await unlink(path).catch(ignoreMissing);
      }
    }),
  );
  found.clients.sort((a, b) => Number(a.hello.kind !== "daemon") - Number(b.hello.kind !== "daemon") || a.hello.pid - b.hello.pid);
  return found;
}
