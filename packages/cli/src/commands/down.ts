import type { CommandModule } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { profileFile } from "../profile-file.ts";
import { describe, endSession, listSessions, recoverNow } from "./session.ts";

/** Closes the sessions that are open by a file. The file itself need not be readable any more. */
export const run: CommandModule["run"] = async (invocation, terminal) => {
  const file = await profileFile(invocation);
  terminal.busy("closing sessions");
  const { sessions, failed } = await listSessions();
  for (const error of failed) terminal.warn(error.message);
  const own = sessions.filter(({ origin }) => origin?.file === file).toReversed();
  for (const session of own) {
    await endSession(session.id);
    terminal.done(`closed ${terminal.err("bold", session.origin!.entry)} ${describe(session)}`);
  }
  const left = await recoverNow(terminal);
  if (own.length === 0) terminal.say(`nothing of ${file} is open`);
  terminal.result({ file, closed: own.map(({ id }) => id), residue: left }, "");
  if (left.length > 0) return EXIT.residue;
  return failed.length > 0 ? EXIT.daemon : EXIT.ok;
};
