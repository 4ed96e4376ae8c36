import type { Json } from "../../json.ts";
import { ageColumn, type Column, duration, NONE, nameColumn } from "./cells.ts";

/** One word for how a pod is doing: its phase, or what holds it up. */
export function podStatus(pod: Json): { reason: string; ready: number; restarts: number; lastRestart: string | undefined } {
  const { status = {}, spec = {}, metadata } = pod;
  let reason: string = status.reason || status.phase || "Unknown";
  for (const condition of status.conditions ?? []) {
    if (condition.type === "PodScheduled" && condition.reason === "SchedulingGated") reason = "SchedulingGated";
  }
  let [ready, restarts] = [0, 0];
  let lastRestart: string | undefined;
  const count = (container: Json): void => {
    restarts += container.restartCount ?? 0;
    const finished = container.lastState?.terminated?.finishedAt;
    if (finished && (!lastRestart || finished > lastRestart)) lastRestart = finished;
  };

  const sidecars = new Set((spec.initContainers ?? []).filter((c: Json) => c.restartPolicy === "Always").map((c: Json) => c.name));
  let initializing = false;
  const initStatuses: Json[] = status.initContainerStatuses ?? [];
  for (const [i, container] of initStatuses.entries()) {
    count(container);
    const { terminated, waiting } = container.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(container.name) && container.started) {
      if (container.ready) ready++;
      continue;
    }
    initializing = true;
    if (terminated) {
      reason = `Init:${terminated.reason || (terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`)}`;
    } else if (waiting?.reason && waiting.reason !== "PodInitializing") reason = `Init:${waiting.reason}`;
    else reason = `Init:${i}/${(spec.initContainers ?? []).length}`;
    break;
  }

  const initialized = (status.conditions ?? []).some((c: Json) => c.type === "Initialized" && c.status === "True");
  if (!initializing || initialized) {
    if (sidecars.size === 0) [restarts, lastRestart] = [0, undefined];
    let running = false;
    for (const container of [...(status.containerStatuses ?? [])].reverse()) {
      count(container);
      const state = container.state ?? {};
      if (state.waiting?.reason) reason = state.waiting.reason;
      else if (state.terminated) {
        const { reason: why, signal, exitCode } = state.terminated;
        reason = why || (signal ? `Signal:${signal}` : `ExitCode:${exitCode}`);
      } else if (container.ready && state.running) {
        running = true;
        ready++;
      }
    }
    // A container has finished, the pod has not.
    if (reason === "Completed" && running) {
      const isReady = (status.conditions ?? []).some((c: Json) => c.type === "Ready" && c.status === "True");
      reason = isReady ? "Running" : "NotReady";
    }
  }
  if (metadata.deletionTimestamp && status.reason === "NodeLost") reason = "Unknown";
  else if (metadata.deletionTimestamp && !["Succeeded", "Failed"].includes(status.phase)) reason = "Terminating";
  return { reason, ready, restarts, lastRestart };
}

function readinessGates({ spec, status }: Json): string {
  const gates: Json[] = spec.readinessGates ?? [];
  if (gates.length === 0) return NONE;
  const met = gates.filter((gate) =>
    (status.conditions ?? []).some((c: Json) => c.type === gate.conditionType && c.status === "True"),
  );
  return `${met.length}/${gates.length}`;
}

function total({ spec }: Json): number {
  return (spec.containers ?? []).length + (spec.initContainers ?? []).filter((c: Json) => c.restartPolicy === "Always").length;
}

export const podColumns: readonly Column[] = [
  nameColumn,
  { name: "Ready", value: (pod) => `${podStatus(pod).ready}/${total(pod)}` },
  { name: "Status", value: (pod) => podStatus(pod).reason },
  {
    name: "Restarts",
    value(pod, now) {
      const { restarts, lastRestart } = podStatus(pod);
      return restarts > 0 && lastRestart ? `${restarts} (${duration(now - Date.parse(lastRestart))} ago)` : String(restarts);
    },
  },
  ageColumn,
  { name: "IP", wide: true, value: ({ status }) => status?.podIP || NONE },
  { name: "Node", wide: true, value: ({ spec }) => spec.nodeName || NONE },
  { name: "Nominated Node", wide: true, value: ({ status }) => status?.nominatedNodeName || NONE },
  { name: "Readiness Gates", wide: true, value: readinessGates },
];
