import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { pause } from "./pause.ts";
import type { ExecProcess } from "./runtime.ts";

/** What a probe may do: both from the pod's own network. */
export interface ProbeReach {
  dial(host: string, port: number): Promise<Socket>;
  exec(command: readonly string[]): Promise<ExecProcess>;
  podIP: string;
  /** The number of a port given by name. */
  port(nameOrNumber: string | number): number | undefined;
}

export type ProbeResult = { ok: true } | { ok: false; message: string };

// biome-ignore lint/suspicious/noExplicitAny: a Probe of a container's spec
type Probe = any;

/** Runs a probe once. Never rejects: a probe that can't be carried out has failed. */
export async function probeOnce(probe: Probe, reach: ProbeReach): Promise<ProbeResult> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  try {
    if (probe.exec) return await execProbe(probe.exec.command, reach, controller.signal);
    const action = probe.httpGet ?? probe.tcpSocket ?? probe.grpc;
    if (!action) return { ok: true };
    const port = reach.port(action.port);
    if (port === undefined) return { ok: false, message: `couldn't find port: ${action.port}` };
    const host = action.host || reach.podIP;
    const socket = await reach.dial(host, port).catch((error: Error) => `dial tcp ${host}:${port}: ${reason(error)}`);
    if (typeof socket === "string") {
      const url = `${(probe.httpGet?.scheme ?? "http").toLowerCase()}://${host}:${port}${probe.httpGet?.path ?? "/"}`;
      return { ok: false, message: probe.httpGet ? `Get "${url}": ${socket}` : socket };
    }
    if (probe.httpGet) return await httpProbe(probe.httpGet, socket, host, port, controller.signal);
    socket.destroy();
    return { ok: true };
  } catch (error) {
    return { ok: false, message: (error as Error).message };
  } finally {
    clearTimeout(timer);
  }
}

async function execProbe(command: readonly string[], reach: ProbeReach, signal: AbortSignal): Promise<ProbeResult> {
  const process = await reach.exec(command);
  const output: Buffer[] = [];
  process.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  process.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  signal.addEventListener("abort", () => process.kill(), { once: true });
  const code = await process.exited;
  if (signal.aborted) return { ok: false, message: `command timed out: ${JSON.stringify(command.join(" "))} timed out` };
  return code === 0 ? { ok: true } : { ok: false, message: Buffer.concat(output).toString("utf8").slice(0, 1024) };
}

function httpProbe(
  action: { path?: string; scheme?: string; httpHeaders?: Array<{ name: string; value: string }> },
  socket: Socket,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const secure = action.scheme === "HTTPS";
  const path = action.path ?? "/";
  const url = `${secure ? "https" : "http"}://${host}:${port}${path.startsWith("/") ? path : `/${path}`}`;
  const headers: Record<string, string> = { "user-agent": "kube-probe/1.36", accept: "*/*", connection: "close" };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  return new Promise((resolve) => {
    const done = (result: ProbeResult): void => {
      socket.destroy();
      resolve(result);
    };
    const make = secure ? httpsRequest : httpRequest;
    const request = make(url, {
      createConnection: () => socket,
      headers,
      signal,
      ...(secure && { rejectUnauthorized: false, socket }),
    });
    request.once("response", (response) => {
      response.on("error", () => {}).resume();
      const { statusCode = 0 } = response;
      done(
        statusCode >= 200 && statusCode < 400
          ? { ok: true }
          : { ok: false, message: `HTTP probe failed with statuscode: ${statusCode}` },
      );
    });
    request.on("error", (error) =>
      done({
        ok: false,
        message: `Get "${url}": ${signal.aborted ? "context deadline exceeded (Client.Timeout exceeded while awaiting headers)" : error.message}`,
      }),
    );
    request.end();
  });
}

function reason(error: NodeJS.ErrnoException): string {
  return error.code === "ECONNREFUSED" ? "connect: connection refused" : error.message;
}

export interface ProbeLoop {
  probe: Probe;
  reach: ProbeReach;
  /** The result before the first run. */
  initially: boolean;
  signal: AbortSignal;
  /** The threshold was crossed: the result now is `ok`. */
  onChange(ok: boolean): void;
  /** One run failed. */
  onFailure(message: string): void;
}

/** Runs a probe in its period until aborted; consecutive results count up to the thresholds, as the kubelet's workers do it. */
export async function runProbe({ probe, reach, initially, signal, onChange, onFailure }: ProbeLoop): Promise<void> {
  const periodMs = (probe.periodSeconds ?? 10) * 1000;
  let result = initially;
  let streak = 0;
  let lastOk: boolean | undefined;
  if (probe.initialDelaySeconds) await pause(probe.initialDelaySeconds * 1000, signal);
  while (!signal.aborted) {
    const outcome = await probeOnce(probe, reach);
    if (signal.aborted) return;
    if (!outcome.ok) onFailure(outcome.message);
    streak = outcome.ok === lastOk ? streak + 1 : 1;
    lastOk = outcome.ok;
    const threshold = outcome.ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
    if (streak >= threshold && outcome.ok !== result) {
      result = outcome.ok;
      onChange(result);
    } else if (streak >= threshold && !outcome.ok) onChange(false);
    if (signal.aborted) return;
    // Until it first succeeds a probe is tried more often than a real one would be: programs here start in milliseconds.
    const soon = !result && !probe.initialDelaySeconds && lastOk === false && initially === false;
    await pause(soon ? Math.min(periodMs, 100) : periodMs, signal);
  }
}
