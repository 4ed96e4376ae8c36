import { homedir } from "node:os";
import { join } from "node:path";
import { errorToJson, type HostsEntry, type HostsOwner, type HostsPlan, hasCode, type Logger, silentLogger } from "@shipside/core";
import { keepOriginal, openHosts } from "@shipside/hosts";
import type { Journal } from "../journal.ts";
import type { ResidueKind } from "./kind.ts";

interface HostsData extends Record<string, unknown> {
  owner: string;
  /** Absent: the machine's own hosts file. */
  path?: string;
}

const ownerOf = (data: HostsData): Promise<HostsOwner> =>
  openHosts({ owner: data.owner, ...(data.path !== undefined && { path: data.path }) });

export interface MakeHostsOptions {
  /** Default: the machine's own. */
  path?: string;
  /** Where a copy of the file as it was is kept. Default: {@link originalPlace} for the machine's own file, nowhere for another. */
  original?: string | false;
  logger?: Logger;
}

/** The user's copy of the machine's hosts file: `$SHIPSIDE_HOSTS_ORIGINAL`, else `~/hosts.original`. */
export function originalPlace(env: NodeJS.ProcessEnv = process.env): string {
  return env["SHIPSIDE_HOSTS_ORIGINAL"] || join(homedir(), "hosts.original");
}

/** Names in a hosts file: recorded before the first line is written, struck out when all are taken out. */
export async function makeHosts(journal: Journal, options: MakeHostsOptions = {}): Promise<HostsOwner> {
  const { path, original = path === undefined && originalPlace(), logger } = options;
  const data: HostsData = { owner: `shipside-${journal.run}`, ...(path !== undefined && { path }) };
  const plain = await ownerOf(data);
  const owner =
    original === false ? plain : withOriginal(plain, original, { ...(path !== undefined && { path }), ...(logger && { logger }) });
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

/**
 * Keeps a copy of the hosts file before the owner's first change of it. Where that can't be done it is logged, and the change is made: the
 * lines say whose they are, and go again.
 */
export function withOriginal(owner: HostsOwner, place: string, options: { path?: string; logger?: Logger } = {}): HostsOwner {
  const { path, logger = silentLogger } = options;
  let kept: Promise<unknown> | undefined;
  return {
    plan: (entries) => owner.plan(entries),
    async apply(entries) {
      kept ??= keepOriginal(place, { ...(path !== undefined && { path }) }).catch((error: unknown) =>
        logger.warn("no copy of the hosts file is kept", { error: errorToJson(error) }),
      );
      await kept;
      return owner.apply(entries);
    },
    restore: () => owner.restore(),
    close: () => owner.close(),
    [Symbol.asyncDispose]: () => owner.close(),
  };
}

export const hostsResidue: ResidueKind<HostsData> = {
  kind: "hosts",
  place: "machine",
  describe: ({ owner, path }) => `names of ${owner} in ${path ?? "the hosts file"}`,
  async undo(data) {
    await using owner = await unlessMissing(ownerOf(data));
    await owner?.restore();
  },
  async left(data) {
    await using owner = await unlessMissing(ownerOf(data));
    const { removed } = (await owner?.plan([])) ?? { removed: [] };
    return removed.length === 0 ? undefined : `${removed.length} lines of ${data.owner} in ${data.path ?? "the hosts file"}`;
  },
};

/** Somebody has deleted the file, and our lines with it. */
function unlessMissing(owner: Promise<HostsOwner>): Promise<HostsOwner | undefined> {
  return owner.catch((error: unknown) => {
    if (hasCode(error, "HOSTS_MISSING")) return undefined;
    throw error;
  });
}
