import { basename } from "node:path";
import { type Closable, createCloser, type EnvEntry, type HostsEntry } from "@shipside/core";
import type { Journal } from "../journal.ts";
import { makeDirectory } from "../residue/directory.ts";
import { makeProcess } from "../residue/process.ts";
import { type ChildNames, privateNames } from "./names.ts";
import { assertRunnable, type RunningCommand, runCommand } from "./run.ts";

export interface RunInSessionOptions {
  command: readonly string[];
  /** Of the workload: goes over this process's own, but for what belongs to the machine (`PATH`, `HOME`, …). */
  env: readonly EnvEntry[];
  /** The cluster's names, where the machine's hosts file doesn't have them; undefined where it has. */
  entries: readonly HostsEntry[] | undefined;
  journal: Journal;
  /** Runs it elsewhere than beside this process, where all processes end with this one. */
  run?: typeof runCommand;
  stdout?: "inherit" | "stderr";
  signal?: AbortSignal;
}

export interface CommandInSession extends Closable {
  readonly running: RunningCommand;
  /** How the names reach it. */
  readonly names: "hosts" | ChildNames;
  /** Where names came or went while it runs. */
  updateNames(entries: readonly HostsEntry[]): Promise<void>;
}

/** A container's value of these would break every program on this machine. */
const MACHINES_OWN = new Set(["PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "TMPDIR", "TERM"]);

/** Runs a command as the session's workload: with its env, and with the cluster's names. */
export async function runInSession(options: RunInSessionOptions): Promise<CommandInSession> {
  const { entries, journal, signal, stdout, run } = options;
  const closer = createCloser();
  try {
    let { command } = options;
    let env = mergeEnv(process.env, options.env);
    let names: Awaited<ReturnType<typeof privateNames>> | undefined;
    await assertRunnable(command[0] ?? "", env["PATH"]);
    if (entries) {
      const dir = await makeDirectory(journal, "names");
      closer.defer(dir.remove);
      names = await privateNames(dir.path);
      await names.update(entries);
      ({ command, env } = names.wrap(command, env));
    }
    const rest = { ...(signal && { signal }), ...(stdout && { stdout }) };
    const { child: running, ended } = run
      ? { child: await run({ command, env, ...rest }), ended: async () => {} }
      : await makeProcess(journal, basename(options.command[0] ?? ""), (mark) =>
          runCommand({ command, env: { ...env, ...mark }, ...rest }),
        );
    const exited = running.exited.then(async (code) => {
      // Where it can't be struck out, somebody finds later that it has ended.
      await ended().catch(() => {});
      return code;
    });
    return {
      running: { ...running, exited },
      names: names?.how ?? "hosts",
      updateNames: async (next) => names?.update(next),
      close: () => closer.close(),
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

export function mergeEnv(own: NodeJS.ProcessEnv, workload: readonly EnvEntry[]): NodeJS.ProcessEnv {
  const merged = { ...own };
  for (const { name, value } of workload) {
    if (!MACHINES_OWN.has(name) || merged[name] === undefined) merged[name] = value;
  }
  return merged;
}
