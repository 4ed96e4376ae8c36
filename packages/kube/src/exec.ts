import { abortError, type PodRef } from "@shipside/core";
import type { ExecResult } from "./cluster.ts";
import { kubeError } from "./errors.ts";
import { PODS } from "./objects.ts";
import { resourcePath } from "./paths.ts";
import type { Status } from "./status-error.ts";
import type { PodUpgrade } from "./upgrade.ts";
import { openWebSocket, type WebSocketClient, webSocketHandshake } from "./websocket.ts";

export interface ExecOptions {
  container?: string;
  stdin?: Uint8Array;
  signal?: AbortSignal;
}

/** First byte of a message (KEP-4006; `k8s.io/apimachinery/pkg/util/remotecommand`). */
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const OUTCOME = 3;
/** `v5` only: the next byte names the channel that ends. */
const END_OF = 255;
const V5 = "v5.channel.k8s.io";
const STDIN_CHUNK = 32 << 10;

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
  const { container, stdin, signal = new AbortController().signal } = options;
  if (command.length === 0) throw kubeError("KUBE_OPTION_INVALID", `exec in pod ${pod.namespace}/${pod.name}: no command`);
  const what = `exec of ${command[0]} in pod ${pod.namespace}/${pod.name}`;
  const query = new URLSearchParams(command.map((word): [string, string] => ["command", word]));
  if (container !== undefined) query.set("container", container);
  query.set("stdin", String(stdin !== undefined));
  query.set("stdout", "true");
  query.set("stderr", "true");
  const handshake = webSocketHandshake([V5, "v4.channel.k8s.io"]);
  const path = `${resourcePath(PODS, { ...pod, subresource: "exec" })}?${query}`;
  const upgraded = await upgrade({ method: "GET", path, headers: handshake.headers, signal });
  const { socket, head } = upgraded;
  let protocol: string;
  try {
    protocol = handshake.check(upgraded.headers);
    if (stdin !== undefined && protocol !== V5) {
      throw kubeError("KUBE_EXEC_FAILED", `${what}: this API server can't pass on the end of the input`, {
        hint: "input to a command needs Kubernetes 1.30 or newer",
      });
    }
  } catch (error) {
    socket.destroy();
    throw error;
  }

  return new Promise((resolve, reject) => {
    const out: Record<number, Buffer[]> = { [STDOUT]: [], [STDERR]: [] };
    const outcome: Buffer[] = [];
    const onAbort = (): void => {
      reject(abortError(signal));
      socket.destroy();
    };
    const client: WebSocketClient = openWebSocket(socket, head, protocol, {
      message(message) {
        const channel = message[0];
        const payload = message.subarray(1);
        if (channel === OUTCOME) outcome.push(payload);
        else if (channel !== undefined) out[channel]?.push(payload);
      },
      closed(error) {
        signal.removeEventListener("abort", onAbort);
        try {
          const exitCode = exitCodeOf(Buffer.concat(outcome).toString("utf8"), what, error);
          resolve({ stdout: Buffer.concat(out[STDOUT]!), stderr: Buffer.concat(out[STDERR]!), exitCode });
        } catch (failure) {
          reject(failure);
        }
      },
    });
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    // A failed write shows as the connection's end; a command that ends without reading its input is no failure.
    if (stdin !== undefined) sendInput(client, stdin).catch(() => {});
  });
}

async function sendInput(client: WebSocketClient, stdin: Uint8Array): Promise<void> {
  for (let at = 0; at < stdin.length; at += STDIN_CHUNK) {
    await client.send(Buffer.concat([Buffer.from([STDIN]), stdin.subarray(at, at + STDIN_CHUNK)]));
  }
  await client.send(Buffer.from([END_OF, STDIN]));
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
