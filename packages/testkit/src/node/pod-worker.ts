import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { KubeJson } from "../store.ts";
import { type ContainerTask, startContainer } from "./container-task.ts";
import type { EnvInputs } from "./env/container-env.ts";
import type { PodFacts } from "./env/downward.ts";
import { time } from "./events.ts";
import type { Sandbox } from "./network/network.ts";
import { currentPod, type NodeContext } from "./node-context.ts";
import { pause } from "./pause.ts";
import { processUser } from "./process-user.ts";
import { SYSTEM_PATH } from "./programs.ts";
import { type ContainerRecord, type PodState, podStatus } from "./status.ts";
import { createPodVolumes } from "./volumes/pod-volumes.ts";
import { TRUST_BUNDLES } from "./volumes/trust-bundles.ts";

export interface PodWorker {
  readonly pod: KubeJson;
  readonly sandbox: Sandbox | undefined;
  container(name: string): ContainerTask | undefined;
  readonly records: readonly ContainerRecord[];
  /** The pod object has changed: a deletion may have been asked for. */
  update(pod: KubeJson): void;
  /** A ConfigMap, Secret or PersistentVolumeClaim of its namespace, or a ClusterTrustBundle, has changed. */
  dependencyChanged(resource: string, name: string): void;
  /** Writes its status anew, if it isn't as it should be. */
  publish(): void;
  /** Ends it without its grace period, and leaves nothing behind. */
  kill(): Promise<void>;
}

/** How often volumes are looked at for tokens that are to be renewed. */
const VOLUME_REFRESH_MS = 60_000;

/** One pod on this node, from its first sight to its removal. */
export function startPod(first: KubeJson, context: NodeContext): PodWorker {
  const { store } = context;
  const { name, uid } = first.metadata;
  const namespace = first.metadata.namespace!;
  const directory = join(context.directory, "pods", uid);
  const spec = first["spec"];
  const records: ContainerRecord[] = [
    ...(spec.initContainers ?? []).map((c: ContainerSpec) =>
      newRecord(c, c.restartPolicy === "Always" ? "sidecar" : "init", false),
    ),
    ...spec.containers.map((c: ContainerSpec) => newRecord(c, "main", (spec.initContainers ?? []).length > 0)),
  ];
  const state: PodState = {
    startTime: time(),
    hostIP: context.network.hostIP,
    containers: records,
    sandboxed: false,
    ...processUser(context.network.mode),
  };
  const stopping = new AbortController();
  const tasks = new Map<string, ContainerTask>();
  let pod = first;
  let sandbox: Sandbox | undefined;
  let ending: Promise<void> | undefined;
  let news = Promise.withResolvers<void>();

  const facts = (): PodFacts => ({ pod, podIP: sandbox?.ip, hostIP: state.hostIP, allocatable: context.allocatable });
  const configMap = (key: string): KubeJson | undefined => store.get("configmaps", namespace, key);
  const secret = (key: string): KubeJson | undefined => store.get("secrets", namespace, key);
  const volumes = createPodVolumes({
    pod: first,
    store,
    directory: join(directory, "volumes"),
    inputs: {
      get facts() {
        return facts();
      },
      configMap,
      secret,
      trustBundles: () => store.list(TRUST_BUNDLES),
      async token(request) {
        if (!context.apiServer) throw new Error("this node has no API server to ask for a token");
        return context.apiServer.tokenFor(namespace, spec.serviceAccountName ?? "default", { ...request, pod: { name, uid } });
      },
    },
  });
  const env = (container: string): EnvInputs => ({
    facts: facts(),
    base: { PATH: SYSTEM_PATH, HOME: "/", HOSTNAME: (spec.hostname || name).slice(0, 63), ...sandbox?.env(container) },
    services: context.network.serviceEnv(namespace, spec.enableServiceLinks !== false),
    configMap,
    secret,
    volumeFile: volumes.file,
  });

  const publish = (): void => {
    const now = currentPod(context, first);
    if (!now) return;
    store.mutate("pods", namespace, name, (copy) => {
      if (copy.metadata.uid === uid) copy["status"] = { ...copy["status"], ...podStatus(copy, state, time()) };
    });
  };
  /** Several changes in a row make one status. */
  let publishing = false;
  const changed = (): void => {
    if (publishing) return;
    publishing = true;
    setImmediate(() => {
      publishing = false;
      publish();
    });
  };

  const mountVolumes = async (): Promise<boolean> => {
    while (!stopping.signal.aborted) {
      try {
        await volumes.setUp();
        return true;
      } catch (error) {
        context.record(pod, "Warning", "FailedMount", (error as Error).message);
        await pause(context.retryMs, stopping.signal, news.promise);
      }
    }
    return false;
  };

  const makeSandbox = async (): Promise<Sandbox | undefined> => {
    while (!stopping.signal.aborted) {
      try {
        return await context.network.sandbox(pod, directory);
      } catch (error) {
        context.record(pod, "Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${(error as Error).message}`);
        context.logger.warn("a pod's sandbox could not be made", { pod: `${namespace}/${name}`, error: (error as Error).message });
        await pause(context.retryMs, stopping.signal);
      }
    }
    return undefined;
  };

  const start = (containerSpec: ContainerSpec, record: ContainerRecord): ContainerTask => {
    const task = startContainer(record, {
      context,
      pod: first,
      spec: containerSpec,
      kind: record.kind,
      sandbox: sandbox!,
      volumes,
      env,
      changed,
      news: () => news.promise,
    });
    tasks.set(record.name, task);
    return task;
  };

  /** Volumes, sandbox, init containers, containers; once more where the sandbox was lost. Resolves when nothing will run again. */
  const live = async (): Promise<void> => {
    mkdirSync(directory, { recursive: true });
    // A sandbox needs no volume, and a volume may need the pod's address.
    const [made, mounted] = await Promise.all([makeSandbox(), needsAddress(spec) ? true : mountVolumes()]);
    sandbox = made;
    if (!sandbox || !mounted || (needsAddress(spec) && !(await mountVolumes()))) return;
    Object.assign(state, { podIP: sandbox.ip, sandboxed: true });
    changed();
    for (const containerSpec of spec.initContainers ?? []) {
      if (stopping.signal.aborted) return;
      const record = records.find((r) => r.name === containerSpec.name)!;
      const task = start(containerSpec, record);
      if (record.kind === "sidecar") {
        await Promise.race([task.started, task.done]);
        continue;
      }
      if ((await task.done) !== 0) return;
      record.ready = true;
    }
    if (stopping.signal.aborted) return;
    const main = spec.containers.map((c: ContainerSpec) => start(c, records.find((r) => r.name === c.name)!));
    changed();
    await Promise.all(main.map((task: ContainerTask) => task.done));
    await Promise.all(sidecars().map((task) => task.stop(30_000)));
  };

  const sidecars = (): ContainerTask[] => [...tasks.values()].filter((task) => task.record.kind === "sidecar").reverse();

  let closing: Promise<void> | undefined;
  /** Also who finds it closing already waits: the pod's directory goes after it. */
  const closeSandbox = async (): Promise<void> => {
    if (sandbox) closing = sandbox.close();
    sandbox = undefined;
    state.sandboxed = false;
    await closing;
  };

  const life = (async () => {
    for (;;) {
      await live();
      const lost = sandbox !== undefined && !sandbox.agent.alive;
      if (!lost || stopping.signal.aborted || spec.restartPolicy === "Never") break;
      context.record(pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
      await closeSandbox();
      for (const record of records) if (tasks.has(record.name)) record.restartCount++;
      tasks.clear();
    }
    // A pod that is through keeps its address in its status, and nothing else.
    if (!stopping.signal.aborted) await closeSandbox();
    changed();
  })().catch((error: Error) => {
    context.logger.error("a pod failed unexpectedly", { pod: `${namespace}/${name}`, error: error.message });
    state.failure = { reason: "UnexpectedAdmissionError", message: error.message };
    changed();
  });

  const stopAll = async (graceMs: number): Promise<void> => {
    stopping.abort();
    const main = [...tasks.values()].filter((task) => task.record.kind !== "sidecar");
    await Promise.all(main.map((task) => task.stop(graceMs)));
    await Promise.all(sidecars().map((task) => task.stop(graceMs)));
    await life;
    await closeSandbox();
  };
  const remove = (): void => {
    rmSync(directory, { recursive: true, force: true });
    volumes.remove();
  };

  const terminate = async (graceMs: number): Promise<void> => {
    await stopAll(graceMs);
    state.ended = true;
    publish();
    remove();
    const last = currentPod(context, first);
    if (!last) return;
    if (last.metadata.finalizers?.length) {
      // Others still hold it: it goes when the last of them lets go.
      store.mutate("pods", namespace, name, (copy) => {
        copy.metadata.deletionGracePeriodSeconds = 0;
      });
    } else store.remove("pods", namespace, name);
  };

  const refresh = setInterval(() => void volumes.setUp().catch(() => {}), VOLUME_REFRESH_MS);
  refresh.unref();
  const deadline = spec.activeDeadlineSeconds
    ? setTimeout(() => {
        state.failure = { reason: "DeadlineExceeded", message: "Pod was active on the node longer than the specified deadline" };
        void stopAll((spec.terminationGracePeriodSeconds ?? 30) * 1000).then(changed);
      }, spec.activeDeadlineSeconds * 1000)
    : undefined;
  const quiet = (): void => {
    clearInterval(refresh);
    clearTimeout(deadline);
  };

  publish();
  return {
    get pod() {
      return pod;
    },
    get sandbox() {
      return sandbox;
    },
    container: (container) => tasks.get(container),
    records,
    update(now) {
      const before = pod;
      pod = now;
      if (before.metadata.labels !== now.metadata.labels || before.metadata.annotations !== now.metadata.annotations) {
        if (state.sandboxed) void volumes.setUp().catch(() => {});
      }
      if (!now.metadata.deletionTimestamp) return;
      const graceMs = (now.metadata.deletionGracePeriodSeconds ?? 30) * 1000;
      if (!ending) {
        quiet();
        ending = terminate(graceMs).catch((error: Error) =>
          context.logger.error("a pod could not be ended in order", { pod: `${namespace}/${name}`, error: error.message }),
        );
      } else if (graceMs < (before.metadata.deletionGracePeriodSeconds ?? 30) * 1000) {
        for (const task of tasks.values()) void task.stop(graceMs);
      }
    },
    dependencyChanged(resource, dependency) {
      const old = news;
      news = Promise.withResolvers();
      old.resolve();
      if (state.sandboxed && !stopping.signal.aborted && volumes.concerns(resource, dependency))
        void volumes.setUp().catch(() => {});
    },
    publish: changed,
    async kill() {
      quiet();
      await stopAll(0);
      remove();
    },
  };
}

interface ContainerSpec {
  name: string;
  image?: string;
  restartPolicy?: string;
}

function newRecord({ name, image = "" }: ContainerSpec, kind: ContainerRecord["kind"], behindInit: boolean): ContainerRecord {
  const reason = behindInit || kind !== "main" ? "PodInitializing" : "ContainerCreating";
  return { name, kind, image, imageID: "", state: { waiting: { reason } }, restartCount: 0, started: false, ready: false };
}

/** Whether a volume shows the pod's address, which is known only with the sandbox. */
const needsAddress = (spec: { volumes?: unknown[] }): boolean => JSON.stringify(spec.volumes ?? []).includes("status.podIP");
