import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import type { Interrupt } from "./interrupt.ts";
import type { Terminal } from "./terminal.ts";

/** Asks for a yes. Undefined where nobody is there to answer: no terminal, `--json`, `-q`. */
export async function confirm(
  question: string,
  terminal: Terminal,
  interrupt: Pick<Interrupt, "signal">,
  { stdin = process.stdin, stderr = process.stderr }: { stdin?: NodeJS.ReadStream; stderr?: NodeJS.WriteStream } = {},
): Promise<boolean | undefined> {
  if (terminal.json || terminal.quiet || !stdin.isTTY || !stderr.isTTY) return undefined;
  terminal.settle();
  const lines = createInterface({ input: stdin, output: stderr });
  // Ctrl-C at a question is one for the whole command.
  lines.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    // Ctrl-D closes it without an answer.
    const ended = once(lines, "close").then(() => "");
    const answer = await Promise.race([lines.question(`${question} [y/N] `, { signal: interrupt.signal }), ended]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
