import { readFile, rm, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { codeOf, identify, isRunning, type ProcessIdentity, pidOf } from "@shipside/core";
import { hostsOwnerName } from "../helper/requests.ts";
import { stateDir } from "../paths.ts";

/**
 * Which helper a user's daemon had. The daemon writes it, and takes it away when all is undone: what is found there afterwards names a
 * helper that may have left something which only root can undo.
 */
export interface HelperRecord {
  readonly helper: number;
  running(): Promise<boolean>;
  clear(): Promise<void>;
}

const pathIn = (dir: string): string => join(dir, "helper.json");

/** By the daemon, whose parent the helper is. */
export async function recordHelper(dir: string = stateDir()): Promise<HelperRecord> {
  const identity = await identify(process.ppid);
  await writeFile(pathIn(dir), `${JSON.stringify({ helper: identity })}\n`, { mode: 0o600 });
  return recordOf(dir, identity);
}

export async function readHelperRecord(dir: string = stateDir()): Promise<HelperRecord | undefined> {
  try {
    const { helper } = JSON.parse(await readFile(pathIn(dir), "utf8")) as { helper?: unknown };
    return typeof helper === "string" && pidOf(helper) > 1 ? recordOf(dir, helper) : undefined;
  } catch (error) {
    if (codeOf(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function recordOf(dir: string, identity: ProcessIdentity): HelperRecord {
  return {
    helper: pidOf(identity),
    running: async () => (await isRunning(identity)) === true,
    clear: () => rm(pathIn(dir), { force: true }),
  };
}

/**
 * What a helper of `uid` has on the machine, by looking, in words; only root can take it away. Lines of the hosts file say whose they are;
 * an address doesn't, so without a record of a helper (`recorded` false) none is taken for one's.
 */
export async function helperLeft(uid: number, { hostsPath = "/etc/hosts", recorded = true } = {}): Promise<string[]> {
  const text = await readFile(hostsPath, "latin1").catch(() => "");
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const aliases = addresses.filter(({ address }) => address.startsWith("127.") && address !== "127.0.0.1");
  return [
    ...(text.includes(`shipside:${hostsOwnerName(uid)}`) ? ["lines of the hosts file"] : []),
    ...(recorded && process.platform === "darwin" && aliases.length > 0 ? ["addresses of the loopback interface"] : []),
  ];
}
