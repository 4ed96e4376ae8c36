import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Closable, createCloser, type Logger, silentLogger } from "@shipside/core";
import type { Store } from "../store.ts";
import type { BackoffOptions } from "./backoff.ts";
import { nodeError } from "./errors.ts";
import { BUILT_IN_IMAGES, type ImageRuntime } from "./images.ts";
import { startMember } from "./member.ts";
import type { NetworkMode } from "./network/network.ts";
import { openNetwork } from "./network/open.ts";
import type { ApiServerFacts, NodeContext } from "./node-context.ts";
import { nodeCapacity } from "./node-object.ts";
import { type Pods, signalPod } from "./pods.ts";
import type { NodeRuntime } from "./runtime.ts";
import { createRuntime } from "./runtime-calls.ts";
import { startScheduler } from "./scheduler.ts";
import { startClaims } from "./volumes/claims.ts";

export interface NodeOptions {
  store: Store;
  /** The same store as each of the components uses it that a node brings along. Default: the store. */
  storeOf?(component: "kubelet" | "kube-scheduler" | "kube-controller-manager"): Store;
  /** Default `shipside`. */
  name?: string;
  /** Nodes besides, by name: Node objects of their own, whose pods live on this machine and in the same network. */
  others?: readonly string[];
  /** Kept when the node closes. Default: a new temporary directory, removed with the node, also when this process is killed. */
  stateDir?: string;
  /** What pods need to talk to the API server, and tokens for projected volumes. */
  apiServer?: ApiServerFacts;
  /** Default `auto`: namespaces where this process may make them, else loopback. */
  network?: NetworkMode | "auto";
  /** Whether it also gives pods to itself. Default true; false where something else schedules. */
  scheduler?: boolean;
  /** Images that this node runs besides node, shells and pause, by repository name ("nginx", "ghcr.io/me/app"). */
  images?: Readonly<Record<string, ImageRuntime>>;
  /** Waits before a container that ended is started again. Default 10 s to 5 min, the kubelet's own. */
  restartBackoff?: BackoffOptions;
  /** Waits between tries to pull an image. Default 10 s to 5 min. */
  pullBackoff?: BackoffOptions;
  /** Between two tries to mount a volume or make an env whose parts are missing, in milliseconds. Default 2,000. */
  retryMs?: number;
  /** A log's file is begun anew at this size, and one older is kept. Default 1 MiB. */
  maxLogBytes?: number;
  logger?: Logger;
}

export interface Node extends NodeRuntime, Closable {
  readonly name: string;
  readonly network: NetworkMode;
  /** Why it isn't `namespaces`, where `auto` fell back. */
  readonly networkReason: string | undefined;
  readonly stateDir: string;
  /** SIGKILL to all processes of all its containers: they end with 137 and are restarted as their policy says. */
  killPod(namespace: string, pod: string): Promise<void>;
  /** SIGSTOP to all processes: connections are accepted, nothing answers. */
  hangPod(namespace: string, pod: string): Promise<void>;
  /** SIGCONT. */
  resumePod(namespace: string, pod: string): Promise<void>;
  /** One of the nodes falls silent, with all its pods, until what it resolves to is called. Throws `NODE_OPTIONS_INVALID`. */
  lose(name: string): Promise<() => Promise<void>>;
}

const DEFAULT_NAME = "shipside";
const KUBELET_BACKOFF: BackoffOptions = { baseMs: 10_000, maxMs: 300_000 };

/**
 * A scheduler and kubelet over the store: registers a Node, takes pods that have none, and runs their containers as local processes.
 * Throws `NODE_OPTIONS_INVALID`; `NODE_NETWORK_UNAVAILABLE` where `network: "namespaces"` can't be had.
 */
export async function startNode(options: NodeOptions): Promise<Node> {
  const { storeOf = () => options.store, name = DEFAULT_NAME, network: wanted = "auto", logger = silentLogger } = options;
  validate(options);
  const store = storeOf("kubelet");
  const closer = createCloser();
  try {
    const temporary = options.stateDir === undefined;
    const stateDir = temporary ? mkdtempSync(join(realpathSync(tmpdir()), "shipside-node-")) : resolve(options.stateDir!);
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    if (temporary) closer.defer(() => rmSync(stateDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 }));
    const opened = await openNetwork({ wanted, store, directory: stateDir, temporary, apiServer: options.apiServer, logger });
    const network = closer.use(opened.network);
    const context: Omit<NodeContext, "name" | "record"> = {
      store,
      network,
      directory: stateDir,
      apiServer: options.apiServer,
      images: { ...BUILT_IN_IMAGES, ...options.images },
      restartBackoff: options.restartBackoff ?? KUBELET_BACKOFF,
      pullBackoff: options.pullBackoff ?? KUBELET_BACKOFF,
      retryMs: options.retryMs ?? 2_000,
      maxLogBytes: options.maxLogBytes ?? 1024 * 1024,
      allocatable: nodeCapacity(),
      logger,
    };
    const claims = startClaims({ store: storeOf("kube-controller-manager"), directory: join(stateDir, "volumes"), nodeName: name });
    closer.defer(() => claims.close());
    const members = [name, ...(options.others ?? [])].map((each) => {
      const member = startMember(context, each);
      closer.defer(() => member.pods.close());
      return member;
    });
    if (options.scheduler !== false) {
      const nodeNames = members.map((member) => member.name);
      const scheduler = startScheduler({ store: options.store, tracked: storeOf("kube-scheduler"), nodeNames, claims });
      closer.defer(() => scheduler.close());
    }
    const find: Pods["find"] = (namespace, pod) => {
      const bound = options.store.get("pods", namespace, pod)?.["spec"].nodeName;
      return (members.find((member) => member.name === bound) ?? members[0]!).pods.find(namespace, pod);
    };
    const signal = (namespace: string, pod: string, sent: NodeJS.Signals): Promise<void> => signalPod(find(namespace, pod), sent);
    return {
      name,
      network: network.mode,
      networkReason: opened.reason,
      stateDir,
      ...createRuntime(find),
      killPod: (namespace, pod) => signal(namespace, pod, "SIGKILL"),
      hangPod: (namespace, pod) => signal(namespace, pod, "SIGSTOP"),
      resumePod: (namespace, pod) => signal(namespace, pod, "SIGCONT"),
      async lose(lost) {
        const member = members.find((each) => each.name === lost);
        if (member) return member.lose();
        const hint = `the nodes are ${members.map((each) => each.name).join(", ")}`;
        throw nodeError("NODE_OPTIONS_INVALID", `no node ${JSON.stringify(lost)} can be lost`, { hint });
      },
      close: () => closer.close(),
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close().catch(() => {});
    throw error;
  }
}

function validate({
  store,
  name,
  others = [],
  network,
  stateDir,
  restartBackoff,
  pullBackoff,
  retryMs,
  maxLogBytes,
}: NodeOptions): void {
  const invalid = (what: string, hint: string): Error => nodeError("NODE_OPTIONS_INVALID", `startNode: ${what}`, { hint });
  if (typeof store?.subscribe !== "function") throw invalid("`store` is missing", "pass the store of createStore()");
  for (const each of [...(name === undefined ? [] : [name]), ...others]) {
    if (/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(each)) continue;
    throw invalid(`the name ${JSON.stringify(each)} is not a DNS name`, "use lower-case letters, digits, '-' and '.'");
  }
  if (new Set([name ?? DEFAULT_NAME, ...others]).size <= others.length)
    throw invalid("two nodes have one name", "give each a name of its own");
  if (network === "fake" && others.length > 0) throw invalid("`others` are real nodes", "leave out `network: fake`");
  if (network !== undefined && !["auto", "namespaces", "loopback", "fake"].includes(network)) {
    throw invalid(`\`network\` ${JSON.stringify(network)} is unknown`, "one of auto, namespaces, loopback, fake");
  }
  if (stateDir === "") throw invalid("`stateDir` is empty", "leave it out for a temporary directory");
  for (const [key, value] of Object.entries({ restartBackoff, pullBackoff })) {
    if (value && !(value.baseMs > 0 && value.maxMs >= value.baseMs)) throw invalid(`\`${key}\``, "0 < baseMs <= maxMs");
  }
  for (const [key, value] of Object.entries({ retryMs, maxLogBytes })) {
    if (value !== undefined && !(value > 0)) throw invalid(`\`${key}\` must be greater than 0`, "give a positive number");
  }
}
