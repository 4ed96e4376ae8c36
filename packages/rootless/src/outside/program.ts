import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { ShipsideError } from "@shipside/core";
import { rootlessError } from "../errors.ts";

/** A program that carries a namespace's traffic, as it is installed here. */
export interface Program {
  path: string;
  /** What it says of its options, from which it is told which ones it has. */
  help: string;
}

const PACKAGES = { pasta: "passt", slirp4netns: "slirp4netns" } as const;
export type ProgramName = keyof typeof PACKAGES;

/** Where programs are that an ordinary user's PATH may not name. */
const USUAL = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"];
const TUN = "/dev/net/tun";

/** Rejects with `ROOTLESS_OUTSIDE_MISSING` and `ROOTLESS_OUTSIDE_FORBIDDEN`. */
export async function findProgram(name: ProgramName, options: { path?: string; tun?: string } = {}): Promise<Program> {
  const { path = process.env["PATH"] ?? "", tun = TUN } = options;
  const file = [...path.split(delimiter), ...(options.path === undefined ? USUAL : [])]
    .filter((dir) => dir.startsWith("/"))
    .map((dir) => join(dir, name))
    .find(isExecutable);
  if (file === undefined) {
    throw rootlessError("ROOTLESS_OUTSIDE_MISSING", `${name} is not installed`, {
      hint: `install the package ${PACKAGES[name]} (sudo apt install ${PACKAGES[name]}; it is named so on Fedora and Arch, too)`,
    });
  }
  try {
    await access(tun, constants.R_OK | constants.W_OK);
  } catch (cause) {
    throw tunError(name, tun, cause);
  }
  return { path: file, help: await helpOf(file) };
}

function tunError(name: ProgramName, tun: string, cause: unknown): ShipsideError {
  const there = (cause as { code?: unknown }).code !== "ENOENT";
  return rootlessError(
    "ROOTLESS_OUTSIDE_FORBIDDEN",
    there ? `${name} needs ${tun}, which this user may not open` : `${name} needs ${tun}, which is not there`,
    {
      hint: there
        ? `an administrator may allow it, as most distributions do: chmod 0666 ${tun}`
        : "in a container: have it started with that device (docker run --device /dev/net/tun); else: sudo modprobe tun",
      cause,
    },
  );
}

/** Some write it to one, some to the other, and some end with a failure. */
function helpOf(file: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(file, ["--help"], { timeout: 5_000 }, (_, out, errors) => resolve(out + errors));
  });
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
