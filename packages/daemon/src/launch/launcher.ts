/**
 * The process between helper and daemon: root for milliseconds, then the user, then (by exec, so with the same pid and parent) the daemon.
 * An exec, because Node reads NODE_OPTIONS and NODE_EXTRA_CA_CERTS only when it starts, and they are the user's, never root's.
 *
 * The channel to the helper is file descriptor 0: Node marks what it inherits above 2 close-on-exec. Nothing may be sent to the launcher
 * after the request, or it would be read here and lost to the daemon.
 */
import { accessSync, closeSync, constants, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { errorToJson, hasCode } from "@shipside/core";
import { daemonError } from "../errors.ts";
import { becomeUser } from "./become-user.ts";
import { checkLaunchRequest, parseIds } from "./request.ts";

const CHANNEL = { NODE_CHANNEL_FD: "0", NODE_CHANNEL_SERIALIZATION_MODE: "json" };

process.once("disconnect", () => process.exit(1));
process.once("message", (request) => {
  try {
    launch(request);
  } catch (error) {
    const coded = hasCode(error, "LAUNCH_FAILED")
      ? error
      : daemonError("LAUNCH_FAILED", `the daemon could not be started: ${(error as Error).message}`, { cause: error });
    process.send!({ error: errorToJson(coded) }, () => process.exit(1));
  }
});

function launch(request: unknown): void {
  becomeUser(parseIds(process.argv));
  const { env, exec, log } = checkLaunchRequest(request);
  const [program, ...args] = exec;
  // A failing exec would take the process down without a word.
  accessSync(program, constants.X_OK);
  writeTo(log);
  process.execve!(program, [program, ...args], { ...env, ...CHANNEL });
}

/** Standard output and error to the end of `path`: what an earlier process said there is its successor's to read. */
function writeTo(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const { O_WRONLY, O_CREAT, O_APPEND } = constants;
  for (const fd of [1, 2]) {
    closeSync(fd);
    // open(2) gives the lowest number that is free.
    const opened = openSync(path, O_WRONLY | O_CREAT | O_APPEND, 0o600);
    if (opened !== fd) throw daemonError("LAUNCH_FAILED", `the log was opened as ${opened} instead of ${fd}`);
  }
}
