import { errorToJson } from "@shipside/core";
import { connectSessionHosts } from "../../control/hosts.ts";
import type { SessionInfo } from "../../session-info.ts";
import { version } from "../../version.ts";
import { type Check, count, type Finding, ok, problem, warning } from "../check.ts";
import type { HelperState } from "../context.ts";

/** The daemon and every terminal that has sessions: whether they answer, and of which version they are. */
export const processes: Check = {
  id: "processes",
  title: "daemon",
  async run(context) {
    const { clients, failed } = await connectSessionHosts(context.runtimeDir);
    const findings: Finding[] = [];
    for (const client of clients) {
      const { pid, kind, version: theirs } = client.hello;
      const who = kind === "daemon" ? "the daemon" : "a shipside in a terminal";
      const details = { pid, kind, version: theirs };
      const answer = await client.call("session.list").then(
        (sessions) => ({
          sessions: (sessions as unknown[]).length,
          page: (sessions as SessionInfo[]).find(({ inspector }) => inspector !== undefined)?.inspector,
        }),
        (error: unknown) => ({ error: errorToJson(error) }),
      );
      await client.close();
      if ("error" in answer)
        findings.push(problem(`${who} (pid ${pid}): ${answer.error.message}`, "`shipside stop` ends it", details));
      else if (theirs !== version)
        findings.push(
          warning(
            `${who} (pid ${pid}) is version ${theirs}, this is ${version}`,
            "`shipside stop` and `shipside start`, so that both are of one version",
            details,
          ),
        );
      else {
        const page = answer.page === undefined ? "" : `, its inspector is on ${answer.page}`;
        findings.push(ok(`${who} (pid ${pid}, ${theirs}) answers: ${count(answer.sessions, "session")}${page}`, details));
      }
    }
    const helper = await context.helper();
    const daemon = clients.find(({ hello }) => hello.kind === "daemon")?.hello.version;
    if (helper) findings.push(judgeHelper(helper, daemon));
    for (const { path, error } of failed) {
      const { code, message, hint } = errorToJson(error);
      findings.push(problem(message, hint ?? `if no shipside runs, remove ${path}`, { code, path }));
    }
    if (!clients.some(({ hello }) => hello.kind === "daemon") && failed.length === 0)
      findings.push(ok("none runs: a session lasts as long as its terminal"));
    return findings;
  },
};

function judgeHelper(helper: HelperState, daemon: string | undefined): Finding {
  const { pid, running, version: theirs } = helper;
  const details = { helper, daemon: daemon ?? null };
  if (!running) {
    const what = `its helper (pid ${pid}) has ended: names and low ports stay as they were`;
    return problem(what, "`shipside stop` and `shipside start`", details);
  }
  const what = `its helper for names and low ports runs as root (pid ${pid}${theirs === undefined ? "" : `, ${theirs}`})`;
  if (theirs === undefined || daemon === undefined || theirs === daemon) return ok(what, details);
  return warning(
    `${what}, and the daemon is version ${daemon}`,
    "one that is installed stays as it is when shipside is upgraded: `shipside stop`, then `shipside start --install` again",
    details,
  );
}
