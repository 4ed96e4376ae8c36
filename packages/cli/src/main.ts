import { hasCode } from "@shipside/core";
import { COMMANDS, findCommand } from "./cli.ts";
import { flag } from "./command.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { commandHelp, mainHelp } from "./help.ts";
import { createInterrupt, type Interrupt } from "./interrupt.ts";
import { createTerminal, type Terminal } from "./terminal.ts";
import { version } from "./version.ts";

/** Runs one command line to its exit code. Never rejects. */
export async function main(argv: readonly string[]): Promise<number> {
  surviveClosedOutput();
  const { stdout, stderr, env } = process;
  const given = new Set(argv.slice(0, argv.includes("--") ? argv.indexOf("--") : undefined));
  const terminal = createTerminal({
    stdout,
    stderr,
    env,
    json: given.has("--json"),
    quiet: given.has("-q") || given.has("--quiet"),
  });
  using interrupt = createInterrupt(terminal);
  try {
    return await dispatch(argv, terminal, interrupt);
  } catch (error) {
    // Who interrupts knows it; what could not be undone, or brought to the cluster, must be said all the same.
    if (interrupt.by && !hasCode(error, "UNDO_FAILED", "VOLUMES_SYNC_PENDING")) {
      if (terminal.json) terminal.result({ error: { code: "ABORTED", message: `ended by ${interrupt.by}` } }, "");
      return interrupt.exitCode;
    }
    terminal.error(error);
    return exitCodeOf(error);
  } finally {
    terminal.settle();
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal, interrupt: Interrupt): Promise<number> {
  const [first = "--help", second] = argv;
  const view = { paint: terminal.out, width: terminal.outShows.width };
  // What needs no parser doesn't load it.
  if (first === "--version" || first === "version") {
    terminal.result({ version }, version);
    return EXIT.ok;
  }
  if (first === "--help" || first === "-h" || first === "help") {
    const about = findCommand(second ?? "");
    terminal.result(helpData(), about ? commandHelp(about, view) : mainHelp(view, version));
    // Without any word the help is an answer to a mistake.
    return argv.length === 0 ? EXIT.usage : EXIT.ok;
  }
  if (first === "__complete") {
    const { complete } = await import("./complete.ts");
    return complete(argv.slice(1));
  }
  const named = findCommand(first);
  if (named && (second === "--help" || second === "-h")) {
    terminal.result(helpData(), commandHelp(named, view));
    return EXIT.ok;
  }
  const { parse } = await import("./parse.ts");
  const { spec, invocation } = await parse(argv);
  if (flag(invocation, "help")) {
    terminal.result(helpData(), commandHelp(spec, view));
    return EXIT.ok;
  }
  const module = await spec.load();
  if (flag(invocation, "print-rbac")) {
    const { printRbac } = await import("./print-rbac.ts");
    return printRbac(spec, module, invocation, argv, terminal);
  }
  return module.run(invocation, terminal, interrupt);
}

const helpData = (): unknown => ({
  version,
  commands: COMMANDS.map(({ load: _load, ...spec }) => spec),
});

/** Whoever reads our output may go at any time (`| head`): that ends the output, not the work, and never with a stack trace. */
function surviveClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE" && error.code !== "EIO" && error.code !== "ERR_STREAM_DESTROYED") throw error;
    });
  }
}
