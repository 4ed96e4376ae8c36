import { connectSessionHosts, type ProbeResult, readAbandoned, type SessionInfo, stateDir } from "@shipside/daemon/client";
import type { CommandModule } from "../command.ts";
import { flag } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { recoverNow } from "./session.ts";

/** Asks every process and every API server now; remembers nothing. */
export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  if (flag(invocation, "clean")) return (await recoverNow(terminal)).length > 0 ? EXIT.residue : EXIT.ok;
  terminal.busy("asking");
  const { clients, failed } = await connectSessionHosts();
  const { out } = terminal;
  const lines: string[] = [];
  const processes = [];
  let well = failed.length === 0;
  for (const client of clients) {
    const { pid, kind, version } = client.hello;
    const sessions = (await client.call("session.list")) as SessionInfo[];
    const probes = (await client.call("session.probe", {}, { signal: interrupt.signal })) as ProbeResult[];
    await client.close();
    processes.push({ pid, kind, version, sessions, probes });
    lines.push(`${out("bold", kind === "daemon" ? "daemon" : "in the foreground")} ${version}, pid ${pid}`);
    if (sessions.length === 0) lines.push("  no session");
    for (const { id, workload, namespace, context, stale, services, names } of sessions) {
      const probe = probes.find((each) => each.id === id);
      const broken = services.flatMap(({ ports }) => ports.filter(({ error }) => error));
      const answer = !probe
        ? "closing"
        : "error" in probe
          ? out("red", `the API server does not answer: ${probe.error.message}`)
          : out("green", `the API server answers in ${probe.answeredMs} ms`);
      lines.push(`  ${out("bold", id)} ${workload ?? `namespace ${namespace}`} in ${context}: ${answer}`);
      for (const error of stale) lines.push(`    ${out("yellow", `may be out of date: ${error.message}`)}`);
      for (const port of broken.slice(0, 5)) lines.push(`    ${out("yellow", port.error!.message)}`);
      if (names.where === "commands")
        lines.push(`    ${out("yellow", `names only for its command: ${names.reason?.message ?? ""}`)}`);
      if ((probe && "error" in probe) || stale.length > 0) well = false;
    }
  }
  for (const { path, error } of failed) lines.push(out("red", `${path}: ${error.message}`));
  const abandoned = await readAbandoned(stateDir());
  const left = abandoned.flatMap(({ outstanding }) => outstanding.map(({ kind }) => kind));
  if (left.length > 0) {
    well = false;
    lines.push(out("yellow", `a shipside that is gone left ${left.join(", ")}: \`shipside session clean\` undoes that`));
  }
  if (lines.length === 0) lines.push("nothing is open, and nothing was left behind");
  terminal.result(
    { processes, failed: failed.map(({ path, error }) => ({ path, message: error.message })), left },
    lines.join("\n"),
  );
  return well ? EXIT.ok : EXIT.unreachable;
};
