import { codeOf, errorToJson, hasCode, isRunning, pidOf } from "@shipside/core";
import {
  type ControlClient,
  connectSessionHosts,
  matchingSessions,
  readAbandoned,
  readJournals,
  type SessionInfo,
  type SessionOptions,
  stateDir,
  unknownSession,
} from "@shipside/daemon/client";
import type { CommandModule, Invocation } from "../command.ts";
import { flag } from "../command.ts";
import { cliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { sayRecovered } from "../open-session.ts";
import { rightsToUndo } from "../rights.ts";
import { sessionDetails, sessionTable } from "../session-table.ts";
import type { Terminal } from "../terminal.ts";

export interface ListedSession extends SessionInfo {
  /** The process that has it. */
  pid: number;
  daemon: boolean;
}

/** What the dead have left is undone on the way. */
export const rights: NonNullable<CommandModule["rights"]> = rightsToUndo;

export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  const [verb = "list", id] = invocation.words;
  // Alone, another word for `shipside clean`; with a session it is `close`.
  if (verb === "clean" && id === undefined && !flag(invocation, "all") && !flag(invocation, "force"))
    return (await import("./clean.ts")).run(invocation, terminal, interrupt);
  if (verb === "list" && id === undefined && !flag(invocation, "clean")) return list(invocation, terminal);
  if (verb === "close" || verb === "clean" || flag(invocation, "clean")) return close(id, verb, invocation, terminal);
  throw cliError("USAGE", `shipside session ${[verb, id].join(" ").trim()}: there is list, close and clean`, {
    hint: "`shipside help session` shows the forms",
  });
};

async function list(invocation: Invocation, terminal: Terminal): Promise<number> {
  const { sessions, failed } = await listSessions();
  for (const error of failed) terminal.warn(error.message);
  const details = flag(invocation, "details");
  const human =
    sessions.length === 0 ? "" : details ? sessionDetails(sessions, terminal.out) : sessionTable(sessions, terminal.out);
  if (sessions.length === 0) terminal.say("no session is open");
  terminal.result(
    sessions.map(({ services, ...session }) => ({ ...session, serviceCount: services.length, ...(details && { services }) })),
    human,
  );
  // What could not be asked is not shown: that is no success.
  return failed.length > 0 ? EXIT.daemon : EXIT.ok;
}

export async function listSessions(): Promise<{ sessions: ListedSession[]; failed: Error[] }> {
  const { clients, failed } = await connectSessionHosts();
  const sessions: ListedSession[] = [];
  const errors = failed.map(({ error }) => error);
  for (const client of clients) {
    try {
      const { pid, kind } = client.hello;
      const own = (await client.call("session.list")) as SessionInfo[];
      sessions.push(...own.map((session) => ({ ...session, pid, daemon: kind === "daemon" })));
    } catch (error) {
      errors.push(error as Error);
    } finally {
      await client.close();
    }
  }
  return { sessions, failed: errors };
}

async function close(id: string | undefined, verb: string, invocation: Invocation, terminal: Terminal): Promise<number> {
  const all = flag(invocation, "all");
  if (id !== undefined && all)
    throw cliError("USAGE", "either a session or --all", { hint: "`shipside session list` shows the ids" });
  if (id === undefined && !all && verb === "close" && !flag(invocation, "clean")) {
    throw cliError("USAGE", "which session?", { hint: "name an id or a name of `shipside session list`, or --all" });
  }
  stepOut();
  const force = flag(invocation, "force");
  const { ended: closed, refused }: Ended = all
    ? await endAll(terminal, force)
    : { ended: id === undefined ? [] : [await endSession(id, { force })], refused: [] };
  for (const session of closed) terminal.done(`closed ${terminal.err("bold", session.id)} ${describe(session)}`);
  if (force) await forceOut(terminal);
  const left = await recoverNow(terminal);
  for (const error of refused) terminal.error(error);
  if (closed.length === 0 && refused.length === 0) terminal.say("nothing else was open");
  terminal.result(
    { closed: closed.map(({ id: each }) => each), residue: left, ...(refused.length > 0 && { refused: refused.map(errorToJson) }) },
    "",
  );
  return left.length > 0 ? EXIT.residue : refused.length > 0 ? EXIT.volumes : EXIT.ok;
}

/** Or where it was called in a volume, this process itself would be what uses it. */
const stepOut = (): void => process.chdir("/");

/** What was closed, and why others weren't. */
interface Ended {
  ended: SessionInfo[];
  refused: Error[];
}

/** Undoes what processes that are gone left; resolves to what is still there. The code for it is loaded only where there is something. */
export async function recoverNow(terminal: Terminal): Promise<string[]> {
  if ((await readAbandoned(stateDir())).length === 0) return [];
  const { recover } = await import("@shipside/daemon");
  const report = await recover({ stateDir: stateDir() });
  sayRecovered(report, terminal);
  return report.failed.map(({ entry, error }) => `${entry.kind}: ${error.message}`);
}

/** `word`: an id, a beginning of one, or a name, of any process. */
export async function endSession(word: string, { force = false } = {}): Promise<SessionInfo> {
  const { clients, failed } = await connectSessionHosts();
  try {
    const open: Array<{ client: ControlClient; session: SessionInfo }> = [];
    for (const client of clients)
      open.push(...((await client.call("session.list")) as SessionInfo[]).map((session) => ({ client, session })));
    const found = matchingSessions(open, word, ({ session }) => session);
    if (found.length === 1) return await end(found[0]!.client, found[0]!.session, force);
    if (found.length === 0 && failed[0]) throw failed[0].error;
    throw unknownSession(
      word,
      open.map(({ session }) => session),
      found.length > 1,
    );
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

/** A process in the foreground whose last session ends may be gone before it has answered. */
async function end(client: ControlClient, session: SessionInfo, force: boolean): Promise<SessionInfo> {
  try {
    return (await client.call("session.end", { id: session.id, force })) as SessionInfo;
  } catch (error) {
    if (client.hello.kind !== "foreground" || codeOf(error) !== "DAEMON_GONE") throw error;
    return session;
  }
}

async function endAll(terminal: Terminal, force: boolean): Promise<Ended> {
  const { clients, failed } = await connectSessionHosts();
  for (const { error } of failed) terminal.warn(error.message);
  const ended: SessionInfo[] = [];
  const refused: Error[] = [];
  for (const client of clients) {
    // A foreground process whose only session ends may be gone before it has answered.
    const sessions = (await client.call("session.list").catch(() => [])) as SessionInfo[];
    const told = await client.call("session.endAll", { force }).catch((error: unknown) => {
      if (codeOf(error) !== "DAEMON_GONE") throw error;
      return sessions;
    });
    ended.push(...(told as SessionInfo[]));
    for (const session of sessions.filter(({ id }) => !ended.some((each) => each.id === id))) {
      await end(client, session, force).then(
        (closed) => ended.push(closed),
        // It has ended by itself meanwhile.
        (error: Error) => hasCode(error, "SESSION_UNKNOWN") || refused.push(error),
      );
    }
    await client.close();
  }
  return { ended, refused };
}

/** What has sessions and doesn't answer is ended by a signal; then its journal is nobody's, and is undone here. */
async function forceOut(terminal: Terminal): Promise<void> {
  const { clients } = await connectSessionHosts();
  const answering = new Set(clients.map((client) => client.hello.pid));
  await Promise.all(clients.map((client) => client.close()));
  for (const { process: owner } of await readJournals(stateDir())) {
    if (owner === undefined || (await isRunning(owner)) !== true) continue;
    const pid = pidOf(owner);
    if (answering.has(pid) || pid === process.pid) continue;
    terminal.warn(`shipside ${pid} does not answer: ending it`);
    for (const signal of ["SIGTERM", "SIGCONT", "SIGKILL"] as const) {
      process.kill(pid, signal);
      for (let wait = 0; wait < 20 && (await isRunning(owner)); wait++) await new Promise((resolve) => setTimeout(resolve, 100));
      if (!(await isRunning(owner))) break;
    }
  }
}

/** `--clean`: closes the session that the same command line opened, and undoes what a crashed one left. */
export async function closeMatching(wishes: readonly SessionOptions[], terminal: Terminal): Promise<number> {
  stepOut();
  const { sessions } = await listSessions();
  const matches = sessions.filter((session) => wishes.some((options) => fits(session, options)));
  for (const session of matches) {
    await endSession(session.id);
    terminal.done(`closed ${terminal.err("bold", session.id)} ${describe(session)}`);
  }
  const left = await recoverNow(terminal);
  if (matches.length === 0) terminal.say("no such session is open");
  terminal.result({ closed: matches.map(({ id }) => id), residue: left }, "");
  return left.length > 0 ? EXIT.residue : EXIT.ok;
}

function fits(session: SessionInfo, options: SessionOptions): boolean {
  const { kind = "teleport", namespace, context, also = [], expose, intercept, mount } = options;
  const workload = (expose ?? intercept)?.service ?? options.workload;
  return (
    session.kind === kind &&
    (context === undefined || session.context === context) &&
    (namespace === undefined || session.namespace === namespace) &&
    (kind !== "mount" || session.mount?.dir === mount?.dir) &&
    nameOf(workload) === nameOf(session.workload) &&
    [...also].sort().join() === [...session.also].sort().join()
  );
}

/** `deploy core` and `deployment/core` are one; kinds are compared by the daemon that resolved them. */
const nameOf = (workload: string | undefined): string | undefined => workload?.split(/[\s/]+/).at(-1);

export function describe({ kind, context, namespace, workload }: SessionInfo): string {
  return `${kind} of ${workload ?? `namespace ${namespace}`} in ${context}`;
}
