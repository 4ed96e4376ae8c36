import { createCloser, type ErrorJson, errorToJson } from "@shipside/core";
import { openRemoteSession, type SessionEvent, type SessionInfo } from "@shipside/daemon/client";
import type { PlannedEntry } from "@shipside/daemon/profile";
import type { CommandModule, Invocation } from "../command.ts";
import { flag, text } from "../command.ts";
import { EXIT, exitCodeOf } from "../exit-codes.ts";
import type { Interrupt } from "../interrupt.ts";
import { daemonIfAny, openHostHere } from "../open-session.ts";
import { profileFile } from "../profile-file.ts";
import { showPlan } from "../profile-plan.ts";
import { rightsOfSessions } from "../rights.ts";
import { kubeconfigOf, wantsForeground } from "../session-options.ts";
import { errorLines, type Terminal } from "../terminal.ts";
import { run as down } from "./down.ts";
import { endSession, listSessions, recoverNow } from "./session.ts";

export const rights: NonNullable<CommandModule["rights"]> = async (invocation) => {
  const { planFile } = await import("@shipside/daemon/profile");
  const { entries } = await planFile(await profileFile(invocation), whereOf(invocation));
  return rightsOfSessions(entries.map(({ options }) => options));
};

export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  if (flag(invocation, "clean")) return down(invocation, terminal, interrupt);
  const { assertTrusted, changesOf, distrusted, planFile } = await import("@shipside/daemon/profile");
  const where = whereOf(invocation);
  const plan = await planFile(await profileFile(invocation), where);
  const given = [where?.defaults?.kubeconfig, where?.overrides?.kubeconfig];
  const distrust = flag(invocation, "trust") ? [] : await distrusted(plan, { given });
  if (flag(invocation, "dry-run")) {
    // It asks the cluster, and writes nothing.
    assertTrusted(
      plan,
      distrust.filter(({ what }) => what === "kubeconfig"),
    );
    for (const { line, entry, why } of distrust) terminal.warn(`${plan.file}:${line}: ${entry} ${why}: that takes --trust`);
    return showPlan(plan, terminal, interrupt.signal);
  }
  assertTrusted(plan, distrust);

  const { sessions, failed } = await listSessions();
  for (const error of failed) terminal.warn(error.message);
  const { kept, closed, opened } = changesOf(
    plan.entries,
    sessions.filter(({ origin }) => origin?.file === plan.file),
  );
  for (const { id, origin } of closed) {
    await endSession(id);
    terminal.done(`closed ${terminal.err("bold", origin!.entry)}: the file says it no longer, or otherwise`);
  }
  for (const { id, origin } of kept) terminal.say(`  ${terminal.err("bold", origin!.entry)} is open already (${id})`);
  const so: Outcome = {
    file: plan.file,
    kept: kept.map(({ id }) => id),
    closed: closed.map(({ id }) => id),
    opened: [],
    failed: [],
  };
  if (opened.length === 0) {
    terminal.done(plan.entries.length === 0 ? `${plan.file} says nothing` : "everything is open as the file says");
    terminal.result(so, "");
    return EXIT.ok;
  }
  const client =
    wantsForeground(invocation) || opened.some(({ options }) => !options.kubeconfig)
      ? undefined
      : await daemonIfAny({ terminal, signal: interrupt.signal });
  if (!client) return openAllHere(opened, so, terminal, interrupt);
  try {
    await recoverNow(terminal);
    await openEach(opened, so, terminal, interrupt, async (options, onEvent) => {
      const session = await openRemoteSession(client, options, { attached: false, signal: interrupt.signal, onEvent });
      return session.info;
    });
  } finally {
    await client.close();
  }
  terminal.result(so, "");
  if (so.failed.length > 0) return exitCodeOf(so.failed[0]!.error);
  terminal.say(`\`shipside down\` closes ${so.opened.length + so.kept.length === 1 ? "it" : "them"}`);
  return EXIT.ok;
};

interface Outcome {
  file: string;
  /** Ids. */
  kept: string[];
  closed: string[];
  opened: SessionInfo[];
  failed: Array<{ entry: string; error: ErrorJson }>;
}

type Open = (options: PlannedEntry["options"], onEvent: (event: SessionEvent) => void) => Promise<SessionInfo>;

/** Options on the command line stand above the file's own; `KUBECONFIG` and the usual place below. */
function whereOf(invocation: Invocation): Parameters<typeof import("@shipside/daemon/profile").planFile>[1] {
  const [context, namespace] = [text(invocation, "context"), text(invocation, "namespace")];
  const kubeconfig = kubeconfigOf(invocation);
  const given = text(invocation, "kubeconfig") !== undefined;
  return {
    defaults: { ...(kubeconfig !== undefined && { kubeconfig }) },
    overrides: {
      ...(given && kubeconfig !== undefined && { kubeconfig }),
      ...(context !== undefined && { context }),
      ...(namespace !== undefined && { namespace }),
    },
  };
}

/** One after the other: of two that want a name, the first in the file has it. One that fails keeps none of the others from opening. */
async function openEach(
  entries: readonly PlannedEntry[],
  so: Outcome,
  terminal: Terminal,
  interrupt: Interrupt,
  open: Open,
): Promise<void> {
  for (const { entry, title, options } of entries) {
    interrupt.signal.throwIfAborted();
    terminal.busy(`${entry}: ${title}`);
    const warnings: ErrorJson[] = [];
    try {
      const info = await open(options, (event) => void (event.step === "warning" && warnings.push(event.error)));
      so.opened.push(info);
      terminal.done(`${terminal.err("bold", entry)}: ${told(info, title)}`);
    } catch (error) {
      if (interrupt.by) throw error;
      so.failed.push({ entry, error: errorToJson(error) });
      terminal.warn(`${terminal.err("bold", entry)} could not be opened`);
      for (const line of errorLines(errorToJson(error), terminal.err)) terminal.say(`  ${line}`);
    }
    for (const { message } of warnings.slice(0, 3)) terminal.warn(`${entry}: ${message}`);
    if (warnings.length > 3) terminal.warn(`${entry}: and ${warnings.length - 3} more like these`);
  }
  const nameless = so.opened.find(({ names }) => names.where === "commands" && names.count > 0);
  if (!nameless) return;
  terminal.warn(`names are not on this machine: ${nameless.names.reason?.message ?? "no hosts file"}`);
  const one = nameless.workload ?? `namespace ${nameless.namespace}`;
  terminal.say(
    `  ${terminal.err("cyan", "hint:")} \`shipside start\` takes root once, and the next \`up\` has them for every program${
      process.platform === "linux" ? `; \`shipside run ${one} -- COMMAND\` gives one command all of it without root` : ""
    }`,
  );
}

function told({ id, kind, workload, namespace, context, services, envFile, mount }: SessionInfo, title: string): string {
  const what = kind === "teleport" ? `, ${services.length} ${services.length === 1 ? "service" : "services"}` : "";
  const file = envFile ? `, ${envFile.variables} variables in ${envFile.path}` : "";
  const volumes = mount ? `, ${mount.volumes.length} ${mount.volumes.length === 1 ? "volume" : "volumes"} in ${mount.dir}` : "";
  return `${workload ?? title} in namespace ${namespace} of ${context} (${id})${what}${file}${volumes}`;
}

/** Without a daemon they live in this process; one that fails then ends all, as nobody could ask later why it is missing. */
async function openAllHere(
  entries: readonly PlannedEntry[],
  so: Outcome,
  terminal: Terminal,
  interrupt: Interrupt,
): Promise<number> {
  const closer = createCloser();
  try {
    const { host, stopped, close } = await openHostHere({ terminal, signal: interrupt.signal });
    closer.defer(close);
    const ends: Array<Promise<unknown>> = [];
    await openEach(entries, so, terminal, interrupt, async (options, onEvent) => {
      const { session } = await host.open(options, { signal: interrupt.signal, onEvent });
      ends.push(session.ended.then((reason) => reason && terminal.warn(`${options.origin!.entry} has ended: ${reason.message}`)));
      return session.info();
    });
    terminal.result(so, "");
    if (so.failed.length > 0) return exitCodeOf(so.failed[0]!.error);
    terminal.say("Ctrl-C, or `shipside down`, closes them");
    await Promise.race([interrupt.came, stopped, Promise.all(ends)]);
    return interrupt.exitCode;
  } finally {
    if (interrupt.by) terminal.busy("cleaning up");
    await closer.close();
    terminal.done("everything is as it was");
  }
}
