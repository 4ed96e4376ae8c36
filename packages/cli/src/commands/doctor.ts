import { resolve } from "node:path";
import type { CommandModule, Invocation } from "../command.ts";
import { flag, text } from "../command.ts";
import { renderDoctor, summary } from "../doctor-report.ts";
import { cliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { isUnicode } from "../terminal.ts";
import { recoverNow } from "./session.ts";

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

function whereOf(invocation: Invocation): { kubeconfig?: string; context?: string; namespace?: string } {
  const given: { kubeconfig?: string; context?: string; namespace?: string } = {};
  for (const name of ["kubeconfig", "context", "namespace"] as const) {
    const value = text(invocation, name);
    if (value !== undefined) given[name] = value;
  }
  return given;
}

const defaultName = (at: string): string => `shipside-doctor-${at.replace(/[-:]/g, "").replace("T", "-").slice(0, 15)}.zip`;
