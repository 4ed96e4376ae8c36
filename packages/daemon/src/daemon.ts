import { type Closable, createCloser, errorToJson, silentLogger } from "@shipside/core";
import { removeDeadSockets } from "./clean.ts";
import { createSessionHost, type HostOptions, type SessionHost } from "./host.ts";
import { stateDir as defaultStateDir } from "./paths.ts";
import { recover } from "./recover.ts";
import { type HelperState, serveSessions } from "./session-server.ts";

export interface DaemonOptions extends HostOptions {
  /** Where the control socket is served. Default: this user's. */
  runtimeDir?: string;
  /** The privileged helper that started it: clients are told how it is. */
  helper?: HelperState;
  /** A client asked the daemon to end. Its sessions are closed by then; close it, and end the process. */
  onStop(): void;
}

export interface Daemon extends Closable {
  readonly host: SessionHost;
}

/**
 * Sessions for the whole of a user's terminals: undoes what processes that are gone left behind, then serves the control socket. Throws
 * `DAEMON_RUNNING` where there is one.
 */
export async function openDaemon(options: DaemonOptions): Promise<Daemon> {
  const { stateDir = defaultStateDir(), logger = silentLogger, onStop, runtimeDir, helper } = options;
  const closer = createCloser();
  try {
    const host = closer.use(createSessionHost(options));
    const serving = { ...(runtimeDir !== undefined && { runtimeDir }), ...(helper && { helper }) };
    closer.use(await serveSessions({ host, kind: "daemon", onStop, logger, ...serving }));
    const ending = new AbortController();
    const undo = async (where: "machine" | "everywhere"): Promise<void> => {
      const { failed } = await recover({ stateDir, where, logger, connections: { signal: ending.signal } });
      for (const { entry, error } of failed)
        logger.warn("could not undo what a process that is gone left", { what: entry.what, error: error.message });
    };
    // Only who serves undoes, so that two that start at once don't both. For a cluster that may be away nobody waits.
    await undo("machine");
    await removeDeadSockets(runtimeDir);
    const clusters = undo("everywhere").catch((error: unknown) => logger.warn("undoing failed", { error: errorToJson(error) }));
    closer.defer(() => {
      ending.abort();
      return clusters;
    });
    return { host, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
  } catch (error) {
    await closer.close().catch(() => {});
    throw error;
  }
}
