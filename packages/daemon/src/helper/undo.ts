import { type HostsOwner, hasCode } from "@shipside/core";
import { openHostsWriter } from "@shipside/hosts/write";
import type { Aliases } from "./aliases.ts";
import type { Audit } from "./audit.ts";
import type { Ledger } from "./ledger.ts";
import { hostsOwnerName } from "./requests.ts";

/** What the helper of one user can change on the machine, and how it is taken back. */
export interface Machine {
  readonly ledger: Ledger;
  readonly aliases: Aliases;
  readonly audit: Audit;
  /** The user's lines of the hosts file. Opened with the first use, and again after a failure. */
  hosts(): Promise<HostsOwner>;
}

export function openMachine(options: { ledger: Ledger; aliases: Aliases; audit: Audit; uid: number; hostsPath: string }): Machine {
  const { ledger, aliases, audit, uid, hostsPath } = options;
  let owner: HostsOwner | undefined;
  return {
    ledger,
    aliases,
    audit,
    hosts: async () => (owner ??= await openHostsWriter({ owner: hostsOwnerName(uid), path: hostsPath })),
  };
}

/**
 * Takes back all that this helper, or an earlier one of the user, made. One step that fails doesn't keep the others from being done; it
 * stays in the ledger. `done` says what was there, in words for a person.
 */
export async function undoAll({ ledger, aliases, audit, hosts }: Machine): Promise<{ done: string[]; failed: Error[] }> {
  const done: string[] = [];
  const failed: Error[] = [];
  const step = async (what: string, run: () => Promise<string | undefined>): Promise<void> => {
    try {
      const said = await run();
      if (said === undefined) return;
      done.push(said);
      audit.write("undone", { what: said });
    } catch (error) {
      failed.push(error as Error);
      audit.write("undo-failed", { what, error: (error as Error).message });
    }
  };
  // Looked for without regard to the ledger: a record can be lost, lines in a file say whose they are.
  await step("hosts", async () => {
    const lines = await restoreHosts(hosts).catch((error: unknown) => {
      if (hasCode(error, "HOSTS_MISSING")) return 0;
      throw error;
    });
    await ledger.owe({ hosts: false });
    return lines > 0 ? `${lines} line${lines === 1 ? "" : "s"} of the hosts file` : undefined;
  });
  for (const address of ledger.owed.aliases) {
    await step(address, async () => {
      const missing = aliases.isMissing(address);
      await aliases.remove(address);
      await ledger.owe({ aliases: ledger.owed.aliases.filter((each) => each !== address) });
      return missing ? undefined : `the address ${address}`;
    });
  }
  return { done, failed };
}

/** Resolves to how many lines there were. */
async function restoreHosts(hosts: Machine["hosts"]): Promise<number> {
  const owner = await hosts();
  const { removed } = await owner.plan([]);
  await owner.restore();
  return removed.length;
}
