import { access, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import { loadAll } from "js-yaml";
import type { ClusterInfo } from "./cluster.ts";
import { kubeError } from "./errors.ts";
import { nearMisses } from "./near.ts";

/** What client authentication plugins are told to run (kubeconfig v1, `ExecConfig`). */
export interface ExecConfig {
  apiVersion?: string;
  command: string;
  args?: string[];
  env?: Array<{ name: string; value: string }>;
  installHint?: string;
  interactiveMode?: "Never" | "IfAvailable" | "Always";
  provideClusterInfo?: boolean;
}

/** A cluster, user and context as in the file (kubeconfig v1), paths made absolute. Open: fields that we don't read are passed on. */
export interface RawCluster {
  server: string;
  "certificate-authority"?: string;
  "certificate-authority-data"?: string;
  "insecure-skip-tls-verify"?: boolean;
  "tls-server-name"?: string;
  "proxy-url"?: string;
  extensions?: Array<{ name: string; extension: unknown }>;
}

export interface RawUser {
  token?: string;
  tokenFile?: string;
  username?: string;
  password?: string;
  "client-certificate"?: string;
  "client-certificate-data"?: string;
  "client-key"?: string;
  "client-key-data"?: string;
  as?: string;
  "as-uid"?: string;
  "as-groups"?: string[];
  "as-user-extra"?: Record<string, string[]>;
  exec?: ExecConfig;
  "auth-provider"?: { name: string; config?: Record<string, unknown> };
}

interface RawContext {
  cluster?: string;
  user?: string;
  namespace?: string;
}

interface Merged {
  sources: string[];
  currentContext: string | undefined;
  clusters: Map<string, RawCluster>;
  users: Map<string, RawUser>;
  contexts: Map<string, RawContext>;
}

/** One context with all it refers to. */
export interface ResolvedContext {
  info: ClusterInfo;
  server: URL;
  cluster: RawCluster;
  user: RawUser;
  /** The files it was read from, or "in-cluster". */
  sources: readonly string[];
}

export interface KubeconfigOptions {
  kubeconfig?: string | undefined;
  context?: string | undefined;
  namespace?: string | undefined;
}

/** A context of a kubeconfig; `cluster` and `user` are the names of its entries. */
export interface ContextSummary {
  name: string;
  cluster: string;
  user: string;
  namespace: string;
  /** The one that is used where none is named. */
  current: boolean;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The contexts of the kubeconfig, in its order. Reads files only: no plugin runs and no server is asked. */
export async function listContexts(options: Pick<KubeconfigOptions, "kubeconfig"> = {}): Promise<ContextSummary[]> {
  const merged = await loadMerged(options.kubeconfig);
  return [...merged.contexts].map(([name, context]) => ({
    name,
    cluster: context.cluster ?? "",
    user: context.user ?? "",
    namespace: context.namespace || "default",
    current: name === merged.currentContext,
  }));
}

/** Finds and merges the kubeconfig and picks a context. Errors: `KUBE_NO_CONFIG`, `KUBE_CONFIG_INVALID`, `KUBE_CONTEXT_UNKNOWN`. */
export async function resolveContext(options: KubeconfigOptions): Promise<ResolvedContext> {
  const merged = await loadMerged(options.kubeconfig);
  const where = merged.sources.join(", ");
  const names = [...merged.contexts.keys()];
  const name = options.context ?? merged.currentContext;
  if (name === undefined || name === "") {
    throw kubeError("KUBE_CONTEXT_UNKNOWN", `no context is chosen: ${where} sets no current-context`, {
      hint: `name one with --context: ${names.join(", ")}`,
      details: { contexts: names },
    });
  }
  const context = merged.contexts.get(name);
  if (!context) {
    const near = nearMisses(name, names);
    throw kubeError("KUBE_CONTEXT_UNKNOWN", `context "${name}" is not in ${where}`, {
      hint: near.length > 0 ? `did you mean ${near.join(", ")}?` : `there is: ${names.join(", ")}`,
      details: { contexts: names, near },
    });
  }
  const invalid = (why: string): Error =>
    kubeError("KUBE_CONFIG_INVALID", `context "${name}" of ${where}: ${why}`, {
      hint: "kubectl config view shows the merged file",
    });
  if (!context.cluster) throw invalid("names no cluster");
  const cluster = merged.clusters.get(context.cluster);
  if (!cluster) throw invalid(`cluster "${context.cluster}" is not defined`);
  const user = context.user ? merged.users.get(context.user) : {};
  if (!user) throw invalid(`user "${context.user}" is not defined`);
  if (typeof cluster.server !== "string" || cluster.server === "") throw invalid(`cluster "${context.cluster}" has no server`);
  const server = URL.parse(cluster.server.includes("://") ? cluster.server : `http://${cluster.server}`);
  if (!server || !/^https?:$/.test(server.protocol)) {
    throw invalid(`server ${JSON.stringify(cluster.server)} is not an http or https URL`);
  }
  return {
    info: {
      context: name,
      cluster: context.cluster,
      user: context.user ?? "",
      server: cluster.server,
      namespace: options.namespace ?? (context.namespace || "default"),
    },
    server,
    cluster,
    user,
    sources: merged.sources,
  };
}

async function loadMerged(explicit: string | undefined): Promise<Merged> {
  const fromEnv = process.env["KUBECONFIG"];
  const split = (list: string): string[] => list.split(delimiter).filter((file) => file !== "");
  const files =
    explicit !== undefined
      ? split(explicit)
      : fromEnv !== undefined && fromEnv !== ""
        ? split(fromEnv)
        : [join(homedir(), ".kube", "config")];

  const merged: Merged = { sources: [], currentContext: undefined, clusters: new Map(), users: new Map(), contexts: new Map() };
  // As kubectl: files that don't exist are passed over, and what comes first wins.
  for (const file of files.map((path) => resolve(path))) {
    const text = await readOrUndefined(file);
    if (text === undefined) continue;
    merged.sources.push(file);
    mergeInto(merged, parseFile(file, text), file);
  }
  if (merged.contexts.size > 0) return merged;
  if (explicit === undefined) {
    const inCluster = await loadInCluster();
    if (inCluster) return inCluster;
  }
  const empty = merged.sources.length > 0;
  throw kubeError(
    "KUBE_NO_CONFIG",
    empty ? `${merged.sources.join(", ")} names no context` : `no kubeconfig: ${files.join(", ")} does not exist`,
    {
      hint: "give a kubeconfig with --kubeconfig or KUBECONFIG, or let your cluster's tool write ~/.kube/config",
      details: { files },
    },
  );
}

async function readOrUndefined(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw kubeError("KUBE_CONFIG_INVALID", `could not read kubeconfig ${file}: ${(cause as Error).message}`, {
      cause,
      hint: "the file must be readable by the user who runs this",
      details: { file },
    });
  }
}

interface RawFile {
  "current-context"?: string;
  clusters: Array<{ name: string; cluster: RawCluster }>;
  users: Array<{ name: string; user: RawUser }>;
  contexts: Array<{ name: string; context: RawContext }>;
}

function parseFile(file: string, text: string): RawFile {
  const invalid = (why: string, cause?: unknown): Error =>
    kubeError("KUBE_CONFIG_INVALID", `kubeconfig ${file}: ${why}`, { ...(cause !== undefined && { cause }), details: { file } });
  let raw: unknown;
  try {
    raw = loadAll(text)[0] ?? {};
  } catch (cause) {
    // The parser's message quotes the line it stopped at, which may hold a token: only its first line is shown.
    throw invalid(`is not YAML: ${(cause as Error).message.split("\n", 1)[0]}`);
  }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) throw invalid("is not a mapping");
  const entries = <T>(list: string, field: string): T[] => {
    const value = (raw as Record<string, unknown>)[list] ?? [];
    if (!Array.isArray(value)) throw invalid(`\`${list}\` is not a list`);
    return value.map((entry: unknown, i) => {
      const { name, [field]: body } = (entry ?? {}) as Record<string, unknown>;
      if (typeof name !== "string" || name === "") throw invalid(`${list}[${i}] has no name`);
      if (body !== undefined && body !== null && typeof body !== "object") throw invalid(`${list}[${i}].${field} is not a mapping`);
      return { name, [field]: body ?? {} } as T;
    });
  };
  const current = (raw as Record<string, unknown>)["current-context"];
  return {
    ...(typeof current === "string" && current !== "" && { "current-context": current }),
    clusters: entries("clusters", "cluster"),
    users: entries("users", "user"),
    contexts: entries("contexts", "context"),
  };
}

function mergeInto(merged: Merged, file: RawFile, path: string): void {
  const root = dirname(path);
  const absolute = (value: string | undefined): string | undefined =>
    value === undefined || value === "" || isAbsolute(value) ? value : join(root, value);
  const withPaths = <T extends object>(raw: T, ...keys: Array<keyof T>): T => {
    const copy = { ...raw };
    for (const key of keys) if (typeof copy[key] === "string") copy[key] = absolute(copy[key]) as T[typeof key];
    return copy;
  };
  merged.currentContext ??= file["current-context"];
  for (const { name, cluster } of file.clusters) {
    if (!merged.clusters.has(name)) merged.clusters.set(name, withPaths(cluster, "certificate-authority"));
  }
  for (const { name, user } of file.users) {
    if (merged.users.has(name)) continue;
    const copy = withPaths(user, "client-certificate", "client-key", "tokenFile");
    // A command with a separator is a path, taken from the file's directory; a bare name is looked up in PATH.
    if (copy.exec?.command && /[\\/]/.test(copy.exec.command)) {
      copy.exec = { ...copy.exec, command: absolute(copy.exec.command)! };
    }
    const provider = copy["auth-provider"];
    if (provider?.config) {
      copy["auth-provider"] = { ...provider, config: withPaths(provider.config, "idp-certificate-authority") };
    }
    merged.users.set(name, copy);
  }
  for (const { name, context } of file.contexts) if (!merged.contexts.has(name)) merged.contexts.set(name, context);
}

/** The service account of the pod that we run in (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/). */
async function loadInCluster(): Promise<Merged | undefined> {
  const host = process.env["KUBERNETES_SERVICE_HOST"];
  const port = process.env["KUBERNETES_SERVICE_PORT"];
  const tokenFile = `${SERVICE_ACCOUNT}/token`;
  if (
    !host ||
    !port ||
    !(await access(tokenFile).then(
      () => true,
      () => false,
    ))
  )
    return undefined;
  const namespace = await readFile(`${SERVICE_ACCOUNT}/namespace`, "utf8").catch(() => "default");
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    sources: ["in-cluster"],
    currentContext: "in-cluster",
    clusters: new Map([["in-cluster", { server, "certificate-authority": `${SERVICE_ACCOUNT}/ca.crt` }]]),
    users: new Map([["in-cluster", { tokenFile }]]),
    contexts: new Map([["in-cluster", { cluster: "in-cluster", user: "in-cluster", namespace: namespace.trim() }]]),
  };
}
