import { EXIT } from "./exit-codes.ts";
import type { Interrupt } from "./interrupt.ts";
import type { CommandSession } from "./open-session.ts";
import type { Terminal } from "./terminal.ts";

/** "ready in 0.3 s" */
export const readyIn = (ms: number, { err }: Terminal): string => `${err("green", "ready")} in ${(ms / 1000).toFixed(1)} s`;

/**
 * A session without a command: says how it ends, and leaves it to the daemon, or waits here until Ctrl-C or `session close`. Resolves to the
 * exit code. Rejects with what ended it otherwise.
 */
export async function keepOpen(
  session: CommandSession,
  { terminal, interrupt, ready }: { terminal: Terminal; interrupt: Interrupt; ready: string },
): Promise<number> {
  if (session.by === "daemon") {
    const { id, name = id } = session.info();
    terminal.say(`${ready}; \`shipside session close ${name}\` ends it`);
    return EXIT.ok;
  }
  terminal.say(`${ready}; Ctrl-C undoes it all`);
  const reason = await Promise.race([interrupt.came.then(() => undefined), session.ended]);
  if (reason) throw reason;
  return interrupt.exitCode;
}
