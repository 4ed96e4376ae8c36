import { createCloser, type EnvEntry, type ErrorJson, errorToJson, type HostsEntry, hasCode } from "@shipside/core";
import type { HostOptions, RecoverReport, SessionHost } from "@shipside/daemon";
import {
  type ControlClient,
  connectSessionHosts,
  type Journal,
  openJournal,
  openRemoteSession,
  type SessionEvent,
  type SessionInfo,
  type SessionOptions,
  stateDir,
  tryConnectControl,
} from "@shipside/daemon/client";
import { renewDaemon } from "./renew-daemon.ts";
import type { Terminal } from "./terminal.ts";

/** A session that a command opened, in this process or by the daemon. */
export interface CommandSession {
  readonly by: "daemon" | "here";
  info(): SessionInfo;
  /** As it was opened with. */
  readonly env: readonly EnvEntry[];
  /** As it is now, where it is followed. */
  currentEnv(): Promise<readonly EnvEntry[]>;
  readonly entries: readonly HostsEntry[];
  /** Of this process: for what the command itself makes. */
  readonly journal: Journal;
  readonly ended: Promise<Error | undefined>;
  /** Opens another one in the same place, which is closed before this one. */
  openBeside(options: SessionOptions, onEvent: (event: SessionEvent) => void): Promise<Pick<CommandSession, "info" | "ended">>;
  /** Resolves when all is undone. */
  close(): Promise<void>;
}

export interface OpenSessionContext {
  /** What a host of this process is to be like: then the session is this process's. */
  hostOptions?: HostOptions | undefined;
  terminal: Terminal;
  signal: AbortSignal;
  foreground: boolean;
  /** Ends with this process; otherwise a daemon keeps it. */
  attached: boolean;
  onEvent(event: SessionEvent): void;
}

/**
 * Where a daemon runs it has the session, so that sessions share what they can. Where none runs, this process has it, and shows it to
 * `session list` and `status` while it lasts.
 */
export async function openCommandSession(options: SessionOptions, context: OpenSessionContext): Promise<CommandSession> {
  // A daemon has an environment of its own: without a kubeconfig of ours it would take the one of the shell that started it.
  const here = context.foreground || context.hostOptions !== undefined || options.kubeconfig === undefined;
  const client = here ? undefined : await daemonIfAny(context);
  if (!client) return openHere(options, context, context.hostOptions);
  const closer = createCloser();
  closer.use(client);
  try {
    const journal = closer.use(openJournal(stateDir()));
    const { signal, onEvent, attached } = context;
    const session = await openRemoteSession(client, options, { attached, signal, onEvent });
    closer.defer(() => (attached ? session.close() : undefined));
    const { info, env, currentEnv, entries, ended } = session;
    return {
      ...{ by: "daemon", info: () => info, env, currentEnv, entries, journal, ended },
      async openBeside(more, told) {
        const beside = await openRemoteSession(client, more, { attached, signal, onEvent: told });
        closer.defer(() => (attached ? beside.close() : undefined));
        return { info: () => beside.info, ended: beside.ended };
      },
      close: () => closer.close(),
    };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

/** A folder that can't be trusted is no reason not to teleport: only not to talk to whoever is in it. */
export async function daemonIfAny(context: Pick<OpenSessionContext, "terminal" | "signal">): Promise<ControlClient | undefined> {
  try {
    await renewDaemon(context);
    return await tryConnectControl();
  } catch (error) {
    if (hasCode(error, "RUNTIME_DIR_UNSAFE")) return undefined;
    throw error;
  }
}

export async function openHere(
  options: SessionOptions,
  { terminal, signal, onEvent }: Pick<OpenSessionContext, "terminal" | "signal" | "onEvent">,
  hostOptions: HostOptions = {},
): Promise<CommandSession> {
  const { host, stopped, close } = await openHostHere({ terminal, signal }, hostOptions);
  const closer = createCloser();
  closer.defer(close);
  try {
    const { session, release } = await host.open(options, { signal, onEvent });
    closer.defer(release);
    return {
      by: "here",
      info: session.info,
      env: session.env,
      currentEnv: async () => session.env,
      entries: session.hostsEntries(),
      journal: host.journal,
      ended: Promise.race([session.ended, stopped]),
      async openBeside(more, told) {
        const beside = await host.open(more, { signal, onEvent: told });
        closer.defer(beside.release);
        return beside.session;
      },
      close: () => closer.close(),
    };
  } catch (error) {
    await closer.close().catch((failed: unknown) => terminal.error(failed));
    throw error;
  }
}

/** Sessions of this process, which other terminals see. What processes that are gone have left is undone before. */
export async function openHostHere(
  { terminal, signal }: Pick<OpenSessionContext, "terminal" | "signal">,
  hostOptions: HostOptions = {},
): Promise<{ host: SessionHost; stopped: Promise<undefined>; close(): Promise<void> }> {
  terminal.busy("loading");
  const { createSessionHost, recover, serveSessions } = await import("@shipside/daemon");
  signal.throwIfAborted();
  sayRecovered(await recover({ stateDir: hostOptions.stateDir ?? stateDir(), where: "machine" }), terminal);
  const closer = createCloser();
  const host = closer.use(createSessionHost({ inspector: {}, ...hostOptions }));
  let onStop: () => void = () => {};
  const stopped = new Promise<undefined>((resolve) => {
    onStop = () => resolve(undefined);
  });
  // A convenience: who can't have it still teleports.
  const server = await serveSessions({ host, kind: "foreground", onStop }).catch((error: unknown) => {
    terminal.warn(`other terminals can't see this session: ${errorToJson(error).message}`);
    return undefined;
  });
  if (server) closer.use(server);
  return { host, stopped, close: () => closer.close() };
}

export function sayRecovered({ undone, failed, waiting }: RecoverReport, terminal: Terminal): void {
  const things = (count: number): string => `${count} thing${count === 1 ? "" : "s"}`;
  const count = undone.filter(({ gone }) => !gone).length;
  if (count > 0) terminal.done(`undid ${things(count)} that an earlier shipside had left`);
  for (const { what, said } of undone) if (said !== undefined) terminal.warn(`${what}: ${said}`);
  for (const { entry, error } of failed)
    terminal.warn(`an earlier shipside left something (${entry.what}) that can't be undone now: ${error.message}`);
  if (waiting.length > 0)
    terminal.warn(`an earlier shipside left ${things(waiting.length)} in a cluster: \`shipside clean\` removes that`);
}

/**
 * Ports that another shipside of ours holds for the same cluster need no alarm: its tunnels lead to the same services, and ours take over
 * when it ends. Returns which errors those are, and the pids.
 */
export async function sharedPorts(info: SessionInfo): Promise<{ calm(error: ErrorJson): boolean; pids: ReadonlySet<number> }> {
  const pids = new Set<number>();
  const failing = info.services.flatMap(({ ports }) =>
    ports.flatMap(({ error }) => (error?.code === "LISTEN_IN_USE" ? [error] : [])),
  );
  if (failing.length > 0) {
    const { clients } = await connectSessionHosts();
    for (const client of clients) {
      const sessions =
        client.hello.pid === process.pid ? [] : ((await client.call("session.list").catch(() => [])) as SessionInfo[]);
      if (sessions.some(({ server, context }) => server === info.server && context === info.context)) pids.add(client.hello.pid);
      await client.close();
    }
  }
  return { pids, calm: (error) => error.code === "LISTEN_IN_USE" && pids.has(holderOf(error)) };
}

function holderOf(error: ErrorJson): number {
  return Number((error.details?.["holder"] as { pid?: number } | undefined)?.pid ?? 0);
}
