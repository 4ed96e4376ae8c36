import { lstat, mkdir } from "node:fs/promises";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { daemonError } from "./errors.ts";

/** Where this user's journals, address map and logs are kept: `$XDG_STATE_HOME/shipside`, else `~/.local/state/shipside`. */
export function stateDir(env: NodeJS.ProcessEnv = process.env): string {
  if (process.platform === "win32") return join(env["LOCALAPPDATA"] || join(homedir(), "AppData", "Local"), "shipside");
  const home = absolute(env["HOME"]) ?? homedir();
  return join(absolute(env["XDG_STATE_HOME"]) ?? join(home, ".local", "state"), "shipside");
}

/** Where the control socket lives: `$XDG_RUNTIME_DIR/shipside`, else a folder of the user's own under the temp folder. */
export function runtimeDir(env: NodeJS.ProcessEnv = process.env): string {
  const runtime = absolute(env["XDG_RUNTIME_DIR"]);
  return runtime ? join(runtime, "shipside") : join(tmpdir(), `shipside-${userInfo().uid}`);
}

/** The control socket's path (a named pipe on Windows). */
export function controlPath(dir: string = runtimeDir()): string {
  if (process.platform === "win32") return `\\\\.\\pipe\\shipside-${userInfo().username}`;
  return join(dir, "control.sock");
}

// The XDG base directory specification says that relative values are to be ignored.
function absolute(value: string | undefined): string | undefined {
  return value?.startsWith("/") ? value : undefined;
}

/**
 * Makes `dir` (0700) or checks that it is a real folder of this user which nobody else may enter: under `/tmp` anybody could have
 * made it first. Throws `RUNTIME_DIR_UNSAFE`.
 */
export async function ensurePrivateDir(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await assertPrivateDir(dir);
}

/** Resolves to false where `dir` doesn't exist. Throws `RUNTIME_DIR_UNSAFE` where it isn't this user's alone. */
export async function assertPrivateDir(dir: string): Promise<boolean> {
  if (process.platform === "win32") return true;
  const stat = await lstat(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!stat) return false;
  const why = !stat.isDirectory()
    ? "is not a folder"
    : stat.uid !== process.getuid?.()
      ? `belongs to uid ${stat.uid}`
      : stat.mode & 0o077
        ? `is open to others (mode ${(stat.mode & 0o777).toString(8)})`
        : undefined;
  if (why) {
    throw daemonError("RUNTIME_DIR_UNSAFE", `${dir} ${why}, so the control socket in it can't be trusted`, {
      hint: `remove ${dir}, or set XDG_RUNTIME_DIR to a folder of your own with mode 700`,
      details: { dir },
    });
  }
  return true;
}
