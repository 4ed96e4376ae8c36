import { spawnSync } from "node:child_process";
import { constants } from "node:os";
import { type DaemonOwner, daemonOwner } from "@shipside/daemon/client";
import type { Terminal } from "./terminal.ts";

/** This program and a command of it, in absolute paths: for somebody who has to run it as root by hand. */
export function ownCommandLine(...words: readonly string[]): readonly string[] {
  return [process.execPath, ...(process.argv[1] === undefined ? [] : [process.argv[1]]), ...words];
}

/** Says why, before sudo asks for a password: a line that moves would overwrite its question. */
export function sayThatRootIsAsked(terminal: Terminal, why: string): (how: string) => void {
  return (how) => {
    terminal.settle();
    terminal.say(`root is needed once, for ${why}: ${how} may ask for your password`);
  };
}

/** Who made themselves root to run this: what runs already is theirs, and root looks for it in the wrong places. */
export const behindRoot = (): DaemonOwner | undefined => (process.getuid?.() === 0 ? daemonOwner() : undefined);

/** Runs a command line of ours as that user. Resolves to its exit code. */
export function runAs({ uid, gid, env }: DaemonOwner, words: readonly string[]): number {
  const [program = "", ...args] = ownCommandLine(...words);
  const { status, signal } = spawnSync(program, [...process.execArgv, ...args], { uid, gid, env, cwd: "/", stdio: "inherit" });
  return status ?? 128 + (signal ? constants.signals[signal] : 0);
}
