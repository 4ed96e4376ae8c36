import { readdir, readFile, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { acquireFileLock, codeOf, hasCode, isPidTaken } from "@shipside/core";
import { connectControl } from "./control/client.ts";
import { connectSessionHosts } from "./control/hosts.ts";
import { ignoreMissing, readJournals } from "./journal-files.ts";
import { assertPrivateDir, controlPath, runtimeDir, stateDir } from "./paths.ts";

/** As `makeHosts` names itself. */
const OWNER = /shipside:(shipside-(\d+)-[0-9a-f]{8})\b/g;

/**
 * Owners of blocks in the hosts file whose process is gone and which no journal knows: somebody lost the journal. An owner whose process id
 * is in use by now, or another user's, isn't among them.
 */
export async function strayOwners(options: { hostsFile?: string; stateDir?: string } = {}): Promise<string[]> {
  const { hostsFile = "/etc/hosts", stateDir: state = stateDir() } = options;
  const text = await readFile(hostsFile, "latin1").catch(() => "");
  const owners = new Map([...text.matchAll(OWNER)].map(([, owner, pid]) => [owner!, Number(pid)]));
  for (const { outstanding } of owners.size > 0 ? await readJournals(state) : [])
    for (const { data } of outstanding) owners.delete(String(data["owner"]));
  return [...owners].flatMap(([owner, pid]) => (isPidTaken(pid) ? [] : [owner])).sort();
}

/** Removes control sockets that nobody listens on any more. Resolves to their paths. */
export async function removeDeadSockets(dir: string = runtimeDir()): Promise<string[]> {
  if (process.platform === "win32" || !(await assertPrivateDir(dir))) return [];
  const sockets = async (): Promise<string[]> => (await readdir(dir).catch(() => [])).filter((name) => name.endsWith(".sock"));
  const before = await sockets();
  const { clients } = await connectSessionHosts(dir);
  await Promise.all(clients.map((client) => client.close()));
  await removeDeadDaemon(controlPath(dir));
  const after = await sockets();
  // The folder goes with its last socket, and stays where it isn't empty.
  await rmdir(dir).catch(() => {});
  return before.filter((name) => !after.includes(name)).map((name) => join(dir, name));
}

/** Under the lock that a daemon takes its socket under: the dead one's must not turn out to be a fresh one's. */
async function removeDeadDaemon(path: string): Promise<void> {
  const signal = new AbortController().signal;
  await using stack = new AsyncDisposableStack();
  const lock = await acquireFileLock({ path: `${path}.lock`, what: path, owner: "shipside", timeoutMs: 5_000, signal });
  stack.defer(() => lock.release());
  try {
    await (await connectControl({ path, anyVersion: true })).close();
  } catch (error) {
    // One that says nothing may be busy, or stopped by a debugger: somebody has it open.
    if (hasCode(error, "DAEMON_UNREACHABLE") && codeOf((error as Error).cause) === "ECONNREFUSED")
      await unlink(path).catch(ignoreMissing);
  }
}
