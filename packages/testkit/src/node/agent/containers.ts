import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { lstatSync, readlinkSync } from "node:fs";
import type { Socket } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { untilDrained } from "./drain.ts";
import type { Guard } from "./guard.ts";
import { openLogFile } from "./log-file.ts";
import type { AgentMessage, AgentRequest, Launch } from "./protocol.ts";
import { enterArgv, viewArgv } from "./root-view.ts";
import { socketPair } from "./socket-pair.ts";

export interface Containers {
  /** Resolves with the first process's id once it runs. */
  start(launch: Launch): Promise<number>;
  signal(id: string, signal: NodeJS.Signals, group: boolean): void;
  exec(request: Extract<AgentRequest, { op: "exec" }>): Promise<void>;
  endExec(exec: string): void;
  killAll(): void;
}

/** How long nothing must come of a stream whose process is gone until it is left: something else may still hold it. */
const DRAIN_MS = 100;
/** At most one message a container and this time about its log. */
const LOG_NOTICE_MS = 20;
/** Between two looks at whether a container is in its root. */
const ENTERED_MS = 2;

/** `guard`: who ends those that aren't in a process namespace of this process's. */
export function createContainers(say: (message: AgentMessage, handle?: Socket) => void, guard: () => Guard): Containers {
  const running = new Map<string, { child: ChildProcess; launch: Launch }>();
  const execs = new Map<string, ChildProcess>();

  const killGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, signal);
    } catch {
      // Gone already.
    }
  };

  const guarded = (child: ChildProcess): void => {
    guard().add(child.pid!);
    child.once("exit", () => guard().remove(child.pid!));
  };

  return {
    async start(launch) {
      const [program, ...args] = launch.view ? viewArgv(launch, launch.view) : launch.argv;
      const child = spawn(program!, args, {
        cwd: launch.view ? "/" : launch.cwd,
        env: launch.env,
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      await spawned(child);
      if (!launch.view) guarded(child);
      const log = openLogFile(
        launch.logFile,
        launch.maxLogBytes,
        throttle(LOG_NOTICE_MS, () => say({ type: "log", id: launch.id })),
      );
      child.stdout!.on("data", (chunk: Buffer) => log.write("stdout", chunk));
      child.stderr!.on("data", (chunk: Buffer) => log.write("stderr", chunk));
      running.set(launch.id, { child, launch });
      void ended(child).then(({ exitCode, signal }) => {
        running.delete(launch.id);
        log.close();
        say({ type: "exit", id: launch.id, exitCode, signal });
      });
      if (launch.view) await entered(child);
      return child.pid!;
    },

    signal(id, signal, group) {
      const child = running.get(id)?.child;
      if (!child) return;
      if (group) killGroup(child, signal);
      else child.kill(signal);
    },

    async exec({ exec, id, argv, stdin, tty }) {
      const container = running.get(id);
      if (!container) throw Object.assign(new Error("container not running"), { code: "NotRunning" });
      const { launch, child: main } = container;
      const words = tty ? ["script", "-qefc", argv.map(quote).join(" "), "/dev/null"] : argv;
      if (launch.view && !existsIn(`/proc/${main.pid}/root`, words[0]!, launch.env["PATH"] ?? "")) {
        throw Object.assign(new Error(`no such program: ${words[0]}`), { code: "ENOENT" });
      }
      const [program, ...args] = launch.view ? enterArgv(main.pid!, words) : words;
      const pairs = await Promise.all([socketPair("."), socketPair("."), socketPair(".")]);
      const child = spawn(program!, args, {
        cwd: launch.view ? "/" : launch.cwd,
        env: launch.env,
        stdio: [stdin ? "pipe" : "ignore", "pipe", "pipe"],
        detached: true,
      });
      try {
        await spawned(child);
      } catch (error) {
        for (const end of pairs.flat()) end.destroy();
        throw error;
      }
      if (!launch.view) guarded(child);
      execs.set(exec, child);
      const [input, output, errors] = pairs.map(([mine]) => mine) as [Socket, Socket, Socket];
      if (child.stdin) {
        child.stdin.on("error", () => input.destroy());
        input.pipe(child.stdin);
      } else input.end();
      child.stdout!.pipe(output);
      child.stderr!.pipe(errors);
      for (const [fd, [, theirs]] of pairs.entries()) say({ type: "stream", exec, fd: fd as 0 | 1 | 2 }, theirs);
      void ended(child).then(({ exitCode }) => {
        execs.delete(exec);
        for (const [mine] of pairs) mine.end();
        input.destroy();
        say({ type: "execExit", exec, exitCode });
      });
    },

    endExec(exec) {
      const child = execs.get(exec);
      if (child) killGroup(child, "SIGKILL");
    },

    killAll() {
      for (const { child } of running.values()) killGroup(child, "SIGKILL");
      for (const child of execs.values()) killGroup(child, "SIGKILL");
    },
  };

  async function ended(child: ChildProcess): Promise<{ exitCode: number; signal: number }> {
    const [code, name] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    // A container is gone with its first process: what it left running goes too.
    killGroup(child, "SIGKILL");
    await untilDrained(child, DRAIN_MS);
    const signal = name ? constants.signals[name] : 0;
    return { exitCode: code ?? 128 + signal, signal };
  }
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", () => {
      child.on("error", () => {});
      resolve();
    });
    child.once("error", reject);
  });
}

/** Waits until a process is in its own root: before that, it is still mounting what an `exec` would look for. */
async function entered(child: ChildProcess): Promise<void> {
  const inOwnRoot = (): boolean => {
    try {
      return readlinkSync(`/proc/${child.pid}/root`) !== "/";
    } catch {
      return true;
    }
  };
  while (child.exitCode === null && child.signalCode === null && !inOwnRoot()) await delay(ENTERED_MS);
}

function throttle(ms: number, run: () => void): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      run();
    }, ms);
  };
}

/** Whether a word names something that can be run below another root; by its path, or found on `path`. */
function existsIn(root: string, word: string, path: string): boolean {
  const candidates = word.includes("/") ? [word] : path.split(":").map((directory) => join(directory, word));
  return candidates.some((candidate) => lstatSync(join(root, candidate), { throwIfNoEntry: false }) !== undefined);
}

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
