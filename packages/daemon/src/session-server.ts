import { type Closable, createCloser, errorToJson, hasCode, type Logger, silentLogger } from "@shipside/core";
import { foregroundPath } from "./control/hosts.ts";
import { type MethodContext, type Methods, serveControl } from "./control/server.ts";
import type { OpenedEvent, SessionMethods } from "./control/sessions.ts";
import { daemonError } from "./errors.ts";
import type { HeldSession, SessionHost } from "./host.ts";
import { controlPath, runtimeDir } from "./paths.ts";
import { version } from "./version.ts";

/** What a client is told of the helper. */
export interface HelperState {
  readonly pid: number;
  readonly version: string;
  /** Fires when it is gone. */
  readonly ended: AbortSignal;
}

export interface ServeSessionsOptions {
  host: SessionHost;
  /** `daemon`: opens sessions for others and serves the user's one control socket. `foreground`: only shows and ends its own. */
  kind: "daemon" | "foreground";
  runtimeDir?: string;
  /** What it says it is. Default: this package's version. */
  version?: string;
  helper?: HelperState;
  /** Somebody asked this process to end. */
  onStop(): void;
  logger?: Logger;
}

/** Serves a host's sessions to other processes of the user. Throws what `serveControl` throws. */
export async function serveSessions(options: ServeSessionsOptions): Promise<Closable> {
  const { host, kind, onStop, helper, logger = silentLogger, runtimeDir: dir = runtimeDir() } = options;
  const kept = new Map<string, HeldSession>();

  const keep = (held: HeldSession): Promise<void> | undefined => {
    const { id, ended } = held.session;
    // A second wish for the same session is granted already.
    if (kept.has(id)) return held.release();
    kept.set(id, held);
    void ended.then(async () => {
      kept.delete(id);
      await held.release();
    });
    return undefined;
  };

  const open = async (
    { options: wanted, attached }: SessionMethods["session.open"]["params"],
    { signal, emit }: MethodContext,
  ): Promise<SessionMethods["session.open"]["result"]> => {
    if (kind !== "daemon") throw daemonError("DAEMON_PROTOCOL", "a shipside in the foreground opens no sessions for others");
    const held = await host.open(wanted, { signal, onEvent: emit });
    const { session } = held;
    emit({ step: "opened", info: session.info(), env: [...session.env], entries: session.hostsEntries() } satisfies OpenedEvent);
    if (!attached) {
      await keep(held);
      return {};
    }
    const gone = new Promise<undefined>((resolve) => signal.addEventListener("abort", () => resolve(undefined), { once: true }));
    const error = signal.aborted ? undefined : await Promise.race([session.ended, gone]);
    await held.release();
    return error ? { error: errorToJson(error) } : {};
  };

  const endAll = async (force: boolean): Promise<SessionMethods["session.endAll"]["result"]> => {
    const ends = host.list().map(({ id }) =>
      host.end(id, { force }).catch((error: unknown) => {
        if (!hasCode(error, "VOLUMES_BUSY")) throw error;
      }),
    );
    return (await Promise.all(ends)).filter((ended) => ended !== undefined);
  };

  const methods: Methods = {
    "session.open": (params, context) => open(params as SessionMethods["session.open"]["params"], context),
    "session.env": async (params) => host.env(String((params as { id?: unknown }).id ?? "")),
    "session.list": async () => host.list(),
    "session.probe": async (params, { signal }) => {
      const { most } = (params ?? {}) as SessionMethods["session.probe"]["params"];
      return host.probe({ signal, ...(typeof most === "number" && { most }) });
    },
    "session.export": async () => {
      const sessions = [...kept.values()].map(({ session }) => session.options);
      const held = host.list().reduce((sum, { holders }) => sum + holders, 0);
      return { kept: sessions, attached: held - sessions.length } satisfies SessionMethods["session.export"]["result"];
    },
    "session.end": async (params) => host.end(String((params as { id?: unknown }).id ?? ""), { force: isForced(params) }),
    "session.endAll": async (params) => endAll(isForced(params)),
    inspector: async (): Promise<SessionMethods["inspector"]["result"]> => {
      const open = host.inspector;
      return open ? { url: open.url, link: open.link(), once: open.linkOnce(), port: open.port, token: open.token } : null;
    },
    helper: async (): Promise<SessionMethods["helper"]["result"]> =>
      helper ? { pid: helper.pid, version: helper.version, running: !helper.ended.aborted } : null,
    stop: async () => {
      const ended = await endAll(true);
      onStop();
      return ended;
    },
  };
  const closer = createCloser();
  closer.use(
    await serveControl({
      path: kind === "daemon" ? controlPath(dir) : foregroundPath(dir),
      hello: { version: options.version ?? version, kind },
      methods,
      logger,
    }),
  );
  return closer;
}

const isForced = (params: unknown): boolean => (params as { force?: unknown } | undefined)?.force === true;
