import { setTimeout as delay } from "node:timers/promises";
import { daemonError, daemonOwner, neverAtBoot, startAtBoot, tryConnectControl } from "@shipside/daemon/client";
import { ownCommandLine, sayThatRootIsAsked } from "./as-root.ts";
import { flag, type Invocation } from "./command.ts";
import { cliError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";
import type { Interrupt } from "./interrupt.ts";
import type { Terminal } from "./terminal.ts";

/** `start --install` and `start --uninstall`. */
export async function installOrNot(invocation: Invocation, terminal: Terminal, { signal }: Interrupt): Promise<number> {
  const other = ["uninstall", "foreground", "no-root"].find((name) => flag(invocation, name));
  const install = flag(invocation, "install");
  if (install && other !== undefined) {
    throw cliError("USAGE", `--install and --${other} exclude each other`, { hint: "`shipside help start` shows its forms" });
  }
  const owner = daemonOwner();
  if (!owner) {
    throw daemonError("INSTALL_UNSUPPORTED", "a daemon of root's own has no helper to start at boot", {
      hint: "run this as the user whose daemon it is to be",
    });
  }
  const verb = install ? "--install" : "--uninstall";
  const onAsk = sayThatRootIsAsked(terminal, install ? "setting up the start at boot" : "taking away the start at boot");
  const options = { signal, onAsk, commandLine: ownCommandLine("start", verb) };
  terminal.busy(install ? "setting up" : "taking away");
  if (!install) {
    const was = await neverAtBoot(owner, options);
    terminal.done(was ? "it starts at boot no more" : "it was not set up to start at boot");
    terminal.result({ uninstalled: was }, "");
    return EXIT.ok;
  }
  const start = (await runningPid()) === undefined;
  const { leftOut, ...installed } = await startAtBoot(owner, { ...options, start });
  terminal.done(`it starts at boot: ${installed.definition}; what runs as root is in ${installed.folder}`);
  if (leftOut.length > 0) {
    terminal.warn(`not kept for the boot, as they look like secrets: ${leftOut.join(", ")}`);
    terminal.say(`  ${terminal.err("cyan", "hint:")} a profile or a credential file in your home works at boot too`);
  }
  let pid = await runningPid();
  if (start) {
    terminal.busy("starting");
    for (let waited = 0; pid === undefined && waited < 20_000; waited += 100) {
      await delay(100, undefined, { signal });
      pid = await runningPid();
    }
    if (pid === undefined) terminal.warn(`it does not answer yet; the service manager may say why: ${installed.name}`);
    else terminal.done(`the daemon runs (pid ${pid}); \`shipside stop\` ends it until the next boot`);
  } else {
    terminal.say(`the daemon that runs already (pid ${pid}) goes on until you stop it`);
  }
  terminal.result({ ...installed, leftOut, pid: pid ?? null }, "");
  return start && pid === undefined ? EXIT.daemon : EXIT.ok;
}

async function runningPid(): Promise<number | undefined> {
  const client = await tryConnectControl();
  await client?.close();
  return client?.hello.pid;
}
