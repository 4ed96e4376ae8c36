import { parseQuantity } from "@shipside/core";
import { formatAmount, podAmounts } from "../api/admission/amounts.ts";
import type { KubeJson } from "../store.ts";

export type ContainerState =
  | { waiting: { reason: string; message?: string } }
  | { running: { startedAt: string } }
  | {
      terminated: {
        exitCode: number;
        reason: string;
        message?: string;
        startedAt: string | null;
        finishedAt: string | null;
        containerID?: string;
      };
    };

/** What the node knows of one container. */
export interface ContainerRecord {
  readonly name: string;
  readonly kind: "init" | "sidecar" | "main";
  image: string;
  imageID: string;
  containerID?: string;
  state: ContainerState;
  lastState?: ContainerState;
  restartCount: number;
  /** Passed its startup probe, or runs and has none. */
  started: boolean;
  /** Runs, and passed its readiness probe or has none. */
  ready: boolean;
}

export interface PodState {
  startTime: string;
  hostIP: string;
  podIP?: string;
  containers: readonly ContainerRecord[];
  /** Ended by the node itself: DeadlineExceeded, Evicted. */
  failure?: { reason: string; message: string };
  /** As whom its processes run; undefined where the platform has no such thing. */
  user?: { uid: number; gid: number; supplementalGroups: number[] };
  /** The pod's volumes and network are there. */
  sandboxed: boolean;
  /** It was deleted and has been stopped: nothing will be started again. */
  ended?: boolean;
}

type Phase = "Pending" | "Running" | "Succeeded" | "Failed";

const exitOf = (record: ContainerRecord): number | undefined =>
  "terminated" in record.state ? record.state.terminated.exitCode : undefined;
const runs = (record: ContainerRecord): boolean => "running" in record.state;

/** The kubelet's `getPhase`: what a pod is as a whole, by its containers. */
export function phaseOf(state: PodState, restartPolicy: string): Phase {
  if (state.failure) return "Failed";
  const main = state.containers.filter((c) => c.kind === "main");
  const init = state.containers.filter((c) => c.kind === "init");
  if (!main.every((c) => exitOf(c) !== undefined)) {
    if (init.some((c) => restartPolicy === "Never" && (exitOf(c) ?? 0) !== 0)) return "Failed";
    const begun = main.some((c) => runs(c) || c.lastState || exitOf(c) !== undefined);
    return begun ? "Running" : "Pending";
  }
  if (restartPolicy === "Always") return "Running";
  if (main.every((c) => exitOf(c) === 0)) return "Succeeded";
  return restartPolicy === "Never" ? "Failed" : "Running";
}

/** A pod's whole status. Transition times stay where a condition's status does. */
export function podStatus(pod: KubeJson, state: PodState, now: string): Record<string, unknown> {
  const spec = pod["spec"];
  const phase = phaseOf(state, state.ended ? "Never" : (spec.restartPolicy ?? "Always"));
  const done = phase === "Succeeded" || phase === "Failed";
  const main = state.containers.filter((c) => c.kind === "main");
  const before = state.containers.filter((c) => c.kind !== "main");
  const uninitialised = before.filter((c) => (c.kind === "sidecar" ? !c.started : exitOf(c) !== 0)).map((c) => c.name);
  const begun = main.some((c) => runs(c) || exitOf(c) !== undefined || c.lastState);
  const unready = [...main, ...before.filter((c) => c.kind === "sidecar")].filter((c) => !c.ready).map((c) => c.name);
  const initialised = uninitialised.length === 0 || begun;

  const completed = phase === "Succeeded" ? { reason: "PodCompleted" } : phase === "Failed" ? { reason: "PodFailed" } : undefined;
  const notReady = completed ?? {
    reason: "ContainersNotReady",
    message: `containers with unready status: [${unready.join(" ")}]`,
  };
  const containersReady = !done && unready.length === 0;
  const gates: Array<{ conditionType: string }> = spec.readinessGates ?? [];
  const existing: Array<Record<string, string>> = pod["status"]?.conditions ?? [];
  const openGates = gates.filter((gate) => existing.find((c) => c["type"] === gate.conditionType)?.["status"] !== "True");
  const ready = containersReady && openGates.length === 0;

  const own: Array<[string, boolean, Record<string, string>?]> = [
    ["PodReadyToStartContainers", state.sandboxed && !done],
    [
      "Initialized",
      initialised,
      initialised
        ? phase === "Succeeded"
          ? { reason: "PodCompleted" }
          : undefined
        : { reason: "ContainersNotInitialized", message: `containers with incomplete status: [${uninitialised.join(" ")}]` },
    ],
    [
      "Ready",
      ready,
      ready
        ? undefined
        : containersReady
          ? { reason: "ReadinessGatesNotReady", message: "corresponding condition of pod readiness gate is not True." }
          : notReady,
    ],
    ["ContainersReady", containersReady, containersReady ? undefined : notReady],
    ["PodScheduled", true],
  ];
  const conditions = own.map(([type, on, why]) => {
    const status = on ? "True" : "False";
    const old = existing.find((c) => c["type"] === type);
    return {
      type,
      ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
      status,
      lastProbeTime: null,
      lastTransitionTime: old?.["status"] === status ? old["lastTransitionTime"] : now,
      ...why,
    };
  });
  const foreign = existing.filter((c) => !own.some(([type]) => type === c["type"]));

  const specs: ContainerSpec[] = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  const statusOf = (record: ContainerRecord): object =>
    containerStatus(record, specs.find(({ name }) => name === record.name) ?? { name: record.name }, state.user);

  return {
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase,
    ...(state.failure ?? {}),
    conditions: [...conditions, ...foreign],
    hostIP: state.hostIP,
    hostIPs: [{ ip: state.hostIP }],
    ...(state.podIP !== undefined && { podIP: state.podIP, podIPs: [{ ip: state.podIP }] }),
    startTime: state.startTime,
    ...(before.length > 0 && { initContainerStatuses: before.map(statusOf) }),
    containerStatuses: main.map(statusOf),
    ...podResources(spec),
    qosClass: qosClass(spec),
  };
}

interface ContainerSpec {
  name: string;
  resources?: Resources;
  volumeMounts?: Array<{ name: string; mountPath: string; readOnly?: boolean }>;
}

function containerStatus(record: ContainerRecord, spec: ContainerSpec, user: PodState["user"]): Record<string, unknown> {
  const { resources = {}, volumeMounts = [] } = spec;
  return {
    name: record.name,
    state: record.state,
    lastState: record.lastState ?? {},
    ready: record.kind === "init" ? exitOf(record) === 0 : record.ready,
    restartCount: record.restartCount,
    image: record.image,
    imageID: record.imageID,
    ...(record.containerID && { containerID: record.containerID }),
    started: record.started,
    // Of a container that was never made there is nothing to say.
    ...(record.containerID && {
      resources,
      ...(resources.requests && { allocatedResources: resources.requests }),
      ...(user && { user: { linux: user } }),
    }),
    ...(volumeMounts.length > 0 && {
      volumeMounts: volumeMounts.map(({ name, mountPath, readOnly }) => ({
        name,
        mountPath,
        ...(readOnly && { readOnly, recursiveReadOnly: "Disabled" }),
      })),
    }),
  };
}

interface Resources {
  requests?: Record<string, string>;
  limits?: Record<string, string>;
}

/** What all containers together ask for and may have. */
function podResources(spec: KubeJson["spec"]): Record<string, unknown> {
  const total = (kind: "requests" | "limits"): Record<string, string> | undefined => {
    const amounts = [...podAmounts(spec, kind)].map(([name, amount]) => [name, formatAmount(amount)]);
    return amounts.length > 0 ? Object.fromEntries(amounts) : undefined;
  };
  const [requests, limits] = [total("requests"), total("limits")];
  return {
    ...(requests && { allocatedResources: requests }),
    resources: { ...(limits && { limits }), ...(requests && { requests }) },
  };
}

/** Guaranteed, Burstable or BestEffort, by cpu and memory of all containers. */
export function qosClass(spec: {
  containers: Array<{ resources?: Resources }>;
  initContainers?: Array<{ resources?: Resources }>;
}): string {
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  const names = ["cpu", "memory"];
  const amount = (text: string | undefined): number => (text === undefined ? 0 : (parseQuantity(text) ?? 0));
  if (all.every(({ resources: r }) => names.every((n) => !amount(r?.requests?.[n]) && !amount(r?.limits?.[n]))))
    return "BestEffort";
  const guaranteed = all.every(({ resources: r }) =>
    names.every((n) => amount(r?.limits?.[n]) > 0 && amount(r?.requests?.[n] ?? r?.limits?.[n]) === amount(r?.limits?.[n])),
  );
  return guaranteed ? "Guaranteed" : "Burstable";
}
