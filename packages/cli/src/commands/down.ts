import { existsSync } from "node:fs";
import { hasCode } from "@shipside/core";
import { daemonError } from "@shipside/daemon/client";
import type { CommandModule } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { profileFile } from "../profile-file.ts";
import { rightsToUndo } from "../rights.ts";
import { describe, endSession, listSessions, recoverNow } from "./session.ts";

/** What the dead have left is undone on the way. */
export const rights: NonNullable<CommandModule["rights"]> = rightsToUndo;

/** Closes the sessions that are open by a file. The file itself need not be readable any more. */
export const run: CommandModule["run"] = async (invocation, terminal) => {
  const file = await profileFile(invocation);
  terminal.busy("closing sessions");
  const { sessions, failed } = await listSessions();
  for (const error of failed) terminal.warn(error.message);
  const own = sessions.filter(({ origin }) => origin?.file === file).toReversed();
  if (own.length === 0 && !existsSync(file))
    throw daemonError("PROFILE_MISSING", `${file} does not exist, and nothing is open by it`, {
      hint: "`shipside session list` shows what is open",
    });
  const closed: string[] = [];
  for (const session of own) {
    try {
      await endSession(session.id);
    } catch (error) {
      // One whose volumes are in use keeps none of the others open.
      if (!hasCode(error, "VOLUMES_BUSY")) throw error;
      terminal.error(error);
      continue;
    }
    closed.push(session.id);
    terminal.done(`closed ${terminal.err("bold", session.origin!.entry)} ${describe(session)}`);
  }
  const left = await recoverNow(terminal);
  if (own.length === 0) terminal.say(`nothing of ${file} is open`);
  terminal.result({ file, closed, residue: left }, "");
  if (left.length > 0) return EXIT.residue;
  if (closed.length < own.length) return EXIT.volumes;
  return failed.length > 0 ? EXIT.daemon : EXIT.ok;
};
