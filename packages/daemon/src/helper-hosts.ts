import { createTurns, type HostsEntry, type HostsOwner, hasCode, isReservedName } from "@shipside/core";
import { openHosts } from "@shipside/hosts";
import { daemonError } from "./errors.ts";
import { hostsOwnerName } from "./helper/requests.ts";
import type { CallHelper } from "./helper-client.ts";

/** Reads the file by itself, and has the helper write it. */
export function helperHosts(call: CallHelper, path: string | undefined): HostsOwner {
  let opened: HostsOwner | undefined;
  const reader = async (): Promise<HostsOwner> =>
    (opened ??= await openHosts({ owner: hostsOwnerName(process.getuid?.() ?? 0), ...(path !== undefined && { path }) }));
  let applied = false;
  const turns = createTurns();
  const assertOpen = (): void => {
    if (turns.ended) throw daemonError("HELPER_GONE", "the hosts owner was used after close()");
  };

  /** Also checks every entry, with the hosts package's own errors. */
  const plan = async (entries: readonly HostsEntry[]) => {
    const owner = await reader();
    const { conflicts } = await owner.plan(entries);
    const allowed = withoutReserved(entries);
    return { allowed, plan: { ...(await owner.plan(allowed)), conflicts } };
  };

  const restore = async (): Promise<void> => {
    try {
      await call("hosts.restore", {});
    } catch (error) {
      if (!hasCode(error, "HELPER_GONE") || (await (await reader()).plan([])).removed.length > 0) throw error;
    }
    applied = false;
  };

  const hosts: HostsOwner = {
    async plan(entries) {
      assertOpen();
      return (await plan(entries)).plan;
    },
    async apply(entries) {
      assertOpen();
      return turns.run(async () => {
        const { allowed, plan: planned } = await plan(entries);
        applied = true;
        const { result } = await call("hosts.apply", { entries: allowed });
        return { ...result, conflicts: planned.conflicts };
      });
    },
    async restore() {
      assertOpen();
      await turns.run(restore);
    },
    close: () =>
      turns.end(async () => {
        if (applied) await restore();
      }),
    [Symbol.asyncDispose]: () => hosts.close(),
  };
  return hosts;
}

/** What the helper writes for nobody, a service of that name in the cluster included: the line of the machine's own stays the only one. */
function withoutReserved(entries: readonly HostsEntry[]): HostsEntry[] {
  return entries.flatMap(({ address, names }) => {
    const kept = names.filter((name) => !isReservedName(name));
    return kept.length > 0 ? [{ address, names: kept }] : [];
  });
}
