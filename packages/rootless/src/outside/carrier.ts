import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { abortError, type Closable, type ShipsideError } from "@shipside/core";
import { rootlessError } from "../errors.ts";

/** A program that carries a namespace's traffic while this process lives. */
export interface Carrier extends Closable {
  /** With why, if by itself. */
  readonly ended: Promise<ShipsideError | undefined>;
}

export interface CarrierOptions {
  name: string;
  /** The command line. It stays in the foreground. */
  line: readonly string[];
  /** A process in the network namespace. */
  pid: number;
  signal?: AbortSignal | undefined;
  /** Until there must be a way out, in ms. Default 10,000. */
  timeoutMs?: number;
}

/**
 * Neither program ends with the namespace that it serves, nor with who started it. So a shell stands between: when its standard input ends,
 * because this process closed it or is gone, a reader kills the program. Should the shell be killed, the reader is still there.
 */
const KEEPER = `
exec 3<&0
"$@" </dev/null 3<&- & program=$!
{ read -r _ <&3; kill -KILL $program; } >/dev/null 2>&1 & reader=$!
exec 3<&-
wait $program; code=$?
kill $reader
exit $code
`;

/** Resolves when the namespace has a way out. Rejects with `ROOTLESS_OUTSIDE_FAILED`; nothing is left then. */
export async function startCarrier({ name, line, pid, signal, timeoutMs = 10_000 }: CarrierOptions): Promise<Carrier> {
  if (signal?.aborted) throw abortError(signal);
  // A session of its own: a terminal's Ctrl-C is for the command inside.
  const child = spawn("sh", ["-c", KEEPER, "shipside", ...line], { stdio: ["pipe", "ignore", "pipe"], detached: true });
  const said = collect(child);
  let closing = false;
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, by) => resolve(by ? `signal ${by}` : `exit code ${code}`));
  });
  // The reader of a keeper that was killed by somebody learns of it so.
  void exited.then(() => child.stdin.destroy());
  const ended = exited.then(async (how) => {
    if (closing) return undefined;
    // What was said last may still be under way.
    await delay(20);
    return rootlessError("ROOTLESS_OUTSIDE_FAILED", `${name} ended by itself (${how})${said() && `: ${said()}`}`, {
      hint: "open the namespace again, or choose another way out",
    });
  });
  const close = async (): Promise<void> => {
    closing = true;
    child.stdin.destroy();
    await exited;
  };

  const late = AbortSignal.timeout(timeoutMs);
  try {
    for (;;) {
      const failed = await Promise.race([ended, delay(5)]);
      if (failed) throw failed;
      if (signal?.aborted) throw abortError(signal);
      if (await hasWayOut(pid)) break;
      if (late.aborted) {
        throw rootlessError("ROOTLESS_OUTSIDE_FAILED", `${name} gave no way out within ${timeoutMs} ms${said() && `: ${said()}`}`);
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { ended, close, [Symbol.asyncDispose]: close };
}

/** Whether a namespace, or this machine (`self`), has a default route, by IPv4 or IPv6. */
export async function hasWayOut(pid: number | "self", family?: "ipv6"): Promise<boolean> {
  const rows = async (file: string): Promise<string[][]> =>
    (await readFile(`/proc/${pid}/net/${file}`, "utf8").catch(() => "")).split("\n").map((line) => line.trim().split(/\s+/));
  if (family === undefined && (await rows("route")).some(([, to, , , , , , mask]) => to === "00000000" && mask === "00000000"))
    return true;
  return (await rows("ipv6_route")).some(
    ([to, length, , , , , , , , device]) => /^0{32}$/.test(to!) && length === "00" && device !== "lo",
  );
}

/** The last of what it said, in one line. */
function collect(child: ChildProcess): () => string {
  let text = "";
  child.on("error", () => {});
  child.stdin?.on("error", () => {});
  child.stderr?.on("error", () => {});
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (text = (text + chunk).slice(-4_096)));
  return () =>
    text
      .split("\n")
      // Some versions of pasta say this of each line where no syslog runs.
      .filter((line) => line.trim() !== "" && !/ bytes to syslog$/.test(line))
      .slice(-3)
      .join("; ");
}
