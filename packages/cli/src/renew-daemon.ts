import { setTimeout as delay } from "node:timers/promises";
import { createCloser, errorToJson, hasCode } from "@shipside/core";
import {
  compareVersions,
  connectControl,
  type ExportedSessions,
  openRemoteSession,
  version as ownVersion,
  PROTOCOL,
} from "@shipside/daemon/client";
import { confirm } from "./ask.ts";
import type { Invocation } from "./command.ts";
import type { Interrupt } from "./interrupt.ts";
import type { Terminal } from "./terminal.ts";

export interface RenewContext {
  terminal: Terminal;
  signal: AbortSignal;
}

const EXPORT_MS = 2_000;

/** What a test stands in for. */
export interface RenewParts {
  version?: string;
  ask?(question: string): Promise<boolean | undefined>;
  /** Ends the daemon that runs and starts one of this version. */
  restart?(): Promise<void>;
}

/**
 * Where the daemon that runs is older than this shipside, offers to start a new one in its place, which opens the kept sessions again.
 * Resolves to whether it did. Where nobody can be asked it says what to do, and an older daemon of the same protocol is used as it is; of
 * another protocol, the call that follows says so (`DAEMON_VERSION`).
 */
export async function renewDaemon({ terminal, signal }: RenewContext, parts: RenewParts = {}): Promise<boolean> {
  const { version = ownVersion, ask = (question) => confirm(question, terminal, { signal }), restart } = parts;
  const old = await older(version);
  if (!old) return false;
  const { hello, sessions } = old;
  const count = sessions?.kept.length ?? 0;
  const again = [
    count === 0 ? "it keeps no session" : `${count === 1 ? "its session is" : `its ${count} sessions are`} opened again`,
    ...(sessions ? [] : ["which sessions it has, it can't say: they end"]),
    ...(sessions && sessions.attached > 0 ? [`${sessions.attached} of commands that run end`] : []),
  ];
  const what = `the daemon that runs is older (${hello.version}) than this shipside (${version})`;
  const yes = await ask(`${what}; start a new one? (${again.slice(sessions ? 0 : 1).join(", ")})`);
  if (yes === undefined) terminal.warn(`${what}: \`shipside start\` in a terminal restarts it`);
  if (!yes) return false;

  await (restart ?? (() => restartDaemon({ terminal, signal })))();
  const closer = createCloser();
  try {
    const client = closer.use(await connectControl());
    for (const options of sessions?.kept ?? []) {
      const label = options.name ?? options.origin?.entry ?? options.workload ?? `namespace ${options.namespace}`;
      try {
        const { info } = await openRemoteSession(client, options, { attached: false, signal });
        terminal.done(`opened again: ${terminal.err("bold", label)} (${info.id})`);
      } catch (error) {
        terminal.warn(`${label} could not be opened again: ${errorToJson(error).message}`);
      }
    }
  } finally {
    await closer.close();
  }
  return true;
}

/** The daemon, where it is older; with what it keeps, where it can say that. */
async function older(version: string) {
  const client = await connectControl({ anyVersion: true }).catch((error: unknown) => {
    if (hasCode(error, "DAEMON_UNREACHABLE", "RUNTIME_DIR_UNSAFE")) return undefined;
    throw error;
  });
  if (!client) return undefined;
  try {
    const { hello } = client;
    const isOlder = hello.protocol < PROTOCOL || (hello.protocol === PROTOCOL && compareVersions(hello.version, version) < 0);
    if (!isOlder) return undefined;
    // One that doesn't know the method says so, or nothing at all.
    const asked = client.call("session.export").catch(() => undefined) as Promise<ExportedSessions | undefined>;
    const sessions = await Promise.race([asked, delay(EXPORT_MS, undefined, { ref: false })]);
    return { hello, sessions: Array.isArray(sessions?.kept) ? sessions : undefined };
  } finally {
    await client.close();
  }
}

/** As `shipside stop` and `shipside start` do, with a helper where they have one. */
async function restartDaemon({ terminal, signal }: RenewContext): Promise<void> {
  // The document is that of the command that goes on.
  const quiet: Terminal = { ...terminal, result() {} };
  const interrupt = { signal, by: undefined, exitCode: 0, came: new Promise<void>(() => {}), divert: () => async () => {} };
  const context = { ...interrupt, [Symbol.dispose]() {} } satisfies Interrupt;
  const { readHelperRecord } = await import("@shipside/daemon/client");
  const helped = (await readHelperRecord()) !== undefined;
  const invocation: Invocation = { words: [], options: helped ? {} : { "no-root": true } };
  const { run: stop } = await import("./commands/stop.ts");
  await stop(invocation, quiet, context);
  const { run: start } = await import("./commands/start.ts");
  await start(invocation, quiet, context);
}
