import { chmod, rmdir, unlink } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  acquireFileLock,
  type Closable,
  errorToJson,
  type FileLock,
  hasCode,
  identifySelf,
  type Logger,
  silentLogger,
} from "@shipside/core";
import { daemonError } from "../errors.ts";
import { ignoreMissing } from "../journal-files.ts";
import { ensurePrivateDir } from "../paths.ts";
import { tryConnectControl } from "./client.ts";
import { encode, type Hello, lineReader, PROTOCOL, parseRequest, type Response } from "./protocol.ts";

export interface MethodContext {
  /** The caller took the call back, or went. */
  signal: AbortSignal;
  /** The caller's connection ended: what was done for it alone must end too. */
  gone: AbortSignal;
  emit(event: unknown): void;
}

/** What clients can call. A rejection is sent as the error it is. */
export type Methods = Readonly<Record<string, (params: unknown, context: MethodContext) => Promise<unknown>>>;

export interface ServeControlOptions {
  path: string;
  hello: Pick<Hello["shipside"], "version" | "kind">;
  methods: Methods;
  logger?: Logger;
}

export interface ControlServer extends Closable {
  readonly path: string;
  /** Stops accepting, lets calls that are under way answer for at most a second, then ends every connection. */
  close(): Promise<void>;
}

/**
 * Serves this user's control socket: mode 0600 in a folder of mode 0700. Throws `DAEMON_RUNNING` where somebody serves it already,
 * `RUNTIME_DIR_UNSAFE` where the folder can't be trusted, `DAEMON_START_FAILED` for the rest. A socket whose process is gone is replaced.
 */
export async function serveControl(options: ServeControlOptions): Promise<ControlServer> {
  const { path, methods, logger = silentLogger } = options;
  const hello: Hello = { shipside: { protocol: PROTOCOL, pid: process.pid, identity: await identifySelf(), ...options.hello } };
  const connections = new Map<Socket, { calls: Set<Promise<void>>; gone: AbortController }>();

  const onConnection = (socket: Socket): void => {
    const gone = new AbortController();
    const calls = new Set<Promise<void>>();
    const cancels = new Map<number, AbortController>();
    connections.set(socket, { calls, gone });
    const send = (message: Hello | Response): void => {
      if (socket.writable) socket.write(encode(message));
    };
    const call = async (id: number, method: string, params: unknown): Promise<void> => {
      const cancel = new AbortController();
      cancels.set(id, cancel);
      try {
        const known = Object.hasOwn(methods, method) ? methods[method] : undefined;
        if (!known) throw daemonError("DAEMON_PROTOCOL", `the daemon knows no method ${JSON.stringify(method)}`);
        const signal = AbortSignal.any([cancel.signal, gone.signal]);
        const result = await known(params, { signal, gone: gone.signal, emit: (event) => send({ id, event }) });
        send({ id, result: result ?? null });
      } catch (error) {
        send({ id, error: errorToJson(error) });
      } finally {
        cancels.delete(id);
      }
    };
    const read = lineReader((message) => {
      const request = parseRequest(message);
      if (!request) throw new Error("not a request");
      if ("cancel" in request) return cancels.get(request.cancel)?.abort();
      const done = call(request.id, request.method, request.params);
      calls.add(done);
      void done.finally(() => calls.delete(done));
    });
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      try {
        read(chunk);
      } catch (error) {
        logger.warn("a client of the control socket sent what is no message", { error: (error as Error).message });
        socket.destroy();
      }
    });
    socket.on("close", () => {
      connections.delete(socket);
      gone.abort();
    });
    send(hello);
  };

  const server = createServer(onConnection);
  await claim(server, path);
  server.on("error", (error) => logger.error("the control socket failed", { error: error.message }));

  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= (async () => {
      const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
      const answered = Promise.all([...connections.values()].flatMap(({ calls }) => [...calls]));
      await Promise.race([answered, delay(1_000, undefined, { ref: false })]);
      for (const socket of connections.keys()) socket.destroySoon();
      await stopped;
      // The folder goes with its last socket, and stays where it isn't empty.
      if (process.platform !== "win32") await rmdir(dirname(path)).catch(() => {});
    })();
    return closed;
  };
  return { path, close, [Symbol.asyncDispose]: close };
}

/** Binds the socket, under a lock: two that find a dead one at once must not remove each other's fresh one. */
async function claim(server: Server, path: string): Promise<void> {
  if (process.platform === "win32") return listen(server, path);
  const held = await lock(path);
  try {
    await refuseIfServed(path);
    await unlink(path).catch(ignoreMissing);
    await listen(server, path);
    await chmod(path, 0o600);
  } catch (cause) {
    if (hasCode(cause, "DAEMON_RUNNING", "DAEMON_PROTOCOL", "RUNTIME_DIR_UNSAFE")) throw cause;
    throw daemonError("DAEMON_START_FAILED", `could not serve the control socket ${path}: ${(cause as Error).message}`, {
      hint: "set XDG_RUNTIME_DIR to a folder with a short path that you may write",
      cause,
    });
  } finally {
    await held.release();
  }
}

async function lock(path: string): Promise<FileLock> {
  const signal = new AbortController().signal;
  for (;;) {
    await ensurePrivateDir(dirname(path));
    try {
      return await acquireFileLock({ path: `${path}.lock`, what: path, owner: "shipside", timeoutMs: 5_000, signal });
    } catch (error) {
      // Who closed the last socket took the empty folder away in between.
      if (!hasCode(error, "ENOENT")) throw error;
    }
  }
}

async function refuseIfServed(path: string): Promise<void> {
  const other = await tryConnectControl({ path, anyVersion: true });
  if (!other) return;
  await other.close();
  throw daemonError("DAEMON_RUNNING", `a ${other.hello.kind} shipside (pid ${other.hello.pid}) already serves ${path}`, {
    hint: "`shipside status` says what it does, `shipside stop` ends it",
    details: { hello: other.hello },
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
