import { hasCode } from "@shipside/core";
import {
  daemonOwner,
  type HelperRecord,
  helperGone,
  helperLeft,
  readHelperRecord,
  stopDaemon,
  undoAsRoot,
} from "@shipside/daemon/client";
import { behindRoot, ownCommandLine, runAs, sayThatRootIsAsked } from "../as-root.ts";
import type { CommandModule } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import type { Interrupt } from "../interrupt.ts";
import { rightsToUndo } from "../rights.ts";
import type { Terminal } from "../terminal.ts";
import { recoverNow } from "./session.ts";

/** What the dead have left is undone on the way. */
export const rights: NonNullable<CommandModule["rights"]> = rightsToUndo;

export const run: CommandModule["run"] = async (_invocation, terminal, interrupt) => {
  const user = behindRoot();
  if (user) return runAs(user, ["stop", ...(terminal.json ? ["--json"] : []), ...(terminal.quiet ? ["--quiet"] : [])]);
  terminal.busy("closing sessions");
  // Read first: a daemon that closes in good order takes it away.
  const record = await readHelperRecord();
  const stopped = await stopDaemon().catch((error: unknown) => {
    if (hasCode(error, "DAEMON_UNREACHABLE")) return undefined;
    throw error;
  });
  const left = await recoverNow(terminal);
  if (record) left.push(...(await endHelper(record, terminal, interrupt)));
  const helper = record ? " and its helper" : "";
  const verb = record ? "have" : "has";
  if (!stopped) terminal.done("no daemon runs");
  else if (left.length === 0) terminal.done(`the daemon (pid ${stopped.pid})${helper} ${verb} ended, everything is as it was`);
  else terminal.warn(`the daemon (pid ${stopped.pid}) has ended, and something is left`);
  terminal.result({ stopped: stopped?.pid ?? null, helper: record?.helper ?? null, residue: left }, "");
  return left.length > 0 ? EXIT.residue : EXIT.ok;
};

/** The helper ends by itself once its daemon is gone. Resolves to what is left. */
async function endHelper(record: HelperRecord, terminal: Terminal, { signal }: Interrupt): Promise<string[]> {
  terminal.busy("waiting for the helper");
  if (!(await helperGone(record))) {
    terminal.warn(
      `the helper (pid ${record.helper}) is root's and does not end: \`sudo kill ${record.helper}\` makes it undo what it made`,
    );
    return [`helper: process ${record.helper}`];
  }
  const owner = daemonOwner();
  const left = await helperLeft(owner?.uid ?? 0);
  if (owner && left.length > 0) {
    const onAsk = sayThatRootIsAsked(terminal, `what a helper that was killed has left (${left.join(", ")})`);
    try {
      const undone = await undoAsRoot(owner, { signal, commandLine: ownCommandLine("stop"), onAsk });
      for (const what of undone) terminal.say(`  ${what}`);
    } catch (error) {
      terminal.warn(`a helper that was killed has left ${left.join(", ")}, which only root can undo: ${(error as Error).message}`);
    }
    const still = await helperLeft(owner.uid);
    if (still.length > 0) return still.map((what) => `helper: ${what}`);
  }
  await record.clear();
  return [];
}
