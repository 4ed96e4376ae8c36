import { writeSync } from "node:fs";
import { errorToJson } from "@shipside/core";
import { userName } from "./launch.ts";
import { type HelperPlaces, type ReportLine, runHelper } from "./run.ts";
import { parseHelperArgs, readStart } from "./start.ts";

/**
 * This process as a helper, to its end. Nothing but ids is taken from argv, nothing at all from the environment; the one line on stdin is
 * handed to the launcher unread.
 */
export async function helperMain(places: HelperPlaces, launcher: URL): Promise<never> {
  for (const name of Object.keys(process.env)) delete process.env[name];
  process.umask(0o077);
  process.chdir("/");

  const [stop, broken] = [new AbortController(), new AbortController()];
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => stop.abort(signal));
  // What Node's own end of the channel throws at, bytes that are no message, comes out here.
  process.on("uncaughtException", (error) => broken.abort(error.message));

  try {
    const { uid, gid, installed } = parseHelperArgs(process.argv.slice(2), process.getuid?.());
    process.title = `shipside helper for ${await userName(uid)}`;
    const start = await readStart(process.stdin);
    const signals = { stop: stop.signal, broken: broken.signal };
    process.exit(await runHelper({ uid, gid, launcher, places, start, report, keepStderr: installed, ...signals }));
  } catch (error) {
    const { code, message, hint } = errorToJson(error);
    report({ error: { code, message, ...(hint !== undefined && { hint }) } });
    process.exit(1);
  }
}

function report(line: ReportLine): void {
  try {
    writeSync(1, `${JSON.stringify(line)}\n`);
  } catch {
    // Whoever started us has gone.
  }
}
