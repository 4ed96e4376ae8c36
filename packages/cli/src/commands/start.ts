import { hasCode } from "@shipside/core";
import { daemonOwner, needsRoot, readHelperRecord, startDaemon, startWithHelper, tryConnectControl } from "@shipside/daemon/client";
import { behindRoot, ownCommandLine, sayThatRootIsAsked } from "../as-root.ts";
import type { CommandModule } from "../command.ts";
import { flag } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { renewDaemon } from "../renew-daemon.ts";
import { rightsToUndo } from "../rights.ts";
import type { Terminal } from "../terminal.ts";
import { recoverNow } from "./session.ts";
import { run as stop } from "./stop.ts";

/** What the dead have left is undone on the way. */
export const rights: NonNullable<CommandModule["rights"]> = rightsToUndo;

export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  if (flag(invocation, "clean")) return stop(invocation, terminal, interrupt);
  if (flag(invocation, "install") || flag(invocation, "uninstall")) {
    const { installOrNot } = await import("../start-at-boot.ts");
    return installOrNot(invocation, terminal, interrupt);
  }
  await renewDaemon({ terminal, signal: interrupt.signal });
  if (await sayIfRunning(terminal)) return EXIT.ok;
  await recoverNow(terminal);
  const missing = await needsRoot();
  if (flag(invocation, "foreground")) {
    sayWhatIsMissing(missing, terminal);
    terminal.busy("starting");
    const { openDaemon } = await import("@shipside/daemon");
    let onStop: () => void = () => {};
    const stopped = new Promise<void>((resolve) => {
      onStop = resolve;
    });
    const daemon = await openDaemon({ onStop: () => onStop() });
    terminal.done(`the daemon runs here (pid ${process.pid}); Ctrl-C ends it`);
    terminal.result({ pid: process.pid, started: true, helper: null, missing }, "");
    await Promise.race([interrupt.came, stopped]);
    terminal.busy("closing sessions");
    await daemon.close();
    terminal.done("everything is as it was");
    return interrupt.exitCode;
  }

  const owner = flag(invocation, "no-root") ? undefined : daemonOwner();
  // Root itself has no need of a helper; who made itself root for somebody else has.
  const asRoot = owner !== undefined && (missing.length > 0 || process.getuid?.() === 0);
  if (!asRoot) {
    sayWhatIsMissing(missing, terminal);
    terminal.busy("starting");
    const { pid, log } = await startDaemon();
    terminal.done(`the daemon runs in the background (pid ${pid}); \`shipside stop\` ends it`);
    terminal.result({ pid, started: true, helper: null, missing, log }, "");
    return EXIT.ok;
  }
  terminal.busy("starting");
  try {
    const onAsk = sayThatRootIsAsked(terminal, missing.map((what) => what.replace(/ \(.*/, "")).join(" and "));
    const commandLine = ownCommandLine("start");
    const { pid, helper, log, undone } = await startWithHelper(owner, { signal: interrupt.signal, commandLine, onAsk });
    for (const what of undone) terminal.say(`  ${what}`);
    terminal.done(`the helper runs as root (pid ${helper}): hosts file, ports and addresses, nothing else`);
    terminal.done(
      `the daemon runs as ${owner.env["USER"] ?? `uid ${owner.uid}`} in the background (pid ${pid}); \`shipside stop\` ends both`,
    );
    terminal.result({ pid, started: true, helper, missing: [], log }, "");
  } catch (error) {
    if (!hasCode(error, "DAEMON_RUNNING", "HELPER_RUNNING")) throw error;
    // Somebody else was faster, or we are root and could not see the user's.
    if (await sayIfRunning(terminal)) return EXIT.ok;
    if (!behindRoot()) throw error;
    terminal.done((error as Error).message);
    terminal.result({ pid: null, started: false, helper: null, missing: [] }, "");
  }
  return EXIT.ok;
};

async function sayIfRunning(terminal: Terminal): Promise<boolean> {
  const other = await tryConnectControl();
  if (!other) return false;
  const { pid, version } = other.hello;
  await other.close();
  const record = await readHelperRecord();
  const helper = record && (await record.running()) ? record.helper : null;
  const missing = helper === null ? await needsRoot() : [];
  terminal.done(
    `the daemon runs already (pid ${pid}, ${version})${helper === null ? "" : `, with its helper as root (pid ${helper})`}`,
  );
  sayWhatIsMissing(missing, terminal);
  if (missing.length > 0) terminal.say("  `shipside stop`, then `shipside start`, gives it a helper");
  terminal.result({ pid, started: false, helper, missing }, "");
  return true;
}

/** What can't be done is said before, not found out later. */
function sayWhatIsMissing(missing: readonly string[], terminal: Terminal): void {
  if (missing.length > 0) terminal.warn(`without root: no ${missing.join(", no ")}`);
}
