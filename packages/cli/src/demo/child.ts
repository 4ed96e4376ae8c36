import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Closable } from "@shipside/core";

export interface DemoChild extends Closable {
  readonly pid: number;
  /** The next line of its output; undefined when there will be none. */
  line(): Promise<string | undefined>;
  /** What it said on its standard error. */
  readonly complaints: string;
}

/** An ordinary child process, read line by line. */
export function startChild(command: readonly string[], env: NodeJS.ProcessEnv): DemoChild {
  const [file = "", ...args] = command;
  const child = spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const exited = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", () => resolve());
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints += text;
  });
  const close = async (): Promise<void> => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
    await exited;
    clearTimeout(timer);
  };
  return {
    pid: child.pid ?? 0,
    line: async () => {
      const { value, done } = await lines.next();
      return done ? undefined : value;
    },
    get complaints() {
      return complaints.trim();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
