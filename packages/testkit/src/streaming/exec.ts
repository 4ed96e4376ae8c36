import { PassThrough, Writable } from "node:stream";
import type { ExecProcess, NodeRuntime } from "../node/runtime.ts";
import { type Channel, discard, feed, pump } from "./channel.ts";
import type { SpdyServer, SpdyServerEvents } from "./spdy-server.ts";
import type { WebSocketConnection } from "./websocket.ts";
import { webSocketChannels } from "./websocket-channels.ts";

/** How long a client has to open its streams, in ms (k8s.io/kubelet, DefaultStreamCreationTimeout). */
const STREAMS_TIMEOUT_MS = 30_000;

export interface ExecRequest {
  container?: string;
  command: readonly string[];
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

/** What is to be run, or why it couldn't be. */
export type ExecOutcome = { process: ExecProcess } | { error: unknown };

interface ExecChannels {
  stdin?: Channel | undefined;
  stdout?: Channel | undefined;
  stderr?: Channel | undefined;
  error: Channel;
  /** A WebSocket's: who puts it in the place of SPDY reports the error as its own once more. */
  translated: boolean;
}

/** The request as the query tells it, or what is wrong with it. */
export function parseExec(query: URLSearchParams, subresource: "exec" | "attach"): ExecRequest | string {
  const flag = (name: string): boolean => query.get(name) === "true" || query.get(name) === "1";
  const container = query.get("container");
  const request: ExecRequest = {
    ...(container && { container }),
    command: query.getAll("command"),
    stdin: flag("stdin"),
    stdout: flag("stdout"),
    // A terminal has one output.
    stderr: flag("stderr") && !flag("tty"),
    tty: flag("tty"),
  };
  if (!request.stdin && !request.stdout && !request.stderr) return "you must specify at least 1 of stdin, stdout, stderr";
  if (subresource === "exec" && request.command.length === 0) return "you must specify at least one command for the container";
  return request;
}

/** Starts the command; `attach` is the container's output from now on. */
export async function startExec(
  node: NodeRuntime,
  namespace: string,
  pod: string,
  request: ExecRequest,
  attach: boolean,
): Promise<ExecOutcome> {
  try {
    if (attach) return { process: await attached(node, namespace, pod, request) };
    const { container, command, stdin, tty } = request;
    return { process: await node.exec(namespace, pod, { ...(container && { container }), command, stdin, tty }) };
  } catch (error) {
    return { error };
  }
}

/** A container's log, followed, in the shape of a process. What is typed goes nowhere. */
async function attached(node: NodeRuntime, namespace: string, pod: string, { container }: ExecRequest): Promise<ExecProcess> {
  const stdout = await node.logs(namespace, pod, {
    ...(container && { container }),
    follow: true,
    previous: false,
    timestamps: false,
    tailLines: 0,
  });
  const stderr = new PassThrough();
  stderr.end();
  return {
    stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
    stdout,
    stderr,
    exited: new Promise((resolve) => stdout.once("close", () => resolve(0))),
    kill: () => void stdout.destroy(),
  };
}

/** Exec over SPDY, `v4.channel.k8s.io`: a stream for each of error, stdin, stdout, stderr and resize that the request asks for. */
export function serveExec(request: ExecRequest, outcome: ExecOutcome, server: () => SpdyServer): SpdyServerEvents {
  const wanted = [
    "error",
    ...(request.stdin ? ["stdin"] : []),
    ...(request.stdout ? ["stdout"] : []),
    ...(request.stderr ? ["stderr"] : []),
    ...(request.tty ? ["resize"] : []),
  ];
  const channels = new Map<string, Channel>();
  const timer = setTimeout(() => server().end(), STREAMS_TIMEOUT_MS).unref();
  return {
    stream(headers) {
      const kind = headers.get("streamtype") ?? "";
      if (!wanted.includes(kind) || channels.has(kind)) return undefined;
      return (channel) => {
        channels.set(kind, channel);
        if (channels.size < wanted.length) return;
        clearTimeout(timer);
        channels.get("resize")?.receive(discard);
        const [error, stdin, stdout, stderr] = ["error", "stdin", "stdout", "stderr"].map((name) => channels.get(name));
        void runExec(request, outcome, { error: error!, stdin, stdout, stderr, translated: false }).then(() => server().end());
      };
    },
    close() {
      clearTimeout(timer);
      abandon(request, outcome);
    },
  };
}

/** Exec over a WebSocket: channels 0 to 4 are stdin, stdout, stderr, error and resize. */
export function serveExecChannels(
  request: ExecRequest,
  outcome: ExecOutcome,
  connection: WebSocketConnection,
  closeSignal: boolean,
): void {
  const [stdin, stdout, stderr, error, resize] = webSocketChannels(connection, 5, {
    closeSignal,
    close: () => abandon(request, outcome),
  });
  resize!.receive(discard);
  if (!request.stdin) stdin!.receive(discard);
  // The real server's way to say that the connection stands.
  const lowest = request.stdout ? stdout! : request.stderr ? stderr! : error!;
  lowest.write(Buffer.alloc(0));
  const channels: ExecChannels = {
    stdin: request.stdin ? stdin : undefined,
    stdout: request.stdout ? stdout : undefined,
    stderr: request.stderr ? stderr : undefined,
    error: error!,
    translated: true,
  };
  void runExec(request, outcome, channels).then(() => connection.end());
}

/** The client is gone: as on a real node the process goes on, its input is at its end, and what it prints isn't read any more. */
function abandon({ command }: ExecRequest, outcome: ExecOutcome): void {
  if (!("process" in outcome)) return;
  const { process } = outcome;
  // Nothing runs for who is attached.
  if (command.length === 0) process.kill();
  else {
    process.stdin.on("error", () => {});
    process.stdin.end();
    process.stdout.pause();
    process.stderr.pause();
  }
}

async function runExec(request: ExecRequest, outcome: ExecOutcome, channels: ExecChannels): Promise<void> {
  channels.error.receive(discard);
  channels.stdout?.receive(discard);
  channels.stderr?.receive(discard);
  if ("error" in outcome) {
    channels.stdin?.receive(discard);
    finish(channels, failed(channels, (outcome.error as Error).message));
    return;
  }
  const { process } = outcome;
  process.stdin.on("error", () => {});
  if (channels.stdin) feed(channels.stdin, process.stdin);
  else process.stdin.end();
  const outputs = [
    channels.stdout ? pump(process.stdout, channels.stdout) : void process.stdout.resume(),
    channels.stderr ? pump(process.stderr, channels.stderr) : void process.stderr.resume(),
  ];
  try {
    const code = await process.exited;
    await Promise.all(outputs);
    finish(channels, code === 0 ? { metadata: {}, status: "Success" } : exitStatus(request.command, code));
  } catch (error) {
    finish(channels, failed(channels, (error as Error).message));
  }
}

const failed = ({ translated }: ExecChannels, message: string): object =>
  internalError(`${translated ? "Internal error occurred: " : ""}error executing command in container: ${message}`);

function finish(channels: ExecChannels, status: object): void {
  channels.error.write(Buffer.from(JSON.stringify(status)));
  for (const channel of [channels.error, channels.stdin, channels.stdout, channels.stderr]) channel?.end();
}

function exitStatus(command: readonly string[], code: number): object {
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: error executing command [${command.join(" ")}], exit code ${code}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(code) }] },
  };
}

function internalError(message: string): object {
  return {
    metadata: {},
    status: "Failure",
    message: `Internal error occurred: ${message}`,
    reason: "InternalError",
    details: { causes: [{ message }] },
    code: 500,
  };
}
