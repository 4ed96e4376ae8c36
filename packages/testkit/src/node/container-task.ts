import { hasCode } from "@shipside/core";
import type { KubeJson } from "../store.ts";
import type { StartedContainer } from "./agent/client.ts";
import { createBackoff } from "./backoff.ts";
import { createLauncher } from "./container-launch.ts";
import { probeContainer } from "./container-probes.ts";
import type { EnvInputs } from "./env/container-env.ts";
import { time } from "./events.ts";
import { pullImage } from "./image-pull.ts";
import type { ImageRuntime } from "./images.ts";
import type { Sandbox } from "./network/network.ts";
import { currentPod, type NodeContext } from "./node-context.ts";
import { pause } from "./pause.ts";
import { type ProbeReach, probeOnce } from "./probes.ts";
import type { ContainerRecord } from "./status.ts";
import type { PodVolumes } from "./volumes/pod-volumes.ts";

export interface ContainerTask {
  readonly record: ContainerRecord;
  /** The run that goes on now, for exec and signals. */
  readonly running: StartedContainer | undefined;
  /** Resolves with the last exit code when it won't be started again. */
  readonly done: Promise<number>;
  /** Resolves when it first counts as started. */
  readonly started: Promise<void>;
  logFile(previous: boolean): string | undefined;
  /** Asks it to end: preStop, SIGTERM, SIGKILL after the grace period. A later, shorter grace period counts. */
  stop(graceMs: number): Promise<void>;
}

export interface TaskInputs {
  context: NodeContext;
  pod: KubeJson;
  // biome-ignore lint/suspicious/noExplicitAny: a container of a pod's spec
  spec: any;
  kind: ContainerRecord["kind"];
  sandbox: Sandbox;
  volumes: PodVolumes;
  env(container: string): EnvInputs;
  /** The record has changed. */
  changed(): void;
  /** Resolves at the next change of a ConfigMap or Secret of the pod's namespace. */
  news(): Promise<void>;
}

/** Restarts a container, looks at its image, its env and its probes, and keeps its record, until it is stopped or has ended for good. */
export function startContainer(record: ContainerRecord, inputs: TaskInputs): ContainerTask {
  const { context, pod, kind, sandbox, changed } = inputs;
  const { name } = record;
  const namespace = pod.metadata.namespace!;
  const stopping = new AbortController();
  const started = Promise.withResolvers<void>();
  const podPolicy = pod["spec"].restartPolicy ?? "Always";
  // An init container that has done its work isn't run again: for it the pod's "Always" means "OnFailure" (Pod Lifecycle).
  const initPolicy = podPolicy === "Never" ? "Never" : "OnFailure";
  const restartPolicy = { sidecar: "Always", init: initPolicy, main: podPolicy }[kind];
  const restarts = createBackoff(context.restartBackoff);
  let running: StartedContainer | undefined;
  let stopGraceMs = 0;
  let killTimer: NodeJS.Timeout | undefined;
  let wait: "none" | "stopping" = "none";

  const event = (type: "Normal" | "Warning", reason: string, message: string): void =>
    context.record(pod, type, reason, message, name);
  const set = (change: Partial<ContainerRecord>): void => {
    Object.assign(record, change);
    changed();
  };
  const waiting = (reason: string, message?: string): void => {
    if (!("waiting" in record.state)) record.lastState = record.state;
    set({ state: { waiting: { reason, ...(message && { message }) } }, ready: false, started: false });
  };
  /** The spec may change while the pod lives: its image can be set. */
  // biome-ignore lint/suspicious/noExplicitAny: a container of a pod's spec
  const spec = (): any => {
    const now = currentPod(context, pod)?.["spec"];
    const all = [...(now?.containers ?? []), ...(now?.initContainers ?? [])];
    return all.find((c) => c.name === name) ?? inputs.spec;
  };

  const pull = (): Promise<ImageRuntime | undefined> =>
    pullImage({
      context,
      image: () => spec().image,
      never: inputs.spec.imagePullPolicy === "Never",
      signal: stopping.signal,
      news: inputs.news,
      event,
      waiting,
      found: (image, imageID) => void Object.assign(record, { image, ...(imageID !== undefined && { imageID }) }),
    });

  const launcher = createLauncher({ ...inputs, record, current: spec, signal: stopping.signal, event, waiting });

  const reach = (): ProbeReach => ({
    podIP: sandbox.ip,
    dial: sandbox.dial,
    async exec(command) {
      if (!running) throw new Error("container not running");
      return sandbox.agent.exec(running.id, command, { stdin: false, tty: false });
    },
    port: (value) =>
      typeof value === "number" || /^\d+$/.test(value)
        ? Number(value)
        : (spec().ports ?? []).find((p: { name?: string }) => p.name === value)?.containerPort,
  });

  const probe = (signal: AbortSignal): Promise<void> =>
    probeContainer({
      spec: spec(),
      reach: reach(),
      signal,
      failed: (which, message) => event("Warning", "Unhealthy", `${which} probe failed: ${message}`),
      started(ready) {
        set({ started: true, ready });
        started.resolve();
      },
      ready: (ready) => void (record.ready !== ready && set({ ready })),
      dead(which, grace) {
        event("Normal", "Killing", `Container ${name} failed ${which} probe, will be restarted`);
        void end((grace ?? pod["spec"].terminationGracePeriodSeconds ?? 30) * 1000);
      },
    });

  const hook = async (which: "preStop" | "postStart", limitMs: number): Promise<void> => {
    const action = spec().lifecycle?.[which];
    if (!action || !running) return;
    if (action.sleep) await pause(Math.min(action.sleep.seconds * 1000, limitMs), new AbortController().signal);
    else {
      const result = await probeOnce({ ...action, timeoutSeconds: limitMs / 1000 }, reach());
      if (!result.ok)
        event(
          "Warning",
          which === "preStop" ? "FailedPreStopHook" : "FailedPostStartHook",
          `${which}Hook failed: ${result.message}`,
        );
    }
  };

  /** Ends the run that goes on now. */
  const end = async (graceMs: number): Promise<void> => {
    const run = running;
    if (!run) return;
    const deadline = Date.now() + graceMs;
    const kill = (): void => void sandbox.agent.signal(run.id, "SIGKILL", true).catch(() => {});
    clearTimeout(killTimer);
    killTimer = setTimeout(kill, graceMs);
    void run.exited.then(() => clearTimeout(killTimer));
    if (graceMs > 0 && wait === "none") {
      wait = "stopping";
      await Promise.race([hook("preStop", graceMs), run.exited]);
      const left = Math.max(0, deadline - Date.now());
      if (left > 0) await sandbox.agent.signal(run.id, "SIGTERM").catch(() => {});
    }
    await run.exited;
  };

  const life = async (): Promise<number> => {
    let exitCode = 0;
    for (;;) {
      const runtime = await pull();
      const prepared = runtime && (await launcher.prepare(runtime));
      if (!prepared || stopping.signal.aborted) return exitCode;
      const startedAt = Date.now();
      const run = new AbortController();
      let message: string | undefined;
      try {
        running = await launcher.launch(prepared);
        wait = "none";
        // Asked to stop while it was being started: there was nothing to stop then.
        if (stopping.signal.aborted) void end(stopGraceMs);
        record.containerID = `shipside://${Buffer.from(running.id).toString("hex").slice(-64).padStart(64, "0")}`;
        event("Normal", "Created", `Container created`);
        event("Normal", "Started", `Container started`);
        set({ state: { running: { startedAt: time(startedAt) } }, started: false, ready: false });
        void hook("postStart", 30_000).then(() => probe(run.signal));
        ({ exitCode } = await running.exited);
      } catch (error) {
        if (stopping.signal.aborted || hasCode(error, "NODE_AGENT_GONE")) return 137;
        exitCode = 128;
        message = (error as Error).message;
        event("Warning", "Failed", `Error: ${message}`);
      }
      running = undefined;
      run.abort();
      set({
        state: {
          terminated: {
            exitCode,
            reason: message ? "StartError" : exitCode === 0 ? "Completed" : "Error",
            ...(message && { message }),
            startedAt: message ? "1970-01-01T00:00:00Z" : time(startedAt),
            finishedAt: time(),
            ...(record.containerID && { containerID: record.containerID }),
          },
        },
        ready: false,
        started: false,
      });
      const again = restartPolicy === "Always" || (restartPolicy === "OnFailure" && exitCode !== 0);
      // Without its sandbox it can't run again; the pod gets a new one, and the container with it.
      if (!again || stopping.signal.aborted || !sandbox.agent.alive) return exitCode;
      const ms = restarts.next(Date.now() - startedAt);
      if (ms > 0) {
        waiting(
          "CrashLoopBackOff",
          `back-off ${duration(ms)} restarting failed container=${name} pod=${pod.metadata.name}_${namespace}(${pod.metadata.uid})`,
        );
        event(
          "Warning",
          "BackOff",
          `Back-off restarting failed container ${name} in pod ${pod.metadata.name}_${namespace}(${pod.metadata.uid})`,
        );
        if (!(await pause(ms, stopping.signal))) return exitCode;
      }
      if ("terminated" in record.state) record.lastState = record.state;
      record.restartCount++;
    }
  };

  const done = life().finally(() => started.resolve());
  return {
    record,
    get running() {
      return running;
    },
    done,
    started: started.promise,
    logFile: launcher.logFile,
    async stop(graceMs) {
      if (!stopping.signal.aborted && running) event("Normal", "Killing", `Stopping container ${name}`);
      stopGraceMs = graceMs;
      stopping.abort();
      await end(graceMs);
      await done;
    },
  };
}

/** As Go writes whole seconds: 10s, 1m20s, 5m0s. */
function duration(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
