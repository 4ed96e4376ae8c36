import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { abortError, type Closable, codeOf, createCloser, type HostsOwner, isHostName, type ListenerFactory } from "@shipside/core";
import type { ListeningSocket } from "./agent/requests.ts";
import { type AgentClient, connectAgent } from "./agent-client.ts";
import { enterLine } from "./enter.ts";
import { rootlessError } from "./errors.ts";
import { namespaceHosts } from "./hosts.ts";
import { launchLine, SAID_FD, withSystemPath } from "./launch.ts";
import { namespaceListeners } from "./listeners.ts";
import { notLinux, whyNot } from "./obstacle.ts";

export interface NamespaceOptions {
  /** Ends the opening, and what is open by then. */
  signal?: AbortSignal;
  /** How long the opening may take, in ms. Default 10,000. */
  timeoutMs?: number;
}

export interface RunOptions {
  /** Looked up in the `PATH` of `env`. */
  command: readonly string[];
  env: NodeJS.ProcessEnv;
  /** Default: this process's. */
  cwd?: string;
  /** "stderr": what it writes to its standard output comes to our standard error. */
  stdout?: "inherit" | "stderr";
}

export interface MountOptions {
  /** Absolute. */
  source: string;
  /** Absolute. */
  target: string;
  /** Default false. */
  readOnly?: boolean;
}

/** A command in the namespaces. */
export interface NamespaceCommand {
  /** Its exit code; 128 + n where signal n ended it. Rejects with `ROOTLESS_CLOSED` where the namespaces go first. */
  readonly exited: Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

/**
 * User, network, mount and process namespaces of this user's own, with nothing in them but an agent. They end with this process, with any
 * process of theirs that matters, and with `close()`, and everything in them ends with them.
 */
export interface Namespace extends Closable {
  /** Of their first process, as this process sees it: for `nsenter`, and for what is attached to the network. */
  readonly pid: number;
  /** Listeners in the network namespace, on any address and port. Close them before the namespace. */
  readonly listeners: Required<ListenerFactory>;
  /** The hosts file that programs inside see. */
  readonly hosts: HostsOwner;
  /** Has programs inside ask who stands in this resolv.conf for names that the hosts file hasn't, and nobody else. */
  resolveBy(resolvConf: string): Promise<void>;
  /**
   * The host name that programs inside have from now on (1 to 64 letters, digits, `-` and `.`), and their own address by it; `fqdn` is what
   * `hostname -f` says. Takes `hostname`. Rejects with `ROOTLESS_INVALID_OPTION`, `ROOTLESS_FAILED`.
   */
  setHostname(name: string, fqdn?: string): Promise<void>;
  /** Runs a command with this process's terminal, as this process's user. */
  run(options: RunOptions): Promise<NamespaceCommand>;
  /**
   * A command line that runs a command there as this process's user, or as their root, in `/`, for who starts it and has its input and output.
   * Where it is killed, by whatever signal, the command is killed.
   */
  enter(command: readonly string[], options?: { asRoot?: boolean }): string[];
  /**
   * Shows a folder or a file of this machine at a path inside, which is made there where it isn't: nothing is made on the disk. Before a command
   * runs; of nested paths the outer one first. Rejects with `ROOTLESS_MOUNT`.
   */
  mount(what: MountOptions): Promise<void>;
  /**
   * A socket connected to an address inside, in this process; paused, with `allowHalfOpen`. Without an address: what a program inside listens
   * on there, by loopback where it listens on all. Rejects with the system's codes, such as `ECONNREFUSED`.
   */
  connect(place: { address?: string; port: number }): Promise<Socket>;
  /** What programs inside listen on by TCP now, those of `listeners` left out. */
  readonly listening: readonly ListeningSocket[];
  /** Told whenever that has changed. Returns its undo. */
  onListening(listener: (sockets: readonly ListeningSocket[]) => void): () => void;
  /** Fires when they are gone, for whatever reason. */
  readonly ended: AbortSignal;
}

const HOSTS = "/etc/hosts";
const RESOLV_CONF = "/etc/resolv.conf";
const NSSWITCH = "/etc/nsswitch.conf";
/** Of which the namespaces have their own, where the machine has them. */
const FILES = [HOSTS, RESOLV_CONF, NSSWITCH];
const SCRATCH = ["/mnt", "/media", "/srv", "/tmp"];
/** From the end of the channel until it is killed, in ms. */
const CLOSE_MS = 2_000;

/**
 * Makes namespaces. Rejects with `ROOTLESS_UNSUPPORTED` and `ROOTLESS_FORBIDDEN`, which say what this machine lacks or forbids, and
 * `ROOTLESS_FAILED`; nothing is left then.
 */
export async function openNamespace(options: NamespaceOptions = {}): Promise<Namespace> {
  const { signal, timeoutMs = 10_000 } = options;
  if (typeof timeoutMs !== "number" || !(timeoutMs > 0))
    throw rootlessError("ROOTLESS_INVALID_OPTION", `openNamespace: timeoutMs is ${JSON.stringify(timeoutMs)}`, {
      hint: "a number of ms above 0",
    });
  if (process.platform !== "linux") throw notLinux();
  if (signal?.aborted) throw abortError(signal);
  const originals = await readAll(FILES);
  const closer = createCloser();
  const ended = new AbortController();
  let listening: readonly ListeningSocket[] = [];
  const followers = new Set<(sockets: readonly ListeningSocket[]) => void>();
  const theirs = (): ListeningSocket[] => listening.filter(({ address, port }) => !listeners.has(address, port));

  const { child, said } = launch([...originals.keys()]);
  const agent: AgentClient = connectAgent(child, {
    listening(sockets) {
      listening = sockets;
      for (const follower of followers) follower(theirs());
    },
  });
  const listeners = namespaceListeners(agent.call);
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    if (child.pid === undefined) resolve();
  });
  void gone.then(() => ended.abort(rootlessError("ROOTLESS_CLOSED", "the namespaces are gone, and everything in them")));
  closer.defer(async () => {
    if (child.connected) child.disconnect();
    await Promise.race([gone, delay(CLOSE_MS, undefined, { ref: false })]);
    child.kill("SIGKILL");
    await gone;
  });
  closer.use(listeners);

  try {
    await opened(agent, child, { timeoutMs, ...(signal && { signal }) });
  } catch (error) {
    await closer.close();
    if (signal?.aborted) throw abortError(signal);
    const words = await said;
    // That they are gone is known; what was said on the way is why.
    throw await whyNot(words, words.trim() === "" ? error : new Error(words.trim()));
  }
  const onAbort = (): void => void closer.close();
  signal?.addEventListener("abort", onAbort, { once: true });
  closer.defer(() => signal?.removeEventListener("abort", onAbort));

  const pid = await firstProcess(child.pid!);

  const hosts = closer.use(namespaceHosts(originals.get(HOSTS) ?? "", (text) => agent.call("write", { path: HOSTS, text })));
  return {
    pid,
    listeners,
    hosts,
    async resolveBy(resolvConf) {
      await agent.call("write", { path: RESOLV_CONF, text: resolvConf });
      // Else a service of the machine's may be asked, over a socket that is seen inside, and knows nothing of the cluster.
      const nsswitch = originals.get(NSSWITCH);
      if (nsswitch === undefined) return;
      await agent.call("write", { path: NSSWITCH, text: nsswitch.replace(/^[ \t]*hosts:.*$/m, "hosts: files dns") });
    },
    async setHostname(name, fqdn = name) {
      for (const each of [name, fqdn])
        if (!isHostName(each) || name.length > 64)
          throw rootlessError("ROOTLESS_INVALID_OPTION", `setHostname: ${JSON.stringify(each)} is no host name`, {
            hint: "labels of letters, digits and `-`; at most 64 characters, such as core-0",
          });
      await agent.call("hostname", { name }).catch((cause: unknown) => {
        if (codeOf(cause) === "ROOTLESS_CLOSED") throw cause;
        const missing = codeOf(cause) === "ENOENT";
        throw rootlessError(
          "ROOTLESS_FAILED",
          `could not set the host name ${name}: ${missing ? "there is no program hostname" : (cause as Error).message}`,
          {
            ...(missing && { hint: "install hostname" }),
            cause,
          },
        );
      });
      await hosts.setOwn([...new Set([fqdn, name])]);
    },
    async run({ command, env, cwd = process.cwd(), stdout = "inherit" }) {
      const { result } = await agent.call("run", { command, env, cwd, stdout });
      const exited = agent.exit(result.run);
      exited.catch(() => {});
      return { exited, kill: (by) => void agent.call("kill", { run: result.run, signal: by }).catch(() => {}) };
    },
    enter(command, { asRoot = false } = {}) {
      return enterLine(pid, asRoot ? undefined : { uid: process.getuid!(), gid: process.getgid!() }, command);
    },
    async mount({ source, target, readOnly = false }) {
      try {
        const { dev: device } = await stat(source);
        await agent.call("mount", { source, target, readOnly, device });
      } catch (cause) {
        throw mountError(target, cause);
      }
    },
    async connect({ port, address = clientAddress(theirs().find((one) => one.port === port)) }) {
      const socket = (await agent.call("connect", { address, port })).socket as Socket;
      // Node has made it of what was sent, without these.
      socket.allowHalfOpen = true;
      socket.setNoDelay(true);
      return socket;
    },
    get listening() {
      return theirs();
    },
    onListening(listener) {
      followers.add(listener);
      return () => void followers.delete(listener);
    },
    ended: ended.signal,
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

function launch(files: readonly string[]): { child: ChildProcess; said: Promise<string> } {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const scratch = SCRATCH.find((path) => existsSync(path))!;
  const [program = "", ...args] = launchLine({ execPath: process.execPath, scratch, files });
  const child = spawn(program, args, {
    env: {
      ...env,
      ...withSystemPath(env),
      SHIPSIDE_UID: String(process.getuid!()),
      SHIPSIDE_GID: String(process.getgid!()),
    },
    stdio: ["inherit", "inherit", "inherit", "ipc", "pipe"],
  });
  child.on("error", () => {});
  const said = text(child.stdio[SAID_FD] as Readable).catch(() => "");
  return { child, said };
}

async function opened(
  agent: AgentClient,
  child: ChildProcess,
  { signal, timeoutMs }: { signal?: AbortSignal; timeoutMs: number },
): Promise<void> {
  const stop = new AbortController();
  const until = AbortSignal.any([stop.signal, AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]);
  const late = once(until, "abort").then(() => {
    throw new Error(`the agent said nothing within ${timeoutMs} ms`);
  });
  late.catch(() => {});
  const failed = once(child, "error", { signal: stop.signal }).then(([error]) => {
    throw error;
  });
  failed.catch(() => {});
  try {
    await Promise.race([agent.ready, failed, late]);
  } finally {
    stop.abort();
  }
}

/** `unshare --fork` has one child. */
async function firstProcess(unshare: number): Promise<number> {
  const children = await readFile(`/proc/${unshare}/task/${unshare}/children`, "utf8");
  return Number(children.trim().split(" ")[0]);
}

function mountError(target: string, cause: unknown): Error {
  if (codeOf(cause) === "ROOTLESS_CLOSED") return cause as Error;
  const hints: Record<string, string> = {
    UNSEEN: "what is mounted outside is seen inside only where an administrator has made it so: sudo mount --make-rshared /",
    OWNED: `make it: mkdir -p ${target}`,
  };
  const hint = hints[codeOf(cause) ?? ""];
  return rootlessError("ROOTLESS_MOUNT", `could not show ${target}: ${(cause as Error).message}`, {
    ...(hint !== undefined && { hint }),
    cause,
  });
}

/** As what a client inside connects to it. */
function clientAddress({ address }: { address: string } = { address: "0.0.0.0" }): string {
  return address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
}

async function readAll(paths: readonly string[]): Promise<Map<string, string>> {
  const texts = await Promise.all(paths.map((path) => readFile(path, "utf8").catch(() => undefined)));
  return new Map(paths.flatMap((path, index) => (texts[index] === undefined ? [] : [[path, texts[index]] as const])));
}
