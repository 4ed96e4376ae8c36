import type { CommandModule, Invocation } from "../command.ts";
import { flag, text } from "../command.ts";
import { envRequest, explainEnv, followChanges, printEnv } from "../env-shown.ts";
import { cliError } from "../errors.ts";
import type { Interrupt } from "../interrupt.ts";
import { keepOpen, readyIn } from "../keep-open.ts";
import { openCommandSession } from "../open-session.ts";
import { createProgress } from "../progress.ts";
import { rightsOfSessions } from "../rights.ts";
import { saveIfWanted } from "../save-profile.ts";
import { createEventRelay, restartOptions, runSessionCommand } from "../session-command.ts";
import { sessionOptions, wantsForeground } from "../session-options.ts";
import type { Terminal } from "../terminal.ts";
import { closeMatching } from "./session.ts";

/** Only of `env diff`. */
const OF_DIFF = ["with", "shell", "workload", "other-namespace", "other-context"];

export const rights: NonNullable<CommandModule["rights"]> = async (invocation) => {
  if (invocation.words[0] !== "diff") return rightsOfSessions([sessionOptions("env", invocation)]);
  const own = { ...invocation, words: invocation.words.slice(1) };
  return rightsOfSessions([sessionOptions("env", own), ...otherSessionOptions(own)]);
};

/** The other side of a comparison, where it is a workload too. */
function otherSessionOptions(invocation: Invocation): ReturnType<typeof sessionOptions>[] {
  const [workload, namespace, context] = ["workload", "other-namespace", "other-context"].map((name) => text(invocation, name));
  if (workload === undefined && namespace === undefined && context === undefined) return [];
  const one = sessionOptions("env", invocation);
  const other = { ...(workload !== undefined && { workload }), ...(namespace !== undefined && { namespace }) };
  return [{ ...one, ...other, ...(context !== undefined && { context }) }];
}

export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  if (invocation.words[0] === "diff") {
    const { diff } = await import("./env-diff.ts");
    return diff({ ...invocation, words: invocation.words.slice(1) }, terminal, interrupt);
  }
  const stray = OF_DIFF.find((name) => name in invocation.options);
  if (stray !== undefined) throw usage(`--${stray} is of \`env diff\``, "shipside env diff <workload> --with FILE");
  const options = sessionOptions("env", invocation);
  if (flag(invocation, "clean")) return closeMatching([options], terminal);
  const toFile = options.envFile !== undefined;
  if (!toFile && text(invocation, "save-profile") !== undefined)
    throw usage("--save-profile keeps an env's file, and there is no file", "name it: shipside env <workload> .env -s NAME");
  const restart = restartOptions(invocation);
  if (!toFile && !invocation.command) return show(invocation, terminal, interrupt);
  if (flag(invocation, "explain"))
    throw usage("--explain shows the env, and runs or writes nothing", "leave the file or command out");

  const began = performance.now();
  const progress = createProgress(terminal, { command: false });
  const relay = createEventRelay(progress.on);
  const session = await openCommandSession(options, {
    terminal,
    signal: interrupt.signal,
    foreground: wantsForeground(invocation) || !toFile,
    attached: invocation.command !== undefined,
    onEvent: relay.on,
  });
  try {
    progress.ready();
    const readyMs = Math.round(performance.now() - began);
    await saveIfWanted(invocation, options, terminal);
    if (invocation.command) {
      return await runSessionCommand(invocation.command, session, { terminal, interrupt, relay, ...(restart && { restart }) });
    }
    terminal.result({ session: session.info(), readyMs }, "");
    return await keepOpen(session, { terminal, interrupt, ready: readyIn(readyMs, terminal) });
  } finally {
    await session.close();
    if (toFile && session.by === "here") terminal.done("everything is as it was");
  }
};

async function show(invocation: Invocation, terminal: Terminal, interrupt: Interrupt): Promise<number> {
  const request = envRequest(invocation, terminal, interrupt.signal);
  if (flag(invocation, "watch")) return followChanges(request, invocation, terminal, interrupt);
  if (flag(invocation, "explain")) return explainEnv(request, invocation, terminal);
  return printEnv(request, invocation, terminal);
}

const usage = (message: string, hint: string): Error => cliError("USAGE", message, { hint });
