import { accessSync, closeSync, constants, openSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { daemonError } from "../errors.ts";

export interface ElevationFacts {
  uid: number;
  /** Absolute paths, where they are installed. */
  sudo: string | undefined;
  doas: string | undefined;
  /** Somebody can be asked for a password. */
  terminal: boolean;
  env: NodeJS.ProcessEnv;
}

export interface Elevation {
  how: "root" | "sudo" | "doas";
  command: readonly [program: string, ...args: string[]];
  env: NodeJS.ProcessEnv;
  /** A password may be asked for on the terminal. */
  asks: boolean;
}

/** What asks for a password may need; nothing that changes what Node or a shell does, whatever the sudoers file lets through. */
const FOR_ASKING =
  /^(?:TERM|LANG|LC_\w+|SUDO_ASKPASS|SUDO_PROMPT|SSH_AUTH_SOCK|KRB5CCNAME|DISPLAY|XAUTHORITY|WAYLAND_DISPLAY|XDG_RUNTIME_DIR)$/;

const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * How a command (absolute paths) gets to be root's. Throws `ROOT_UNAVAILABLE` where it can't: then `instead` is what a person who is root
 * can run.
 */
export function planElevation(facts: ElevationFacts, command: readonly [string, ...string[]], instead: string): Elevation {
  const { uid, sudo, doas, terminal, env } = facts;
  if (uid === 0) return { how: "root", command, env: {}, asks: false };
  const asking = {
    PATH: SYSTEM_PATH,
    ...Object.fromEntries(Object.entries(env).filter(([name]) => FOR_ASKING.test(name))),
  };
  if (sudo !== undefined) {
    const quiet = terminal ? [] : env["SUDO_ASKPASS"] ? ["-A"] : ["-n"];
    return { how: "sudo", command: [sudo, ...quiet, "--", ...command], env: asking, asks: terminal };
  }
  if (doas !== undefined) {
    return { how: "doas", command: [doas, ...(terminal ? [] : ["-n"]), "--", ...command], env: asking, asks: terminal };
  }
  throw daemonError("ROOT_UNAVAILABLE", "root is needed once, and neither sudo nor doas is installed", {
    hint: `either run as root:\n${instead}\nor \`shipside start --no-root\`, without names in the hosts file and without ports below 1024`,
  });
}

export function elevationFacts(env: NodeJS.ProcessEnv = process.env): ElevationFacts {
  return {
    uid: process.getuid?.() ?? 0,
    sudo: findProgram("sudo", env["PATH"]),
    doas: findProgram("doas", env["PATH"]),
    terminal: hasTerminal(),
    env,
  };
}

function findProgram(name: string, path = ""): string | undefined {
  const dirs = [...path.split(delimiter).filter((dir) => dir.startsWith("/")), "/usr/bin", "/usr/local/bin"];
  return dirs
    .map((dir) => join(dir, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}

/** Passwords are read from the controlling terminal, whatever standard input is. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r+"));
    return true;
  } catch {
    return false;
  }
}
