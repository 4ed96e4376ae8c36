import { randomSuffix } from "../api/kinds/pod.ts";
import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import { timestamp } from "./clock.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import { parseCron } from "./cron-schedule.ts";
import { isDone } from "./job.ts";
import { controllerOf, controllerReference } from "./owners.ts";

const RESOURCE = "cronjobs.batch";
const JOBS = "jobs.batch";
const SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp";
const DAY = 24 * 3_600_000;

/** Jobs at their times. */
export function cronJobController(context: Context): Controller {
  const { store, clock } = context;
  const record = context.recorder("cronjob-controller");

  const run = (cron: KubeJson, at: number, jobs: readonly KubeJson[]): void => {
    const { spec, metadata } = cron;
    const active = jobs.filter((job) => !isDone(job));
    if (spec.concurrencyPolicy === "Forbid" && active.length > 0) {
      record(
        cron,
        "Normal",
        "JobAlreadyActive",
        "Not starting job because prior execution is running and concurrency policy is Forbid",
      );
      return;
    }
    if (spec.concurrencyPolicy === "Replace")
      for (const job of active) context.remove(JOBS, metadata.namespace, job.metadata.name, { propagationPolicy: "Background" });
    const name = `${metadata.name.slice(0, 52)}-${Math.floor(at / 60_000)}`;
    if (store.get(JOBS, metadata.namespace, name)) return;
    createJob(context, cron, name, { [SCHEDULED]: timestamp(at) });
    record(cron, "Normal", "SuccessfulCreate", `Created job ${name}`);
  };

  return {
    name: "cronjob",
    observe(event, add) {
      if (event.resource === RESOURCE) add(keyOf(event.object));
      const owner = event.resource === JOBS ? controllerOf(event.object) : undefined;
      if (owner?.kind === "CronJob") add(`${event.object.metadata.namespace}/${owner.name}`);
    },
    reconcile(key, again) {
      const { namespace, name } = splitKey(key);
      const cron = store.get(RESOURCE, namespace, name);
      if (!cron || cron.metadata.deletionTimestamp) return;
      const jobsOf = (): KubeJson[] => store.list(JOBS, namespace).filter((job) => controllerOf(job)?.uid === cron.metadata.uid);
      const schedule = parseCron(cron["spec"].schedule, cron["spec"].timeZone);
      const now = clock.now();
      let last = cron["status"]?.lastScheduleTime;
      if (!schedule) record(cron, "Warning", "UnParseableCronJobSchedule", `unparseable schedule: ${cron["spec"].schedule}`);
      else if (!cron["spec"].suspend) {
        const since = Date.parse(last ?? cron.metadata.creationTimestamp);
        const earliest = Math.max(since, now - (cron["spec"].startingDeadlineSeconds ?? 100 * DAY) * 1000);
        const due = latestDue(schedule, earliest, now);
        if (due !== undefined) {
          run(cron, due, jobsOf());
          last = timestamp(due);
        }
        const next = schedule(now);
        if (next !== undefined) again(Math.min(next - now, DAY));
      }
      const jobs = jobsOf();
      for (const job of jobs) {
        if (isDone(job) || isScheduled(job)) continue;
        record(cron, "Warning", "UnexpectedJob", `Saw a job that the controller did not create or forgot: ${job.metadata.name}`);
      }
      writeStatus(context, cron, jobs, last);
      prune(context, cron, jobs);
    },
  };
}

/** Of the times that have passed, the last one: those that were missed are not made up for. */
function latestDue(schedule: (after: number) => number | undefined, since: number, now: number): number | undefined {
  let due: number | undefined;
  // 100 missed times are as many as the real one counts.
  for (let at = schedule(since), count = 0; at !== undefined && at <= now; at = schedule(at)) {
    due = at;
    if (++count > 100) return latestDue(schedule, now - (now - at) / 2, now) ?? due;
  }
  return due;
}

/** A Job of a CronJob's template, controlled by it. */
function createJob(context: Context, cron: KubeJson, name: string, annotations: Record<string, string>): KubeJson {
  const { metadata, spec } = cron["spec"].jobTemplate as { metadata?: Json; spec: Json };
  return context.create(JOBS, cron.metadata.namespace!, {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name,
      ...(metadata?.labels && { labels: metadata.labels }),
      annotations: { ...metadata?.annotations, ...annotations },
      ownerReferences: [controllerReference(cron)],
    },
    spec,
  });
}

/** Made by this controller at its time: only such a one counts as active. */
const isScheduled = (job: KubeJson): boolean => job.metadata.annotations?.[SCHEDULED] !== undefined;

/** Runs a CronJob now, as `kubectl create job --from=cronjob/NAME` does. */
export function triggerCronJob(context: Context, cron: KubeJson): KubeJson {
  const name = `${cron.metadata.name.slice(0, 50)}-manual-${randomSuffix()}`;
  return createJob(context, cron, name, { "cronjob.kubernetes.io/instantiate": "manual" });
}

function writeStatus(context: Context, cron: KubeJson, jobs: readonly KubeJson[], last: string | undefined): void {
  const active = jobs.filter((job) => !isDone(job) && isScheduled(job));
  const times = jobs.map((job) => job["status"]?.completionTime).filter((time) => time !== undefined);
  const lastSuccessful = [...times, cron["status"]?.lastSuccessfulTime]
    .filter((time) => time !== undefined)
    .sort()
    .at(-1);
  context.setStatus(RESOURCE, cron, {
    ...(active.length > 0 && {
      active: active.map(({ apiVersion, kind, metadata }) => ({
        apiVersion,
        kind,
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
      })),
    }),
    lastScheduleTime: last,
    lastSuccessfulTime: lastSuccessful,
  });
}

/** The history limits. */
function prune(context: Context, cron: KubeJson, jobs: readonly KubeJson[]): void {
  const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = cron["spec"];
  const ended = (type: string): KubeJson[] =>
    jobs
      .filter((job) => (job["status"]?.conditions ?? []).some((entry: Json) => entry.type === type && entry.status === "True"))
      .sort((a, b) => Date.parse(a["status"].startTime) - Date.parse(b["status"].startTime));
  const cut = (list: KubeJson[], limit: number): void => {
    for (const { metadata } of list.slice(0, Math.max(0, list.length - limit)))
      context.remove(JOBS, metadata.namespace, metadata.name, { propagationPolicy: "Background" });
  };
  cut(ended("Complete"), successfulJobsHistoryLimit);
  cut(ended("Failed"), failedJobsHistoryLimit);
}
