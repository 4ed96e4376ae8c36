/** Some of what `/proc/PID/stat` tells (proc_pid_stat(5)). */
export interface ProcessStat {
  /** The program's, of at most 15 bytes. */
  name: string;
  /** `R`, `S`…; `Z` or `X` for one that has ended and that its parent has not yet taken note of. */
  state: string;
  /** Process id. */
  parent: number;
  /** Process id of its session's leader. */
  session: number;
  /** Its controlling terminal's device number; 0 for none. */
  terminal: number;
  /** Processor time so far, user and system, in ticks (100 a second on every Linux that Node runs on). */
  cpuTicks: number;
  /** Ticks since boot, exact: of two processes with one id, the starts differ. */
  start: string;
}

/** Undefined where it is something else. `text`: read as latin1, since a name may hold any bytes. Pure. */
export function parseProcessStat(text: string): ProcessStat | undefined {
  // The name stands in parentheses, and may itself hold some.
  const [open, close] = [text.indexOf("("), text.lastIndexOf(")")];
  const [state, parent, , session, terminal, , , , , , , user, system, , , , , , , start] = text.slice(close + 2).split(" ");
  if (open < 0 || close < open || !state || start === undefined) return undefined;
  return {
    name: text.slice(open + 1, close),
    state,
    parent: Number(parent),
    session: Number(session),
    terminal: Number(terminal),
    cpuTicks: Number(user) + Number(system),
    start,
  };
}

/** It has a process id yet, but has ended. */
export const hasEnded = ({ state }: ProcessStat): boolean => state === "Z" || state === "X";
