import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { asUserLine } from "../enter.ts";
import type { Fields } from "./requests.ts";

const runs = new Map<number, ChildProcess>();
let count = 0;

/** Starts a command that has the namespaces and the terminal, and is the user again. Resolves to its number. */
export async function startRun(
  { command, env, cwd, stdout }: Fields<"run">,
  ended: (run: number, exitCode: number) => void,
): Promise<number> {
  // Of the user's own namespace, as whom this process was started; here it is root.
  const ids = { uid: process.env["SHIPSIDE_UID"]!, gid: process.env["SHIPSIDE_GID"]! };
  const [program = "", ...words] = asUserLine(ids, command);
  const child = spawn(program, words, { env, cwd, stdio: ["inherit", stdout === "inherit" ? "inherit" : 2, "inherit"] });
  await once(child, "spawn");
  const run = ++count;
  runs.set(run, child);
  child.on("error", () => {});
  child.once("exit", (code, by) => {
    runs.delete(run);
    ended(run, code ?? 128 + (by ? constants.signals[by] : 0));
  });
  return run;
}

export function killRun(run: number, signal: NodeJS.Signals): void {
  runs.get(run)?.kill(signal);
}
