import { createConnection, type Socket } from "node:net";
import { dirname } from "node:path";
import { abortError, type Closable, errorFromJson, hasCode } from "@shipside/core";
import { daemonError } from "../errors.ts";
import { assertPrivateDir, controlPath } from "../paths.ts";
import { encode, FOR_ALL_VERSIONS, type Hello, lineReader, PROTOCOL, parseHello, parseResponse, type Request } from "./protocol.ts";

export interface CallOptions {
  signal?: AbortSignal;
  onEvent?: (event: unknown) => void;
}

export interface ControlClient extends Closable {
  readonly hello: Hello["shipside"];
  /** Aborted when the connection has ended, for whatever reason. */
  readonly ended: AbortSignal;
  /** Rejects with the server's own error (its code, hint and causes), or `DAEMON_GONE`. */
  call(method: string, params?: unknown, options?: CallOptions): Promise<unknown>;
}

export interface ConnectControlOptions {
  /** Default: this user's. */
  path?: string;
  /** For the server's first word. Default 3,000. */
  timeoutMs?: number;
  /** Also return a client for a server of another protocol: only its `hello` and the methods for all versions are of use then. */
  anyVersion?: boolean;
}

/**
 * Connects to whoever serves this user's control socket. Throws `DAEMON_UNREACHABLE`, `RUNTIME_DIR_UNSAFE`, `DAEMON_PROTOCOL`, or
 * `DAEMON_VERSION` (details: `hello`).
 */
export async function connectControl(options: ConnectControlOptions = {}): Promise<ControlClient> {
  const { path = controlPath(), timeoutMs = 3_000, anyVersion = false } = options;
  // Whoever could have put a socket there could also read what we send to it.
  if (process.platform !== "win32") await assertPrivateDir(dirname(path));
  const socket = await connect(path);
  const client = createClient(socket, path);
  const timer = setTimeout(() => {
    socket.destroy(daemonError("DAEMON_PROTOCOL", `what listens on ${path} said nothing within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    const hello = await client.greeted;
    if (hello.protocol !== PROTOCOL && !anyVersion) throw versionError(hello);
    return Object.assign(client, { hello });
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** As `connectControl`, but undefined where nobody serves the socket. */
export async function tryConnectControl(options: ConnectControlOptions = {}): Promise<ControlClient | undefined> {
  try {
    return await connectControl(options);
  } catch (error) {
    if (hasCode(error, "DAEMON_UNREACHABLE")) return undefined;
    throw error;
  }
}

function versionError(hello: Hello["shipside"]): Error {
  const age = hello.protocol < PROTOCOL ? "older" : "newer";
  return daemonError(
    "DAEMON_VERSION",
    `the daemon that runs (${hello.version}, pid ${hello.pid}) speaks ${age} protocol ${hello.protocol}, this shipside speaks ${PROTOCOL}`,
    {
      hint:
        age === "older"
          ? "`shipside start` in a terminal restarts it and opens its sessions again; or `shipside stop` and `shipside start`"
          : "update this shipside; or run `shipside stop` and `shipside start`, so that both are of one version",
      details: { hello },
    },
  );
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once("error", (cause: NodeJS.ErrnoException) => {
      reject(
        daemonError("DAEMON_UNREACHABLE", `no daemon answers on ${path} (${cause.code ?? cause.message})`, {
          hint: "start one with `shipside start`",
          cause,
        }),
      );
    });
    socket.once("connect", () => resolve(socket));
  });
}

function createClient(socket: Socket, path: string): Omit<ControlClient, "hello"> & { greeted: Promise<Hello["shipside"]> } {
  interface Pending {
    resolve(result: unknown): void;
    reject(error: Error): void;
    onEvent: ((event: unknown) => void) | undefined;
  }
  const pending = new Map<number, Pending>();
  let onHello: (hello: Hello["shipside"]) => void = () => {};
  let onNoHello: (error: Error) => void = () => {};
  const greeted = new Promise<Hello["shipside"]>((resolve, reject) => {
    onHello = resolve;
    onNoHello = reject;
  });
  greeted.catch(() => {});
  const ended = new AbortController();
  let next = 1;
  let hello: Hello["shipside"] | undefined;
  let why: Error | undefined;

  const protocolError = (what: string, cause?: unknown): Error =>
    daemonError("DAEMON_PROTOCOL", `what listens on ${path} sent ${what}`, {
      hint: `if it isn't a shipside daemon, remove ${path}`,
      cause,
    });

  const onMessage = (message: unknown): void => {
    if (!hello) {
      hello = parseHello(message);
      if (!hello) throw protocolError("something other than a greeting of shipside");
      onHello(hello);
      return;
    }
    const response = parseResponse(message);
    // What another version says besides is its own business.
    if (!response && hello.protocol !== PROTOCOL) return;
    if (!response) throw protocolError("something that is no answer");
    const call = pending.get(response.id);
    if (!call) return;
    if ("event" in response) {
      call.onEvent?.(response.event);
      return;
    }
    pending.delete(response.id);
    if ("error" in response) call.reject(errorFromJson(response.error));
    else call.resolve(response.result);
  };

  const read = lineReader(onMessage);
  socket.on("data", (chunk: Buffer) => {
    try {
      read(chunk);
    } catch (error) {
      socket.destroy(hasCode(error, "DAEMON_PROTOCOL") ? (error as Error) : protocolError("a line that is no JSON", error));
    }
  });
  socket.on("error", (error) => {
    why ??= error;
  });
  socket.on("close", () => {
    const error = hasCode(why, "DAEMON_PROTOCOL")
      ? why!
      : daemonError("DAEMON_GONE", `the daemon (${hello ? `pid ${hello.pid}` : path}) ended the connection`, {
          hint: "`shipside status` says whether it still runs; `shipside clean` undoes what it left",
          cause: why,
        });
    onNoHello(error);
    for (const call of pending.values()) call.reject(error);
    pending.clear();
    ended.abort(error);
  });

  const send = (request: Request): void => void socket.write(encode(request));
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= new Promise((resolve) => {
      if (socket.closed) return resolve();
      socket.once("close", () => resolve());
      socket.end();
      // The server has nothing left to say to who goes.
      socket.destroySoon();
    });
    return closed;
  };

  return {
    greeted,
    ended: ended.signal,
    call(method, params = {}, { signal, onEvent } = {}) {
      return new Promise((resolve, reject) => {
        if (ended.signal.aborted) return reject(ended.signal.reason);
        if (signal?.aborted) return reject(abortError(signal));
        if (hello && hello.protocol !== PROTOCOL && !FOR_ALL_VERSIONS.has(method)) return reject(versionError(hello));
        const id = next++;
        const onAbort = (): void => send({ cancel: id });
        const settle =
          <A>(done: (value: A) => void) =>
          (value: A): void => {
            signal?.removeEventListener("abort", onAbort);
            done(value);
          };
        pending.set(id, { resolve: settle(resolve), reject: settle(reject), onEvent });
        signal?.addEventListener("abort", onAbort, { once: true });
        send({ id, method, params });
      });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
