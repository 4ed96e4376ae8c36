import { type ErrorJson, errorToJson, type HostsEntry, hasCode } from "@shipside/core";
import type { NameBoard } from "./name-board.ts";
import { nameConflictErrors } from "./name-holder.ts";
import type { NamesInfo, SessionEvent, SessionInfo } from "./session-info.ts";

export interface SessionNamesComponents {
  board: NameBoard;
  session: string;
  namespace: string;
  entries(): HostsEntry[];
  /** Those of this process that are open, for who asks who has a name. */
  sessions(): SessionInfo[];
  emit(event: SessionEvent): void;
  /** Told once of each name that another has. */
  warn(error: unknown): void;
}

/** The names of one session on the board that all sessions share. */
export interface SessionNames {
  readonly info: NamesInfo;
  /** Puts the names there as they are now, and says so. */
  write(): Promise<void>;
  clear(): Promise<void>;
}

/** The hosts package's hint is for who calls it; here it is for who uses Shipside. */
function whyNotThere(error: Error): ErrorJson {
  const hint = "`shipside start` asks for root once, and has them written; or give a command after `--`, which will have them";
  return { ...errorToJson(error), ...(hasCode(error, "HOSTS_UNWRITABLE") && { hint }) };
}

export function sessionNames(components: SessionNamesComponents): SessionNames {
  const { board, session, namespace, sessions, emit, warn } = components;
  const told = new Set<string>();
  let info: NamesInfo = { where: "none", count: 0 };
  return {
    get info() {
      return info;
    },
    async write() {
      const entries = components.entries();
      const { state, conflicts } = await board.set(session, entries);
      const count = entries.reduce((sum, entry) => sum + entry.names.length, 0);
      info = { where: state.where, count, ...(state.where === "commands" && { reason: whyNotThere(state.error) }) };
      emit({ step: "names", names: info, entries });
      for (const error of await nameConflictErrors({ conflicts, namespace, sessions: sessions() })) {
        if (told.has(error.message)) continue;
        told.add(error.message);
        warn(error);
      }
    },
    clear: async () => void (await board.set(session, [])),
  };
}
