import type { Json } from "../json.ts";
import type { KubeJson, StoreEvent } from "../store.ts";
import { timestamp } from "./clock.ts";
import { setCondition } from "./conditions.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import { claimPods, controllerOf } from "./owners.ts";
import { addOwners, createPod, isActive, isFinished, isReady } from "./pods.ts";
import { some } from "./replica-set.ts";

const RESOURCE = "jobs.batch";
const INDEX = "batch.kubernetes.io/job-completion-index";
const FIRST_BACKOFF_MS = 10_000;
const LONGEST_BACKOFF_MS = 10 * 60_000;

/** How the pods of a job ended; a pod that was deleted keeps its place. */
interface Tally {
  succeeded: Map<string, number | undefined>;
  failed: Map<string, number>;
}

/** Pods until enough of them have succeeded, or too many have failed. */
export function jobController(context: Context): Controller {
  const { store, clock } = context;
  const record = context.recorder("job-controller");
  const tallies = new Map<string, Tally>();
  const tallyOf = (uid: string): Tally => {
    const known = tallies.get(uid) ?? { succeeded: new Map(), failed: new Map() };
    tallies.set(uid, known);
    return known;
  };

  const count = ({ resource, type, object, previous }: StoreEvent): void => {
    if (resource === RESOURCE && type === "DELETED") tallies.delete(object.metadata.uid);
    const owner = resource === "pods" ? (controllerOf(object) ?? controllerOf(previous)) : undefined;
    if (owner?.kind !== "Job") return;
    const { succeeded, failed } = tallyOf(owner.uid);
    const { uid } = object.metadata;
    if (succeeded.has(uid) || failed.has(uid)) return;
    const phase = object["status"]?.phase;
    const index = object.metadata.annotations?.[INDEX];
    if (phase === "Succeeded") succeeded.set(uid, index === undefined ? undefined : Number(index));
    else if (phase === "Failed" || type === "DELETED") failed.set(uid, clock.now());
  };

  return {
    name: "job",
    observe(event, add) {
      count(event);
      if (event.resource === RESOURCE) add(keyOf(event.object));
      else addOwners(context, event, "Job", RESOURCE, add);
    },
    reconcile(key, again) {
      const { namespace, name } = splitKey(key);
      const job = store.get(RESOURCE, namespace, name);
      if (!job || job.metadata.deletionTimestamp) return;
      const { spec } = job;
      const now = clock.now();
      const before = job["status"] ?? {};
      const conditions: Json[] = (before.conditions ?? []).map((entry: Json) => ({ ...entry }));
      if (isDone(job)) {
        expire(context, job, again);
        return;
      }
      const { succeeded, failed } = tallyOf(job.metadata.uid);
      const indexed = spec.completionMode === "Indexed";
      const done = indexed ? new Set(succeeded.values()).size : succeeded.size;
      let active = claimPods(context, job).filter(isActive);
      const startTime = before.startTime ?? (spec.suspend ? undefined : timestamp(now));
      const set = (type: string, reason: string, message: string): void =>
        setCondition(conditions, now, type, "True", reason, message, { lastProbeTime: true });
      const stop = (): void => {
        for (const { metadata } of active) context.remove("pods", namespace, metadata.name);
        active = [];
      };
      const fail = (reason: string, message: string): void => {
        set("FailureTarget", reason, message);
        set("Failed", reason, message);
        record(job, "Warning", reason, message);
        stop();
      };

      const deadline =
        spec.activeDeadlineSeconds === undefined ? undefined : Date.parse(startTime) + spec.activeDeadlineSeconds * 1000 - now;
      let finishedAt: string | undefined;
      if (spec.suspend) {
        stop();
        setCondition(conditions, now, "Suspended", "True", "JobSuspended", "Job suspended", { lastProbeTime: true });
      } else if (failed.size > (spec.backoffLimit ?? 6))
        fail("BackoffLimitExceeded", "Job has reached the specified backoff limit");
      else if (deadline !== undefined && deadline <= 0) fail("DeadlineExceeded", "Job was active longer than specified deadline");
      else if (isEnough(spec.completions, done, active.length)) {
        set("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods");
        set("Complete", "CompletionsReached", "Reached expected number of succeeded pods");
        record(job, "Normal", "Completed", "Job completed");
        finishedAt = timestamp(now);
      } else {
        if (deadline !== undefined) again(deadline);
        const suspended = conditions.find((entry) => entry.type === "Suspended");
        if (suspended?.status === "True")
          setCondition(conditions, now, "Suspended", "False", "JobResumed", "Job resumed", { lastProbeTime: true });
        const hold = backoff(failed, now);
        const wanted = Math.min(spec.parallelism ?? 1, (spec.completions ?? Number.POSITIVE_INFINITY) - done);
        // Without a number of completions, one success means that no more are started.
        const room = spec.completions === undefined && done > 0 ? 0 : wanted - active.length;
        if (room > 0 && hold > 0) again(hold);
        else if (room > 0) active.push(...start(context, job, room, active, new Set(succeeded.values()), record));
        for (const { metadata } of active.slice(Math.max(0, wanted))) context.remove("pods", namespace, metadata.name);
        active = active.slice(0, Math.max(0, wanted));
      }
      context.setStatus(RESOURCE, job, {
        ...(conditions.length > 0 && { conditions }),
        startTime,
        completionTime: finishedAt,
        active: some(active.length),
        ready: active.filter(isReady).length,
        succeeded: some(done),
        failed: some(failed.size),
        terminating: claimPods(context, job).filter((pod) => pod.metadata.deletionTimestamp && !isFinished(pod)).length,
        uncountedTerminatedPods: {},
        ...(indexed && done > 0 && { completedIndexes: ranges([...new Set(succeeded.values())] as number[]) }),
      });
      if (finishedAt) expire(context, store.get(RESOURCE, namespace, name)!, again);
    },
  };
}

export const isDone = (job: KubeJson): boolean =>
  (job["status"]?.conditions ?? []).some(
    (entry: Json) => (entry.type === "Complete" || entry.type === "Failed") && entry.status === "True",
  );

function isEnough(completions: number | undefined, done: number, active: number): boolean {
  return completions === undefined ? done > 0 && active === 0 : done >= completions;
}

/** How long to wait after failures before the next pod, in ms. */
function backoff(failed: ReadonlyMap<string, number>, now: number): number {
  if (failed.size === 0) return 0;
  const wait = Math.min(FIRST_BACKOFF_MS * 2 ** (failed.size - 1), LONGEST_BACKOFF_MS);
  return Math.max(0, Math.max(...failed.values()) + wait - now);
}

function start(
  context: Context,
  job: KubeJson,
  count: number,
  active: readonly KubeJson[],
  done: ReadonlySet<number | undefined>,
  record: ReturnType<Context["recorder"]>,
): KubeJson[] {
  const indexed = job["spec"].completionMode === "Indexed";
  const taken = new Set(active.map((pod) => Number(pod.metadata.annotations?.[INDEX])));
  const free = Array.from({ length: indexed ? job["spec"].completions : 0 }, (_, i) => i).filter(
    (i) => !done.has(i) && !taken.has(i),
  );
  return Array.from({ length: count }, (_, i) => {
    const index = indexed ? free[i] : undefined;
    const { name } = job.metadata;
    const metadata =
      index === undefined
        ? { generateName: `${name.slice(0, 57)}-` }
        : {
            generateName: `${name.slice(0, 50)}-${index}-`,
            labels: { [INDEX]: String(index) },
            annotations: { ...job["spec"].template.metadata?.annotations, [INDEX]: String(index) },
          };
    const pod = createPod(context, job, metadata, (spec) => {
      if (index === undefined) return;
      spec.hostname ??= `${name}-${index}`;
      const variable = { name: "JOB_COMPLETION_INDEX", valueFrom: { fieldRef: { fieldPath: `metadata.labels['${INDEX}']` } } };
      for (const container of [...(spec.initContainers ?? []), ...spec.containers])
        container.env = [...(container.env ?? []), variable];
    });
    record(job, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
    return pod;
  });
}

/** `ttlSecondsAfterFinished`. */
function expire(context: Context, job: KubeJson, again: (ms: number) => void): void {
  const ttl = job["spec"].ttlSecondsAfterFinished;
  if (ttl === undefined) return;
  const ended = job["status"].conditions.find((entry: Json) => entry.type === "Complete" || entry.type === "Failed");
  const left = Date.parse(ended.lastTransitionTime) + ttl * 1000 - context.clock.now();
  if (left > 0) again(left);
  else context.remove(RESOURCE, job.metadata.namespace, job.metadata.name, { propagationPolicy: "Foreground" });
}

/** 0,1,2,5 → "0-2,5" */
function ranges(indexes: number[]): string {
  const out: Array<[number, number]> = [];
  for (const index of indexes.sort((a, b) => a - b)) {
    const last = out.at(-1);
    if (last && last[1] === index - 1) last[1] = index;
    else out.push([index, index]);
  }
  return out.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}
