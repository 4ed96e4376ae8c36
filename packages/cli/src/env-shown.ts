import { errorToJson } from "@shipside/core";
import type { EnvCollection, ReadEnvOptions } from "@shipside/daemon/env";
import { flag, type Invocation, text } from "./command.ts";
import { cliError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";
import type { Interrupt } from "./interrupt.ts";
import { createProgress } from "./progress.ts";
import { pointAtRbac } from "./rbac-hint.ts";
import { sessionOptions } from "./session-options.ts";
import { explain, type Terminal } from "./terminal.ts";

const library = () => import("@shipside/daemon/env");

/** What is asked of the cluster, and in this process: no session is needed to know. */
export function envRequest(invocation: Invocation, terminal: Terminal, signal: AbortSignal): ReadEnvOptions & { workload: string } {
  const { workload = "", namespace, kubeconfig, context, container, env = {} } = sessionOptions("env", invocation);
  const { from, skipForbidden, only, except, secrets, set } = env;
  const progress = createProgress(terminal, { command: false });
  return {
    workload,
    ...(namespace !== undefined && { namespace }),
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    ...(container !== undefined && { container }),
    ...(from && { from }),
    ...(skipForbidden && { skipForbidden }),
    select: { ...(only && { only }), ...(except && { except }), ...(secrets !== undefined && { secrets }), ...(set && { set }) },
    signal,
    onConnected: (where) => progress.on({ step: "connected", ...where }),
  };
}

/** Says which workload it is of, and what is left out. */
export function sayCollected({ workload, container, pod, warnings, refusals, entries }: EnvCollection, terminal: Terminal): void {
  const { err } = terminal;
  const where = [`container ${container}`, ...(pod ? [`pod ${pod.name}`] : [])].join(", ");
  const count = `${entries.length} variable${entries.length === 1 ? "" : "s"}`;
  terminal.done(`${err("bold", workload)}, ${where}: ${count}`);
  for (const { message } of warnings) terminal.warn(message);
  for (const refusal of refusals) {
    const error = pointAtRbac(errorToJson(refusal));
    for (const line of [error.message, ...explain(error, err)]) terminal.say(`  ${line}`);
  }
}

const facts = ({ workload, namespace, container, pod, warnings }: EnvCollection): object => ({
  workload,
  namespace,
  container,
  ...(pod && { pod: pod.name }),
  warnings,
});

/** `env <workload>`: in one of the formats. */
export async function printEnv(request: ReadEnvOptions, invocation: Invocation, terminal: Terminal): Promise<number> {
  const { readEnv, formatNamed, redact } = await library();
  const format = formatNamed(text(invocation, "format") ?? "env");
  const collection = await readEnv(request);
  const env = flag(invocation, "reveal") ? collection.entries : redact(collection.entries);
  const rendered = terminal.json ? "" : format.render(collection.entries);
  sayCollected(collection, terminal);
  terminal.result({ ...facts(collection), env }, rendered);
  return EXIT.ok;
}

/** `env <workload> --explain`: where each comes from. */
export async function explainEnv(request: ReadEnvOptions, invocation: Invocation, terminal: Terminal): Promise<number> {
  const { readEnv } = await library();
  await showExplained(await readEnv(request), invocation, terminal);
  return EXIT.ok;
}

async function showExplained(collection: EnvCollection, invocation: Invocation, terminal: Terminal): Promise<void> {
  const { explain, renderExplain } = await library();
  sayCollected(collection, terminal);
  const { differences } = collection;
  const variables = explain(collection.entries, { differences, reveal: flag(invocation, "reveal") });
  terminal.result({ ...facts(collection), variables }, variables.length === 0 ? "" : renderExplain(variables, terminal.outShows));
}

/** `env <workload> --watch`: what changes, as it does, until it is interrupted. */
export async function followChanges(
  request: ReadEnvOptions,
  invocation: Invocation,
  terminal: Terminal,
  interrupt: Interrupt,
): Promise<number> {
  if (terminal.json)
    throw cliError("USAGE", "--watch has no end, and --json prints one document", { hint: "with a file (-f) both are possible" });
  const { followEnv, diffRows, renderDiff } = await library();
  const reveal = flag(invocation, "reveal");
  await using watch = await followEnv({
    ...request,
    onChange: (change) => terminal.result(undefined, renderDiff(diffRows(change, { reveal }), terminal.outShows)),
    onError: (error) => terminal.error(error),
  });
  if (flag(invocation, "explain")) await showExplained(watch.current, invocation, terminal);
  else sayCollected(watch.current, terminal);
  terminal.say("what changes is printed here; Ctrl-C ends it");
  await interrupt.came;
  return interrupt.exitCode;
}
