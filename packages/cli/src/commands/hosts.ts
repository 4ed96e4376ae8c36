import { hasCode } from "@shipside/core";
import { connectSessionHosts } from "@shipside/daemon/client";
import { ownCommandLine } from "../as-root.ts";
import { confirm } from "../ask.ts";
import type { CommandModule, Invocation } from "../command.ts";
import { flag, text } from "../command.ts";
import { cliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import type { Interrupt } from "../interrupt.ts";
import { changedLines, diffLines } from "../line-diff.ts";
import type { Paint, Terminal } from "../terminal.ts";

export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  const [verb = "diff"] = invocation.words;
  if (verb === "diff") return diff(terminal);
  if (verb !== "restore") {
    throw cliError("USAGE", `shipside hosts ${verb}: there is diff and restore`, { hint: "`shipside help hosts` shows the forms" });
  }
  if (text(invocation, "backup") !== undefined && !flag(invocation, "from-backup"))
    throw cliError("USAGE", "--backup names the copy that --from-backup puts back", { hint: "add --from-backup" });
  try {
    return await (flag(invocation, "from-backup") ? putBack(invocation, terminal, interrupt) : takeOut(terminal));
  } catch (error) {
    if (hasCode(error, "HOSTS_UNWRITABLE") && process.getuid?.() !== 0) {
      const { originalPlace } = await import("@shipside/daemon");
      // Root's home is another.
      const backup = flag(invocation, "from-backup")
        ? ["--from-backup", "--backup", text(invocation, "backup") ?? originalPlace()]
        : [];
      terminal.say(`the hosts file is root's: sudo ${ownCommandLine("hosts", "restore", ...backup).join(" ")}`);
    }
    throw error;
  }
};

/** What is ours in the file, as a diff from the file without it. */
async function diff(terminal: Terminal): Promise<number> {
  const { viewHosts } = await import("@shipside/daemon");
  const { path, text: now, without, owners } = await viewHosts();
  const lines = changedLines(diffLines(linesOf(without), linesOf(now)));
  if (owners.length === 0) terminal.say(`nothing in ${path} is Shipside's`);
  terminal.result(
    { path, owners, lines: lines.filter((line) => line.startsWith("+ ")).map((line) => line.slice(2)) },
    paintDiff(lines, terminal.out),
  );
  return EXIT.ok;
}

async function takeOut(terminal: Terminal): Promise<number> {
  const { removeOwners, viewHosts } = await import("@shipside/daemon");
  await warnOfSessions(terminal);
  const owners = await removeOwners();
  const { path } = await viewHosts();
  terminal.done(owners.length === 0 ? `nothing in ${path} is Shipside's` : `took the lines of ${owners.join(", ")} out of ${path}`);
  terminal.result({ path, owners }, "");
  return EXIT.ok;
}

async function putBack(invocation: Invocation, terminal: Terminal, interrupt: Interrupt): Promise<number> {
  const { originalPlace, replaceHosts, viewHosts } = await import("@shipside/daemon");
  const { readFile } = await import("node:fs/promises");
  const backup = text(invocation, "backup") ?? originalPlace();
  const copy = await readFile(backup, "latin1").catch((cause: unknown) => {
    throw cliError("USAGE", `there is no copy to put back at ${backup}: ${(cause as Error).message}`, {
      hint: "name it with --backup FILE; `shipside hosts restore` needs none",
      cause,
    });
  });
  const { path, text: now } = await viewHosts();
  const lines = changedLines(diffLines(linesOf(now), linesOf(copy)));
  if (now === copy) {
    terminal.done(`${path} is what ${backup} has`);
    terminal.result({ path, backup, changed: false }, "");
    return EXIT.ok;
  }
  for (const line of lines) terminal.say(paintDiff([line], terminal.err));
  if (lines.length === 0) terminal.say("they differ in line ends alone");
  if (!flag(invocation, "yes") && !(await confirm(`Make ${path} what ${backup} has?`, terminal, interrupt))) {
    terminal.warn(`${path} is unchanged; --yes goes on without asking`);
    terminal.result({ path, backup, changed: false, lines }, "");
    return EXIT.unexpected;
  }
  await warnOfSessions(terminal);
  await replaceHosts(copy, { signal: interrupt.signal });
  terminal.done(`${path} is what ${backup} has`);
  terminal.result({ path, backup, changed: true, lines }, "");
  return EXIT.ok;
}

/** A session that is open writes its names anew with the next change: it is to be closed, not robbed. */
async function warnOfSessions(terminal: Terminal): Promise<void> {
  const { clients } = await connectSessionHosts();
  const open = await Promise.all(
    clients.map(async (client) => {
      const sessions = (await client.call("session.list").catch(() => [])) as unknown[];
      await client.close();
      return sessions.length;
    }),
  );
  const count = open.reduce((sum, each) => sum + each, 0);
  if (count > 0)
    terminal.warn(
      `${count} open session${count === 1 ? "" : "s"} will write names again: \`shipside session close --all\` ends that`,
    );
}

/** To be shown: texts are bytes in latin1. */
const linesOf = (file: string): string[] =>
  file === ""
    ? []
    : Buffer.from(file, "latin1")
        .toString("utf8")
        .replace(/\r?\n$/, "")
        .split(/\r?\n/);

function paintDiff(lines: readonly string[], paint: Paint): string {
  const style = { "+": "green", "-": "red" } as const;
  return lines.map((line) => (line[0] === "+" || line[0] === "-" ? paint(style[line[0]], line) : line)).join("\n");
}
