import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { Readable, Writable } from "node:stream";
import type { Closable } from "@shipside/core";
import { nodeError } from "../errors.ts";
import type { ServiceRoute } from "../network/endpoints.ts";
import type { ExecProcess } from "../runtime.ts";
import type { AgentMessage, AgentRequest, Launch } from "./protocol.ts";

export interface ContainerExit {
  exitCode: number;
  /** 0 where no signal ended it. */
  signal: number;
}

export interface StartedContainer {
  readonly id: string;
  /** As the agent sees it. */
  readonly pid: number;
  readonly exited: Promise<ContainerExit>;
}

/** A process that starts containers in the namespaces it lives in. */
export interface Agent extends Closable {
  /** The process to which namespaces belong, as this process sees it. */
  readonly pid: number;
  /** Resolves when it is gone, wanted or not. */
  readonly gone: Promise<void>;
  start(launch: Launch): Promise<StartedContainer>;
  signal(id: string, signal: NodeJS.Signals, group?: boolean): Promise<void>;
  exec(id: string, argv: readonly string[], options: { stdin: boolean; tty: boolean }): Promise<ExecProcess>;
  dial(host: string, port: number): Promise<Socket>;
  serve(address: string, routes: readonly ServiceRoute[]): Promise<void>;
  /** Gets connections to routes that are handed over. */
  onHandOver(listener: (socket: Socket) => void): void;
  /** False once the process is gone: everything that it held is gone too. */
  readonly alive: boolean;
  /** Called when a container has written to its log. Returns its undo. */
  onLog(id: string, listener: () => void): () => void;
}

interface RunningContainer {
  exited: PromiseWithResolvers<ContainerExit>;
  /** Undefined until it runs. */
  pid?: number;
}

interface PendingExec {
  streams: Array<Socket | undefined>;
  exited: PromiseWithResolvers<number>;
}

export interface AgentOptions {
  cwd: string;
  env: Record<string, string>;
  /** The agent has no process namespace that ends with it: its containers are killed from here should it disappear. */
  sharesProcesses: boolean;
}

/** Starts `argv` (something that becomes pod-agent) with an IPC channel, and resolves when it says that it is there. */
export async function openAgent(argv: readonly string[], options: AgentOptions): Promise<Agent> {
  const child = spawn(argv[0]!, argv.slice(1), {
    cwd: options.cwd,
    env: options.env,
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    serialization: "advanced",
    // Out of the terminal's process group: Ctrl-C is the node's to handle, in order.
    detached: true,
  });
  const agent = new ChildAgent(child, options.sharesProcesses);
  await agent.ready;
  return agent;
}

class ChildAgent implements Agent {
  readonly ready: Promise<void>;
  readonly gone: Promise<void>;
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, PromiseWithResolvers<{ pid?: number; handle?: Socket }>>();
  readonly #containers = new Map<string, RunningContainer>();
  readonly #execs = new Map<string, PendingExec>();
  readonly #logListeners = new Map<string, Set<() => void>>();
  #handOver: ((socket: Socket) => void) | undefined;
  #alive = true;
  #seq = 0;
  #stderr = "";

  constructor(child: ChildProcess, sharesProcesses: boolean) {
    this.#child = child;
    const ready = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.gone = gone.promise;
    const end = (cause?: unknown): void => {
      this.#alive = false;
      const error = nodeError(
        "NODE_AGENT_GONE",
        `the process that holds the pod's containers ended${this.#stderr && `: ${this.#stderr.trim()}`}`,
        {
          ...(cause !== undefined && { cause }),
        },
      );
      ready.reject(error);
      for (const { reject } of this.#answers.values()) reject(error);
      this.#answers.clear();
      for (const { exited, pid } of this.#containers.values()) {
        if (sharesProcesses && pid !== undefined) killGroup(pid);
        exited.resolve({ exitCode: 137, signal: 9 });
      }
      this.#containers.clear();
      for (const { exited } of this.#execs.values()) exited.resolve(137);
      this.#execs.clear();
      gone.resolve();
    };
    child.once("error", end);
    child.once("exit", () => end());
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4096);
    });
    child.on("message", (message, handle) => {
      if ((message as AgentMessage).type === "ready") ready.resolve();
      else this.#receive(message as AgentMessage, handle as Socket | undefined);
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async start(launch: Launch): Promise<StartedContainer> {
    const container: RunningContainer = { exited: Promise.withResolvers() };
    this.#containers.set(launch.id, container);
    try {
      const { pid } = await this.#ask({ op: "start", launch });
      container.pid = pid!;
      return { id: launch.id, pid: pid!, exited: container.exited.promise };
    } catch (error) {
      this.#containers.delete(launch.id);
      throw error;
    }
  }

  async signal(id: string, signal: NodeJS.Signals, group = false): Promise<void> {
    await this.#ask({ op: "signal", id, signal, group });
  }

  async exec(id: string, argv: readonly string[], { stdin, tty }: { stdin: boolean; tty: boolean }): Promise<ExecProcess> {
    const exec = `exec-${++this.#seq}`;
    const pending: PendingExec = { streams: [], exited: Promise.withResolvers() };
    this.#execs.set(exec, pending);
    try {
      await this.#ask({ op: "exec", exec, id, argv, stdin, tty });
    } catch (error) {
      this.#execs.delete(exec);
      throw error;
    }
    const [input, output, errors] = pending.streams;
    return {
      stdin: input ?? new Writable({ write: (_chunk, _encoding, done) => done() }),
      stdout: output ?? Readable.from([]),
      stderr: errors ?? Readable.from([]),
      exited: pending.exited.promise,
      kill: () => void this.#ask({ op: "endExec", exec }).catch(() => {}),
    };
  }

  async dial(host: string, port: number): Promise<Socket> {
    const { handle } = await this.#ask({ op: "dial", host, port });
    if (!handle)
      throw Object.assign(new Error(`connect to ${host}:${port}: the connection was gone at once`), { code: "ECONNRESET" });
    return handle;
  }

  async serve(address: string, routes: readonly ServiceRoute[]): Promise<void> {
    await this.#ask({ op: "serve", address, routes });
  }

  onHandOver(listener: (socket: Socket) => void): void {
    this.#handOver = listener;
  }

  get alive(): boolean {
    return this.#alive;
  }

  onLog(id: string, listener: () => void): () => void {
    const listeners = this.#logListeners.get(id) ?? new Set();
    this.#logListeners.set(id, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#logListeners.delete(id);
    };
  }

  async close(): Promise<void> {
    if (this.#alive) await this.#ask({ op: "release" }).catch(() => {});
    if (this.#child.connected) this.#child.disconnect();
    await this.gone;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #ask(request: AgentRequest): Promise<{ pid?: number; handle?: Socket }> {
    const seq = ++this.#seq;
    const answer = Promise.withResolvers<{ pid?: number; handle?: Socket }>();
    this.#answers.set(seq, answer);
    if (this.#child.connected) {
      this.#child.send({ seq, ...request }, (error) => {
        if (error) this.#settle(seq)?.reject(error);
      });
    } else this.#settle(seq)?.reject(nodeError("NODE_AGENT_GONE", "the process that holds the pod's containers has ended"));
    return answer.promise;
  }

  #settle(seq: number): PromiseWithResolvers<{ pid?: number; handle?: Socket }> | undefined {
    const answer = this.#answers.get(seq);
    this.#answers.delete(seq);
    return answer;
  }

  #receive(message: AgentMessage, handle: Socket | undefined): void {
    if (handle) {
      handle.on("error", () => {});
      // A socket that comes over IPC was made without it.
      handle.allowHalfOpen = true;
    }
    switch (message.type) {
      case "answer": {
        const answer = this.#settle(message.seq);
        if (message.error) answer?.reject(Object.assign(new Error(message.error.message), { code: message.error.code }));
        else answer?.resolve({ ...(message.pid !== undefined && { pid: message.pid }), ...(handle && { handle }) });
        if (!answer) handle?.destroy();
        break;
      }
      case "stream": {
        const pending = this.#execs.get(message.exec);
        if (pending) pending.streams[message.fd] = handle;
        else handle?.destroy();
        break;
      }
      case "exit":
        this.#containers.get(message.id)?.exited.resolve({ exitCode: message.exitCode, signal: message.signal });
        this.#containers.delete(message.id);
        for (const listener of this.#logListeners.get(message.id) ?? []) listener();
        break;
      case "execExit":
        this.#execs.get(message.exec)?.exited.resolve(message.exitCode);
        this.#execs.delete(message.exec);
        break;
      case "log":
        for (const listener of this.#logListeners.get(message.id) ?? []) listener();
        break;
      case "handOver":
        if (handle && this.#handOver) this.#handOver(handle);
        else handle?.destroy();
        break;
      case "ready":
    }
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}
