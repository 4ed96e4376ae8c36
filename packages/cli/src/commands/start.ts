import { startDaemon, tryConnectControl } from "@shipside/daemon/client";
import type { CommandModule } from "../command.ts";
import { flag } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { recoverNow } from "./session.ts";
import { run as stop } from "./stop.ts";

export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  if (flag(invocation, "clean")) return stop(invocation, terminal, interrupt);
  const other = await tryConnectControl();
  if (other) {
    const { pid, version } = other.hello;
    await other.close();
    terminal.done(`the daemon runs already (pid ${pid}, ${version})`);
    terminal.result({ pid, started: false }, "");
    return EXIT.ok;
  }
  await recoverNow(terminal);
  await sayWhatIsMissing(terminal.warn);
  if (flag(invocation, "foreground")) {
    terminal.busy("starting");
    const { openDaemon } = await import("@shipside/daemon");
    let onStop: () => void = () => {};
    const stopped = new Promise<void>((resolve) => {
      onStop = resolve;
    });
    const daemon = await openDaemon({ onStop: () => onStop() });
    terminal.done(`the daemon runs here (pid ${process.pid}); Ctrl-C ends it`);
    terminal.result({ pid: process.pid, started: true }, "");
    await Promise.race([interrupt.came, stopped]);
    terminal.busy("closing sessions");
    await daemon.close();
    terminal.done("everything is as it was");
    return interrupt.exitCode;
  }
  terminal.busy("starting");
  const { pid, log } = await startDaemon();
  terminal.done(`the daemon runs in the background (pid ${pid}); \`shipside stop\` ends it`);
  terminal.result({ pid, started: true, log }, "");
  return EXIT.ok;
};

/** The daemon runs with the rights of whoever starts it: what it can't do with them is said before, not found out later. */
async function sayWhatIsMissing(warn: (text: string) => void): Promise<void> {
  if (process.platform === "win32" || process.getuid?.() === 0) return;
  const { access, constants } = await import("node:fs/promises");
  const writable = await access("/etc/hosts", constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!writable) warn("/etc/hosts can't be written by this user: names will be handed to the commands you give after `--`");
}
