import type { HostsEntry, HostsOwner, HostsPlan } from "@shipside/core";
import { openHosts } from "@shipside/hosts";
import type { Journal } from "../journal.ts";
import type { ResidueKind } from "./kind.ts";

interface HostsData extends Record<string, unknown> {
  owner: string;
  /** Absent: the machine's own hosts file. */
  path?: string;
}

const ownerOf = (data: HostsData): Promise<HostsOwner> =>
  openHosts({ owner: data.owner, ...(data.path !== undefined && { path: data.path }) });

/** Names in a hosts file: recorded before the first line is written, struck out when all are taken out. */
export async function makeHosts(journal: Journal, options: { path?: string } = {}): Promise<HostsOwner> {
  const data: HostsData = { owner: `shipside-${journal.run}`, ...options };
  const owner = await ownerOf(data);
  let undone: (() => Promise<void>) | undefined;

  const hosts: HostsOwner = {
    plan: (entries: readonly HostsEntry[]): Promise<HostsPlan> => owner.plan(entries),
    async apply(entries) {
      undone ??= await journal.record({ kind: hostsResidue.kind, data });
      try {
        return await owner.apply(entries);
      } catch (error) {
        // Nothing was written: there is nothing to undo.
        if ((await owner.plan([])).removed.length === 0) {
          await undone();
          undone = undefined;
        }
        throw error;
      }
    },
    async restore() {
      await owner.restore();
      await undone?.();
      undone = undefined;
    },
    async close() {
      await hosts.restore();
      await owner.close();
    },
    [Symbol.asyncDispose]: () => hosts.close(),
  };
  return hosts;
}

export const hostsResidue: ResidueKind<HostsData> = {
  kind: "hosts",
  place: "machine",
  describe: ({ owner, path }) => `names of ${owner} in ${path ?? "the hosts file"}`,
  async undo(data) {
    await using owner = await ownerOf(data);
    await owner.restore();
  },
  async left(data) {
    await using owner = await ownerOf(data);
    const { removed } = await owner.plan([]);
    return removed.length === 0 ? undefined : `${removed.length} lines of ${data.owner} in ${data.path ?? "the hosts file"}`;
  },
};
