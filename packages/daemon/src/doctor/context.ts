import { isAbsolute } from "node:path";
import { type Closable, createCloser } from "@shipside/core";
import { defaultHostsPath } from "@shipside/hosts";
import {
  type AccessFacts,
  type Cluster,
  connectCluster,
  probeServer,
  readAccessFacts,
  type ServerAnswer,
  type ServerVersion,
} from "@shipside/kube";
import { DEFAULT_CIDR } from "@shipside/tunnel";
import { tryConnectControl } from "../control/client.ts";
import { controlPath, runtimeDir as defaultRuntimeDir, stateDir as defaultStateDir } from "../paths.ts";

export interface DoctorOptions {
  kubeconfig?: string;
  context?: string;
  namespace?: string;
  /** Default: this user's. */
  stateDir?: string;
  runtimeDir?: string;
  /** Default: the machine's. */
  hostsPath?: string;
  env?: NodeJS.ProcessEnv;
  platform?: NodeJS.Platform;
  /** The address pool; default the tunnels' own. */
  cidr?: string;
  /** Where Linux' tables are read, `/proc` and `/etc` in it. Default `/`. */
  root?: string;
  /** How long a check may take, in ms. Default 3,000. */
  limitMs?: number;
  signal?: AbortSignal;
}

/** What checks look at. What several ask of the cluster is asked once; each rejects for all of them alike. */
export interface DoctorContext {
  readonly where: { kubeconfig?: string; context?: string; namespace?: string };
  readonly stateDir: string;
  readonly runtimeDir: string;
  readonly hostsPath: string;
  readonly env: NodeJS.ProcessEnv;
  readonly platform: NodeJS.Platform;
  readonly cidr: string;
  /** A file of the machine: `file("/proc/net/route")`. */
  file(path: string): string;
  /** What the kubeconfig says. */
  facts(): Promise<AccessFacts>;
  /** Whether the server answers at all. */
  answer(): Promise<ServerAnswer>;
  cluster(): Promise<Cluster>;
  /** Asked with the user's credentials. */
  version(): Promise<ServerVersion>;
  /** The daemon's privileged helper; undefined where it has none, or no daemon answers. */
  helper(): Promise<HelperState | undefined>;
}

export interface HelperState {
  pid: number;
  /** Not told by an older daemon. */
  version?: string;
  running: boolean;
}

export function createContext(options: DoctorOptions): DoctorContext & Closable {
  const { kubeconfig, context, namespace, root = "/", signal, env = process.env, platform = process.platform } = options;
  const where = {
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    ...(namespace !== undefined && { namespace }),
  };
  const closer = createCloser();
  const ended = new AbortController();
  closer.defer(() => ended.abort());
  const until = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
  const runtimeDir = options.runtimeDir ?? defaultRuntimeDir(env);
  const cluster = once(async () => closer.use(await connectCluster({ ...where, signal: until })));
  return {
    where,
    stateDir: options.stateDir ?? defaultStateDir(env),
    runtimeDir,
    hostsPath: options.hostsPath ?? defaultHostsPath(platform, env),
    env,
    platform,
    cidr: options.cidr ?? DEFAULT_CIDR,
    file: (path) => (isAbsolute(path) ? root.replace(/\/+$/, "") + path : path),
    facts: once(() => readAccessFacts(where, env)),
    answer: once(() => probeServer({ ...where, signal: until })),
    cluster,
    version: once(async () => (await cluster()).version({ signal: until })),
    helper: once(() => askForHelper(runtimeDir)),
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

async function askForHelper(runtimeDir: string): Promise<HelperState | undefined> {
  const client = await tryConnectControl({ path: controlPath(runtimeDir) }).catch(() => undefined);
  const helper = (await client?.call("helper").catch(() => undefined)) as HelperState | null | undefined;
  await client?.close();
  return helper ?? undefined;
}

/** A run of `doctor` is one look at the world: what was seen once isn't asked again, a refusal neither. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => {
    asked ??= ask();
    asked.catch(() => {});
    return asked;
  };
}

/** Undefined where the cluster can't be asked, for whatever reason: the checks of kubeconfig, server and credentials tell it. */
export async function reachedCluster(context: DoctorContext): Promise<Cluster | undefined> {
  try {
    // A stranger who answers in its place is sent no credentials.
    if ((await context.answer()).foreign) return undefined;
    await context.version().catch((error: { code?: string }) => {
      // Whoever may not ask for the version was answered all the same.
      if (error.code !== "KUBE_FORBIDDEN") throw error;
    });
    return await context.cluster();
  } catch {
    return undefined;
  }
}
