import { resolve } from "node:path";
import type { EnvDiff, ReadEnvOptions } from "@shipside/daemon/env";
import { flag, type Invocation, text } from "../command.ts";
import { envRequest, sayCollected } from "../env-shown.ts";
import { cliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import type { Interrupt } from "../interrupt.ts";
import type { Terminal } from "../terminal.ts";

type Entries = EnvDiff["added"];

/** `env diff`: exit code 0 where both are the same, 1 where they differ, as diff(1) has it. */
export async function diff(invocation: Invocation, terminal: Terminal, interrupt: Interrupt): Promise<number> {
  const { words, command, options } = invocation;
  const hint = "`shipside help env` shows the forms";
  if (words.length === 0) throw cliError("USAGE", "env diff: of which workload?", { hint });
  if (command || ["file", "explain", "watch", "restart-on-change", "grace", "clean"].some((name) => name in options))
    throw cliError("USAGE", "env diff compares, and writes, runs and follows nothing", { hint });
  const request = envRequest(invocation, terminal, interrupt.signal);
  const { only = [], except = [], secrets = true } = request.select ?? {};
  // What is wanted of the difference is chosen when both sides are known: of a file nobody says what is secret.
  const whole: ReadEnvOptions & { workload: string } = { ...request, select: { set: request.select?.set ?? {} } };

  const other = otherSide(invocation, whole);
  const { readEnv, readEnvFile, shellEntries, diffEnv, diffRows, isSame, renderDiff, selectEntries } = await import(
    "@shipside/daemon/env"
  );
  const [collection, second] = await Promise.all([readEnv(whole), theOther()]);
  sayCollected(collection, terminal);

  async function theOther(): Promise<{ name: string; entries: Entries }> {
    if (other.kind === "file") return { name: other.path, entries: await readEnvFile(resolve(other.path), other.options) };
    if (other.kind === "shell") return { name: "this shell", entries: shellEntries(process.env) };
    const { workload, namespace, entries } = await readEnv(other.request);
    return { name: `${workload} in ${[namespace, other.request.context].filter(Boolean).join(" of ")}`, entries };
  }

  // A shell has much besides.
  const all = diffEnv(collection.entries, second.entries, { extra: other.kind !== "shell" });
  const isWanted = (entry: Entries[number]): boolean => selectEntries([entry], { only, except, secrets }).length > 0;
  const difference: EnvDiff = {
    added: all.added.filter(isWanted),
    removed: all.removed.filter(isWanted),
    changed: all.changed.filter(({ before, after }) => isWanted(before) && isWanted(after)),
  };
  const rows = diffRows(difference, { reveal: flag(invocation, "reveal") });
  const same = isSame(difference);
  const { err } = terminal;
  if (same) terminal.done(`${second.name} is the same`);
  else
    terminal.say(
      `${err("red", "-")} only in the workload, ${err("green", "+")} only in ${second.name}, ${err("yellow", "~")} differs`,
    );
  terminal.result(
    { same, workload: collection.workload, namespace: collection.namespace, with: second.name, differences: rows },
    same ? "" : renderDiff(rows, terminal.outShows),
  );
  return same ? EXIT.ok : EXIT.differs;
}

type Other =
  | { kind: "file"; path: string; options: { format?: string } }
  | { kind: "shell" }
  | { kind: "workload"; request: ReadEnvOptions };

function otherSide(invocation: Invocation, request: ReadEnvOptions & { workload: string }): Other {
  const path = text(invocation, "with");
  const format = text(invocation, "format");
  const [workload, namespace, context] = ["workload", "other-namespace", "other-context"].map((name) => text(invocation, name));
  const others: Other[] = [];
  if (path !== undefined) others.push({ kind: "file", path, options: format === undefined ? {} : { format } });
  if (flag(invocation, "shell")) others.push({ kind: "shell" });
  if (workload !== undefined || namespace !== undefined || context !== undefined) {
    const { onConnected: _said, container, ...rest } = request;
    others.push({
      kind: "workload",
      request: {
        ...rest,
        select: {},
        // Another workload has containers of its own.
        ...(container !== undefined && workload === undefined && { container }),
        ...(workload !== undefined && { workload }),
        ...(namespace !== undefined && { namespace }),
        ...(context !== undefined && { context }),
      },
    });
  }
  if (others.length === 1) return others[0]!;
  throw cliError("USAGE", others.length === 0 ? "env diff: compare with what?" : "env diff compares with one thing at a time", {
    hint: "--with FILE, --shell, or --workload, --other-namespace, --other-context",
  });
}
