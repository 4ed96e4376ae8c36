import { connectSessionHosts, type ProbeResult, readAbandoned, type SessionInfo, stateDir } from "@shipside/daemon/client";
import type { CommandModule } from "../command.ts";
import { flag } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { leftByHelper } from "../left-by-helper.ts";
import { isWell, sessionStatus } from "../status-view.ts";
import { recoverNow } from "./session.ts";

interface AskedProcess {
  pid: number;
  kind: string;
  version: string;
  sessions: SessionInfo[];
  probes: ProbeResult[];
  /** Undefined of a version that doesn't say. */
  helper?: { pid: number; version?: string; running: boolean } | null;
}

/** Asks every process and every API server now; remembers nothing. */
export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  if (flag(invocation, "clean")) return (await recoverNow(terminal)).length > 0 ? EXIT.residue : EXIT.ok;
  terminal.busy("asking");
  const { clients, failed } = await connectSessionHosts();
  const { out } = terminal;
  const lines: string[] = [];
  const processes: AskedProcess[] = [];
  let well = failed.length === 0;
  const details = flag(invocation, "details");
  const params = flag(invocation, "all") ? { most: Number.MAX_SAFE_INTEGER } : {};
  // Side by side: one that takes its time holds up none of the others.
  const asked = await Promise.all(
    clients.map(async (client): Promise<AskedProcess | Error> => {
      try {
        const probes = (await client.call("session.probe", params, { signal: interrupt.signal })) as ProbeResult[];
        const sessions = (await client.call("session.list")) as SessionInfo[];
        const helper = (await client.call("helper").catch(() => undefined)) as AskedProcess["helper"];
        const { pid, kind, version } = client.hello;
        return { pid, kind, version, sessions, probes, ...(helper !== undefined && { helper }) };
      } catch (error) {
        return error as Error;
      } finally {
        await client.close();
      }
    }),
  );
  for (const answer of asked) {
    if (answer instanceof Error) {
      failed.push({ path: "", error: answer });
      well = false;
      continue;
    }
    processes.push(answer);
    lines.push(`${out("bold", answer.kind === "daemon" ? "daemon" : "in the foreground")} ${answer.version}, pid ${answer.pid}`);
    if (answer.helper?.running)
      lines.push(
        `  its helper for names and low ports runs as root, pid ${answer.helper.pid}${answer.helper.version === undefined ? "" : ` (${answer.helper.version})`}`,
      );
    if (answer.helper?.running === false) {
      well = false;
      lines.push(
        out(
          "red",
          `  its helper (pid ${answer.helper.pid}) has ended: what is open works on, but names and low ports are as they were`,
        ),
      );
      lines.push(`  ${out("dim", "`shipside stop` asks for root once more and undoes them; then `shipside start`")}`);
    }
    const page = answer.sessions.find(({ inspector }) => inspector !== undefined)?.inspector;
    if (page !== undefined) lines.push(`  its traffic is on ${page}: \`shipside inspect\` opens it`);
    if (answer.sessions.length === 0) lines.push("  no session");
    for (const session of answer.sessions) {
      const probe = answer.probes.find((each) => each.id === session.id);
      lines.push(...sessionStatus(session, probe, { details, paint: out }));
      if (!isWell(session, probe)) well = false;
    }
  }
  for (const { path, error } of failed) lines.push(out("red", [path, error.message].filter(Boolean).join(": ")));
  const abandoned = await readAbandoned(stateDir());
  const left = abandoned.flatMap(({ outstanding }) => outstanding.map(({ kind }) => kind));
  left.push(...((await leftByHelper())?.left ?? []));
  if (left.length > 0) {
    well = false;
    lines.push(out("yellow", `a shipside that is gone left ${left.join(", ")}: \`shipside clean\` undoes that`));
  }
  if (lines.length === 0) lines.push("nothing is open, and nothing was left behind");
  terminal.result(
    { processes, failed: failed.map(({ path, error }) => ({ path, message: error.message })), left },
    lines.join("\n"),
  );
  return well ? EXIT.ok : EXIT.unreachable;
};
