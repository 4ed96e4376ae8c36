import { abortError, hasCode, type PodRef } from "@shipside/core";
import type { ExecResult } from "./cluster.ts";
import { kubeError } from "./errors.ts";
import { PODS } from "./objects.ts";
import { resourcePath } from "./paths.ts";
import type { Upgraded } from "./portforward/carrier.ts";
import { createRelief } from "./portforward/relief.ts";
import { webSocketHandshake } from "./portforward/websocket.ts";
import { createWebSocketPipe } from "./portforward/websocket-pipe.ts";
import type { Status } from "./status-error.ts";
import type { PodUpgrade } from "./upgrade.ts";

export interface ExecOptions {
  container?: string;
  /** See `Cluster.exec`. */
  stdin?: Uint8Array | "open";
  onStdout?(chunk: Buffer): void | Promise<void>;
  signal: AbortSignal;
}

/** First byte of a message (KEP-4006; `k8s.io/apimachinery/pkg/util/remotecommand`). */
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const OUTCOME = 3;
/** `v5` only: the next byte names the channel that ends. */
const END_OF = 255;
const V5 = "v5.channel.k8s.io";
const V4 = "v4.channel.k8s.io";
const STDIN_CHUNK = 32 << 10;
const STDIN_BACKLOG = 256 << 10;

/**
 * Runs a command in a container over WebSocket. Rejects with `KUBE_EXEC_FAILED` where it could not be run or its end was not told, and
 * with the codes of a request. Aborting lets go of the command; Kubernetes has no way to end it.
 */
export async function runExec(
  upgrade: PodUpgrade,
  pod: PodRef,
  command: readonly string[],
  options: ExecOptions,
): Promise<ExecResult> {
  const { container, stdin, signal } = options;
  if (command.length === 0) throw kubeError("KUBE_OPTION_INVALID", `exec in pod ${pod.namespace}/${pod.name}: no command`);
  const what = `exec of ${command[0]} in pod ${pod.namespace}/${pod.name}`;
  const query = new URLSearchParams(command.map((word): [string, string] => ["command", word]));
  if (container !== undefined) query.set("container", container);
  query.set("stdin", String(stdin !== undefined));
  query.set("stdout", "true");
  query.set("stderr", "true");
  const handshake = webSocketHandshake(V5);
  const headers = { ...handshake.headers, "Sec-WebSocket-Protocol": `${V5}, ${V4}` };
  const path = `${resourcePath(PODS, { ...pod, subresource: "exec" })}?${query}`;
  const upgraded = await upgrade({ method: "GET", path, headers, signal });
  try {
    const chosen = upgraded.headers["sec-websocket-protocol"];
    if (stdin instanceof Uint8Array && chosen === V4) {
      throw kubeError("KUBE_EXEC_FAILED", `${what}: this API server can't pass on the end of the input`, {
        hint: "input to a command needs Kubernetes 1.30 or newer",
      });
    }
    handshake.check(chosen === V4 ? { ...upgraded.headers, "sec-websocket-protocol": V5 } : upgraded.headers);
  } catch (cause) {
    upgraded.socket.destroy();
    if (hasCode(cause, "KUBE_EXEC_FAILED")) throw cause;
    throw kubeError("KUBE_PROTOCOL", `${what}: ${(cause as Error).message}`, { cause });
  }
  return converse(upgraded, what, options);
}

function converse(upgraded: Upgraded, what: string, { stdin, onStdout, signal }: ExecOptions): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const received: Record<number, Buffer[]> = { [STDOUT]: [], [STDERR]: [], [OUTCOME]: [] };
    const textOf = (channel: number): Buffer => Buffer.concat(received[channel]!);
    const relief = createRelief();
    let channel = -1;
    let sent = 0;
    let holding = 0;
    let over = false;
    const handOver = (chunk: Buffer): void => {
      if (over || chunk.length === 0) return;
      try {
        const done = onStdout!(chunk);
        if (!done) return;
        if (holding++ === 0) pipe.pause();
        done.then(() => --holding === 0 && pipe.resume(), giveUp);
      } catch (failure) {
        giveUp(failure);
      }
    };
    const pipe = createWebSocketPipe(upgraded, {
      payload(chunk, first) {
        if (first) channel = chunk[0]!;
        relief(chunk.length);
        const bytes = first ? chunk.subarray(1) : chunk;
        if (onStdout && channel === STDOUT) handOver(bytes);
        // The chunk is the pipe's own memory.
        else received[channel]?.push(Buffer.from(bytes));
      },
      flushed: () => sendInput(),
      closed(cause) {
        signal.removeEventListener("abort", onAbort);
        try {
          const exitCode = exitCodeOf(textOf(OUTCOME).toString("utf8"), what, cause);
          resolve({ stdout: textOf(STDOUT), stderr: textOf(STDERR), exitCode });
        } catch (failure) {
          reject(failure);
        }
      },
    });
    const sendInput = (): void => {
      if (!(stdin instanceof Uint8Array) || sent > stdin.length) return;
      for (; sent < stdin.length; sent += STDIN_CHUNK) {
        if (pipe.backlog > STDIN_BACKLOG) return;
        pipe.send([Buffer.from([STDIN]), Buffer.from(stdin.subarray(sent, sent + STDIN_CHUNK))]);
      }
      sent = stdin.length + 1;
      pipe.send([Buffer.from([END_OF, STDIN])]);
    };
    const giveUp = (failure: unknown): void => {
      over = true;
      reject(failure);
      pipe.destroy();
    };
    const onAbort = (): void => giveUp(abortError(signal));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    sendInput();
  });
}

/** The outcome is a `Status`: success, or a failure whose cause `ExitCode` carries the code. Anything else: it did not run. */
function exitCodeOf(text: string, what: string, cause: Error | undefined): number {
  if (text === "") {
    throw kubeError("KUBE_EXEC_FAILED", `${what}: the connection ended before the command did`, { ...(cause && { cause }) });
  }
  let status: Status & { status?: string };
  try {
    status = JSON.parse(text) as typeof status;
  } catch (parseError) {
    throw kubeError("KUBE_PROTOCOL", `${what}: the outcome is not JSON`, { cause: parseError });
  }
  if (status.status === "Success") return 0;
  const code = status.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
  if (status.reason === "NonZeroExitCode" && code !== undefined && /^\d+$/.test(code)) return Number(code);
  throw kubeError("KUBE_EXEC_FAILED", `${what}: ${status.message ?? status.reason ?? "no reason given"}`, {
    hint: "does the container run, and has it this program?",
    details: { ...(status.reason && { reason: status.reason }) },
  });
}
