import { type ChildProcess, spawn } from "node:child_process";
import { abortError } from "@shipside/core";
import { kubeError } from "./errors.ts";
import type { ExecConfig, RawCluster } from "./kubeconfig.ts";

/** `status` of an ExecCredential (client.authentication.k8s.io/v1). */
export interface ExecCredential {
  token?: string;
  /** PEM */
  clientCertificateData?: string;
  clientKeyData?: string;
  /** RFC 3339; absent: as long as the process lives, or until the server says 401. */
  expirationTimestamp?: string;
}

export interface ExecRequest {
  exec: ExecConfig;
  cluster: RawCluster;
  /** PEM of the cluster's CA, for `provideClusterInfo`. */
  caData?: string | undefined;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

const API_GROUP = "client.authentication.k8s.io";
const VERSIONS = [`${API_GROUP}/v1`, `${API_GROUP}/v1beta1`];
const STDERR_TAIL = 2048;
const STDOUT_LIMIT = 1 << 20;
/** How long output may still come after the plugin itself has ended: an agent that it started may hold the pipe for ever. */
const DRAIN_MS = 1_000;

/**
 * Runs a client-go credential plugin (KEP-541; https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins).
 * Errors: `KUBE_AUTH_PLUGIN_FAILED`, `KUBE_AUTH_PLUGIN_TIMEOUT`. What the plugin prints is a secret, so only the tail of its standard
 * error gets into an error, and nothing into a log.
 */
export async function runExecPlugin(request: ExecRequest): Promise<ExecCredential> {
  const { exec } = request;
  if (typeof exec.command !== "string" || exec.command === "") throw failed(exec, "the kubeconfig names no command");
  const apiVersion = exec.apiVersion ?? VERSIONS[0]!;
  if (!VERSIONS.includes(apiVersion)) {
    throw failed(
      exec,
      `it speaks ${apiVersion}; ${VERSIONS.join(" or ")} is wanted`,
      "update the plugin and let it write the kubeconfig anew",
    );
  }
  const mode = exec.interactiveMode ?? "IfAvailable";
  const interactive = mode !== "Never" && process.stdin.isTTY === true;
  if (mode === "Always" && !interactive) {
    throw failed(exec, "it needs a terminal (interactiveMode: Always) and there is none", "log in from a terminal first");
  }
  return parseCredential(exec, apiVersion, await run(request, interactive, execInfo(request, apiVersion, interactive)));
}

function execInfo({ exec, cluster, caData }: ExecRequest, apiVersion: string, interactive: boolean): string {
  const config = cluster.extensions?.find(({ name }) => name === `${API_GROUP}/exec`)?.extension;
  const clusterInfo = {
    server: cluster.server,
    ...(cluster["tls-server-name"] && { "tls-server-name": cluster["tls-server-name"] }),
    ...(cluster["insecure-skip-tls-verify"] && { "insecure-skip-tls-verify": true }),
    ...(caData && { "certificate-authority-data": Buffer.from(caData).toString("base64") }),
    ...(cluster["proxy-url"] && { "proxy-url": cluster["proxy-url"] }),
    ...(config !== undefined && { config }),
  };
  return JSON.stringify({
    apiVersion,
    kind: "ExecCredential",
    spec: { interactive, ...(exec.provideClusterInfo && { cluster: clusterInfo }) },
  });
}

function run({ exec, timeoutMs, signal }: ExecRequest, interactive: boolean, info: string): Promise<string> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortError(signal));
    const env: NodeJS.ProcessEnv = { ...process.env };
    for (const { name, value } of exec.env ?? []) env[name] = value;
    env["KUBERNETES_EXEC_INFO"] = info;
    let child: ChildProcess;
    try {
      child = spawn(exec.command, exec.args ?? [], {
        env,
        stdio: [interactive ? "inherit" : "ignore", "pipe", "pipe"],
        // Its own group, so that a time-out takes its children too; not where it needs our terminal.
        detached: !interactive && process.platform !== "win32",
        windowsHide: true,
      });
    } catch (cause) {
      return reject(failed(exec, (cause as Error).message, undefined, cause));
    }
    let stdout = "";
    let stderr = "";
    let ended = false;

    const finish = (outcome: () => void): void => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      clearTimeout(drain);
      signal?.removeEventListener("abort", onAbort);
      child.stdout?.destroy();
      child.stderr?.destroy();
      outcome();
    };
    const timer = setTimeout(() => {
      killTree(child, interactive);
      finish(() =>
        reject(
          kubeError(
            "KUBE_AUTH_PLUGIN_TIMEOUT",
            `credential plugin ${exec.command} did not end within ${timeoutMs / 1000} s; it was killed`,
            {
              hint: "run kubectl once to log in, or give it more time (authPluginTimeoutMs)",
              details: { command: exec.command, timeoutMs, ...(stderr !== "" && { stderr }) },
            },
          ),
        ),
      );
    }, timeoutMs);
    const onAbort = (): void => {
      killTree(child, interactive);
      finish(() => reject(abortError(signal!)));
    };
    signal?.addEventListener("abort", onAbort, { once: true });

    const conclude = (code: number | null, killedBy: NodeJS.Signals | null): void =>
      finish(() => {
        if (code === 0) return resolve(stdout);
        const how = killedBy ? `was killed by ${killedBy}` : `ended with exit code ${code}`;
        const tail = stderr.trim();
        reject(failed(exec, `${how}${tail === "" ? "" : `: ${tail}`}`, undefined, undefined, { exitCode: code, stderr: tail }));
      });
    let drain: NodeJS.Timeout | undefined;
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      if (stdout.length < STDOUT_LIMIT) stdout += text;
    });
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      if (interactive) process.stderr.write(text);
      stderr = (stderr + text).slice(-STDERR_TAIL);
    });
    child.stdout!.on("error", () => {});
    child.stderr!.on("error", () => {});
    child.on("error", (cause: NodeJS.ErrnoException) =>
      finish(() =>
        reject(failed(exec, cause.code === "ENOENT" ? "it is not installed or not in PATH" : cause.message, undefined, cause)),
      ),
    );
    child.on("exit", (code, killedBy) => {
      drain = setTimeout(() => conclude(code, killedBy), DRAIN_MS);
    });
    child.on("close", conclude);
  });
}

function killTree(child: ChildProcess, interactive: boolean): void {
  if (child.pid === undefined) return;
  if (process.platform === "win32") {
    spawn("taskkill", ["/pid", String(child.pid), "/T", "/F"], { stdio: "ignore", windowsHide: true }).on("error", () => {});
  } else if (interactive) {
    child.kill("SIGKILL");
  } else {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // The group is gone already.
    }
  }
}

function parseCredential(exec: ExecConfig, apiVersion: string, output: string): ExecCredential {
  let answer: { apiVersion?: unknown; kind?: unknown; status?: ExecCredential | null };
  try {
    answer = JSON.parse(output) as typeof answer;
  } catch {
    throw failed(exec, `printed no ExecCredential (${output.length} characters that are not JSON)`);
  }
  if (answer?.kind !== "ExecCredential") throw failed(exec, "printed no object of kind ExecCredential");
  if (answer.apiVersion !== apiVersion) {
    throw failed(exec, `answered in ${String(answer.apiVersion)} where the kubeconfig says ${apiVersion}`);
  }
  const { token, clientCertificateData, clientKeyData } = answer.status ?? {};
  if (!token && !(clientCertificateData && clientKeyData)) {
    throw failed(exec, "gave neither a token nor a client certificate with its key");
  }
  return answer.status!;
}

function failed(exec: ExecConfig, why: string, hint?: string, cause?: unknown, details?: Record<string, unknown>): Error {
  return kubeError("KUBE_AUTH_PLUGIN_FAILED", `credential plugin ${exec.command ?? "(none)"}: ${why}`, {
    hint: hint ?? exec.installHint ?? "run the same command with kubectl to see what it wants, e.g. kubectl get namespaces",
    ...(cause !== undefined && { cause }),
    details: { command: exec.command, ...details },
  });
}
