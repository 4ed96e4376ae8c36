import type { SessionOptions } from "@shipside/daemon/client";
import { arrivalSessions, openArrival } from "../arrivals.ts";
import type { CommandModule } from "../command.ts";
import { flag, type Invocation } from "../command.ts";
import type { Interrupt } from "../interrupt.ts";
import { keepOpen, readyIn } from "../keep-open.ts";
import { leaveWill } from "../last-will.ts";
import { type CommandSession, openCommandSession, sharedPorts } from "../open-session.ts";
import { createProgress } from "../progress.ts";
import { rightsOfSessions } from "../rights.ts";
import { chooseRootless, type RootlessChoice, refuseInsideOptions } from "../rootless-choice.ts";
import { joinSession, openRootlessCommand, type RootlessCommand } from "../rootless-command.ts";
import { saveIfWanted } from "../save-profile.ts";
import { createEventRelay, restartOptions, runSessionCommand } from "../session-command.ts";
import { sessionOptions, wantsForeground } from "../session-options.ts";
import type { Terminal } from "../terminal.ts";
import { closeMatching } from "./session.ts";

export const rights: NonNullable<CommandModule["rights"]> = async (invocation) =>
  rightsOfSessions(wishesOf(invocation), { inside: flag(invocation, "rootless") });

export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  const choice = await chooseRootless(invocation, interrupt.signal);
  if (!choice.taken) {
    refuseInsideOptions(invocation, choice);
    return teleport(invocation, terminal, interrupt, { choice });
  }
  await using rootless = await openRootlessCommand(invocation, terminal, interrupt.signal);
  // The namespaces end with us however we do; this is for what isn't in them: a drive, a token in a file.
  await using _will = leaveWill();
  return await teleport(invocation, terminal, interrupt, { choice, rootless });
};

/** The teleport itself, and what its command is to get from the cluster. */
function wishesOf(invocation: Invocation): [SessionOptions, ...SessionOptions[]] {
  const options = sessionOptions("teleport", invocation);
  return [options, ...arrivalSessions(invocation, options)];
}

async function teleport(
  invocation: Invocation,
  terminal: Terminal,
  interrupt: Interrupt,
  { choice, rootless }: { choice: RootlessChoice; rootless?: RootlessCommand },
): Promise<number> {
  const [options, ...arrivals] = wishesOf(invocation);
  if (flag(invocation, "clean")) return closeMatching([options, ...arrivals], terminal);
  const began = performance.now();
  const { command } = invocation;
  let calm: Awaited<ReturnType<typeof sharedPorts>> | undefined;
  const progress = createProgress(terminal, {
    command: command !== undefined,
    ...(rootless && { rootless: true }),
    calm: (error) => calm?.calm(error) ?? false,
  });
  const restart = restartOptions(invocation);
  const relay = createEventRelay(progress.on);
  const session = await openCommandSession(options, {
    terminal,
    signal: interrupt.signal,
    foreground: wantsForeground(invocation),
    attached: command !== undefined,
    hostOptions: rootless?.hostOptions,
    onEvent: relay.on,
  });
  try {
    const info = session.info();
    calm = await sharedPorts(info);
    progress.ready();
    for (const pid of calm.pids)
      terminal.say(`  ports that shipside ${pid} has open are used as they are, and taken over when it ends`);
    const readyMs = Math.round(performance.now() - began);
    await saveIfWanted(invocation, [options, ...arrivals], terminal);
    const ready = readyIn(readyMs, terminal);
    for (const line of choice.said) terminal.say(`  ${line}`);
    if (rootless) await joinSession(rootless, { session, relay, invocation, terminal });
    for (const wish of arrivals) await openArrival(wish, session, { relay, terminal });
    if (command) {
      terminal.say(`${ready}: ${terminal.err("bold", command.join(" "))}`);
      return await runSessionCommand(command, session, {
        terminal,
        interrupt,
        relay,
        ...(rootless && { run: rootless.run }),
        ...(restart && { restart }),
      });
    }
    terminal.result({ session: info, readyMs }, "");
    return await keepOpen(session, { terminal, interrupt, ready });
  } finally {
    await undo(session, terminal, interrupt);
  }
}

async function undo(session: CommandSession, terminal: Terminal, interrupt: Interrupt): Promise<void> {
  if (interrupt.by) terminal.busy("cleaning up");
  await session.close();
  if (session.by === "here") terminal.done("everything is as it was");
}
