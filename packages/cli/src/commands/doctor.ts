import { resolve } from "node:path";
import type { CommandModule } from "../command.ts";
import { flag } from "../command.ts";
import { renderDoctor, summary } from "../doctor-report.ts";
import { cliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { rightsToUndo } from "../rights.ts";
import { isUnicode } from "../terminal.ts";
import { whereOf } from "../where.ts";
import { recoverNow } from "./session.ts";

export const rights: NonNullable<CommandModule["rights"]> = async (invocation) => {
  if (flag(invocation, "clean")) return rightsToUndo();
  const { doctorRules, homeNamespace } = await import("@shipside/daemon/rbac");
  const where = whereOf(invocation);
  const rules = doctorRules(where.namespace ?? (await homeNamespace(where)));
  return [{ ...(where.context !== undefined && { context: where.context }), rules }];
};

/** Looks at everything and changes nothing. */
export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  if (flag(invocation, "clean")) return (await recoverNow(terminal)).length > 0 ? EXIT.residue : EXIT.ok;
  const [file] = invocation.words;
  const bundle = flag(invocation, "bundle");
  if (file !== undefined && !bundle)
    throw cliError("USAGE", `shipside doctor: what is ${JSON.stringify(file)}?`, { hint: "a file is written with --bundle FILE" });
  terminal.busy("looking");
  const { runDoctor } = await import("@shipside/daemon/doctor");
  const options = { ...whereOf(invocation), signal: interrupt.signal };
  const report = await runDoctor(options);
  const { lines, worst } = report;
  const { out, outShows, quiet } = terminal;
  const human = renderDoctor(report, { paint: out, width: outShows.width, unicode: isUnicode(process.env), quiet });
  if (bundle) {
    terminal.busy("packing");
    const { writeBundle } = await import("@shipside/daemon/doctor");
    const written = await writeBundle(resolve(file ?? defaultName(report.at)), report, options);
    terminal.result({ ...report, bundle: written.path }, human);
    terminal.done(`${written.path}: ${written.files.join(", ")}`);
    terminal.say("  secrets are masked as far as they can be told: look into it before you hand it on");
  } else terminal.result(report, human);
  terminal.say(`\n${summary(lines)}`);
  return worst === "ok" ? EXIT.ok : worst === "warning" ? EXIT.doctorWarning : EXIT.doctorProblem;
};

const defaultName = (at: string): string => `shipside-doctor-${at.replace(/[-:]/g, "").replace("T", "-").slice(0, 15)}.zip`;
