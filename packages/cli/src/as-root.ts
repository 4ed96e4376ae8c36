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
