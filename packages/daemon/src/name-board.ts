import type { Closable, HostsConflict, HostsEntry, HostsOwner } from "@shipside/core";

/** Where the names of the sessions stand now. */
export type NamesState =
  /** In a hosts file that every program reads. */
  | { where: "hosts" }
  /** That file can't be written (`error` says why): the names are for commands that a session runs. */
  | { where: "commands"; error: Error };

export interface NamesUpdate {
  state: NamesState;
  /** Names that stay another session's, or that a line of the user's gives another address. */
  conflicts: NameConflict[];
}

/** A name that somebody else has: a session of this process, another hosts owner, or else a line of the user's. */
export type NameConflict = Omit<HostsConflict, "line"> & { session?: string };

/** The names of all sessions of one process, as one owner's set. */
export interface NameBoard extends Closable {
  readonly state: NamesState;
  /** Replaces one session's names; none takes it off. Never rejects because the hosts file can't be written. */
  set(session: string, entries: readonly HostsEntry[]): Promise<NamesUpdate>;
}

/** `open` is called with the first name, and again after it has failed: a hosts file may become writable. */
export function createNameBoard(open: () => Promise<HostsOwner>): NameBoard {
  const sets = new Map<string, readonly HostsEntry[]>();
  let hosts: HostsOwner | undefined;
  let state: NamesState = { where: "hosts" };
  let turn: Promise<unknown> = Promise.resolve();
  let closed: Promise<void> | undefined;

  const apply = async (session: string): Promise<NamesUpdate> => {
    const { entries, shadowed } = mergeEntries(sets);
    try {
      if (entries.length > 0) {
        hosts ??= await open();
        const { conflicts } = await hosts.apply(entries);
        state = { where: "hosts" };
        const own = new Set((sets.get(session) ?? []).flatMap(({ names }) => names));
        return { state, conflicts: [...(shadowed.get(session) ?? []), ...conflicts.filter(({ name }) => own.has(name))] };
      }
      await hosts?.restore();
      return { state, conflicts: [] };
    } catch (error) {
      // What was written before a failure is still the owner's: closing takes it out, or the journal keeps it.
      state = { where: "commands", error: error as Error };
      return { state, conflicts: [] };
    }
  };

  return {
    get state() {
      return state;
    },
    set(session, entries) {
      if (entries.length > 0) sets.set(session, entries);
      else sets.delete(session);
      const done = turn.then(() => apply(session));
      turn = done;
      return done;
    },
    close() {
      closed ??= turn.then(() => hosts?.close());
      return closed;
    },
    [Symbol.asyncDispose]() {
      return this.close();
    },
  };
}

/**
 * One set of lines for several sessions, in the order in which they were opened. A name has one address: the session that had it
 * first keeps it, and what the later one would have had is `shadowed`.
 */
export function mergeEntries(sets: ReadonlyMap<string, readonly HostsEntry[]>): {
  entries: HostsEntry[];
  shadowed: Map<string, NamesUpdate["conflicts"]>;
} {
  const addressOf = new Map<string, string>();
  const holder = new Map<string, string>();
  const byAddress = new Map<string, string[]>();
  const shadowed = new Map<string, NamesUpdate["conflicts"]>();
  for (const [session, entries] of sets) {
    for (const { address, names } of entries) {
      for (const name of names) {
        const theirs = addressOf.get(name);
        if (theirs === address) continue;
        if (theirs !== undefined) {
          shadowed.set(session, [...(shadowed.get(session) ?? []), { name, ours: address, theirs, session: holder.get(name)! }]);
          continue;
        }
        addressOf.set(name, address);
        holder.set(name, session);
        byAddress.set(address, [...(byAddress.get(address) ?? []), name]);
      }
    }
  }
  return { entries: [...byAddress].map(([address, names]) => ({ address, names })), shadowed };
}
