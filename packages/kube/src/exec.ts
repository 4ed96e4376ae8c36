import { abortError, hasCode, type PodRef } from "@shipside/core";
import type { ExecResult } from "./cluster.ts";
import { kubeError } from "./errors.ts";
import { type ExecRequest, type OpenExec, OUTCOME, STDERR, STDOUT } from "./exec-channels.ts";
import { execOverSpdy } from "./exec-spdy.ts";
import { execOverWebSocket } from "./exec-websocket.ts";
import { PODS } from "./objects.ts";
import { resourcePath } from "./paths.ts";
import { tellsOfNoPod } from "./portforward/failure.ts";
import { createRelief } from "./portforward/relief.ts";
import { mayBeTheCarrier } from "./portforward/selection.ts";
import type { Status } from "./status-error.ts";
import type { PodUpgrade } from "./upgrade.ts";

export interface ExecOptions {
  container?: string;
  /** See `Cluster.exec`. */
  stdin?: Uint8Array | "open";
  bulk?: boolean;
  onStdout?(chunk: Buffer): void | Promise<void>;
  signal: AbortSignal;
}

const HINT = "does the container run, and has it this program?";
const STDIN_CHUNK = 32 << 10;
const STDIN_BACKLOG = 256 << 10;

/**
 * Runs commands in containers, over WebSocket, or what is much over SPDY. Rejects with `KUBE_EXEC_FAILED` where a command could not be run or its end
 * was not told, and with the codes of a request. Aborting lets go of the command; Kubernetes has no way to end it.
 */
export function createExec(
  upgrade: PodUpgrade,
): (pod: PodRef, command: readonly string[], options: ExecOptions) => Promise<ExecResult> {
  /** Where a command runs over WebSocket that didn't over SPDY, the way there doesn't let SPDY pass. */
  let isSpdyRefused = false;

  return async (pod, command, options) => {
    const { container, stdin, bulk, signal } = options;
    if (command.length === 0) throw kubeError("KUBE_OPTION_INVALID", `exec in pod ${pod.namespace}/${pod.name}: no command`);
    const what = `exec of ${command[0]} in pod ${pod.namespace}/${pod.name}`;
    const query = new URLSearchParams(command.map((word): [string, string] => ["command", word]));
    if (container !== undefined) query.set("container", container);
    query.set("stdin", String(stdin !== undefined));
    query.set("stdout", "true");
    query.set("stderr", "true");
    const path = `${resourcePath(PODS, { ...pod, subresource: "exec" })}?${query}`;
    const request: ExecRequest = { what, path, stdin, signal };
    const wasTried = bulk === true && !isSpdyRefused;
    const spdy = wasTried ? await ifAccepted(execOverSpdy(upgrade, request), signal).catch(notRun(what)) : undefined;
    const conversation = spdy && (await converse(spdy, options));
    if (conversation?.answered) return resultOf(conversation, what);
    const webSocket = await execOverWebSocket(upgrade, request).catch(notRun(what));
    const result = resultOf(await converse(webSocket, options), what);
    if (wasTried) isSpdyRefused = true;
    return result;
  };
}

async function ifAccepted(opening: Promise<OpenExec>, signal: AbortSignal): Promise<OpenExec | undefined> {
  try {
    return await opening;
  } catch (error) {
    if (signal.aborted || !mayBeTheCarrier(error, false)) throw error;
    return undefined;
  }
}

/** Where nothing runs in a container the kubelet refuses the upgrade, by a 500 that the API server passes on. */
function notRun(what: string): (cause: unknown) => never {
  return (cause) => {
    if (!hasCode(cause, "KUBE_SERVER_ERROR") || !tellsOfNoPod((cause as Error).message)) throw cause;
    throw kubeError("KUBE_EXEC_FAILED", `${what}: no such container runs`, { cause, hint: HINT });
  };
}

/** All that was said. */
interface Conversation {
  /** Where nobody answered, no command was begun, as far as is known. */
  answered: boolean;
  received: Record<number, Buffer[]>;
  /** Why it ended, where not in good order. */
  cause: Error | undefined;
}

function converse(open: OpenExec, { stdin, onStdout, signal }: ExecOptions): Promise<Conversation> {
  return new Promise((resolve, reject) => {
    const received: Record<number, Buffer[]> = { [STDOUT]: [], [STDERR]: [], [OUTCOME]: [] };
    const relief = createRelief();
    let answered = false;
    let sent = 0;
    let holding = 0;
    let over = false;
    const handOver = (chunk: Buffer): void => {
      if (over || chunk.length === 0) return;
      try {
        const done = onStdout!(chunk);
        if (!done) return;
        if (holding++ === 0) channels.pause();
        done.then(() => --holding === 0 && channels.resume(), giveUp);
      } catch (failure) {
        giveUp(failure);
      }
    };
    const channels = open({
      answered() {
        answered = true;
      },
      output(channel, bytes) {
        relief(bytes.length);
        if (onStdout && channel === STDOUT) handOver(bytes);
        // The bytes are the connection's own memory.
        else received[channel]?.push(Buffer.from(bytes));
      },
      flushed: () => sendInput(),
      closed(cause) {
        signal.removeEventListener("abort", onAbort);
        resolve({ answered, received, cause });
      },
    });
    const sendInput = (): void => {
      if (!(stdin instanceof Uint8Array) || sent > stdin.length) return;
      for (; sent < stdin.length; sent += STDIN_CHUNK) {
        if (channels.backlog > STDIN_BACKLOG) return;
        channels.input(stdin.subarray(sent, sent + STDIN_CHUNK));
      }
      sent = stdin.length + 1;
      channels.endInput();
    };
    const giveUp = (failure: unknown): void => {
      over = true;
      reject(failure);
      channels.destroy();
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

function resultOf({ received, cause }: Conversation, what: string): ExecResult {
  const textOf = (channel: number): Buffer => Buffer.concat(received[channel]!);
  const exitCode = exitCodeOf(textOf(OUTCOME).toString("utf8"), what, cause);
  return { stdout: textOf(STDOUT), stderr: textOf(STDERR), exitCode };
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
    hint: HINT,
    details: { ...(status.reason && { reason: status.reason }) },
  });
}
