import { type Step, step } from "../step.ts";

/** Jobs. */
export const JOBS: readonly Step[] = [
  step("create a job", "create job once --image=node:24 -- node -e 'console.log(42)'", "job.batch/once created"),
  step("until it is complete", "wait --for=condition=Complete job/once --timeout=25s", "job.batch/once condition met"),
  step("the job", "get job once", "NAME STATUS COMPLETIONS DURATION AGE\nonce Complete 1/1 {age} {age}"),
  step("its log", "logs job/once", "42"),
  step(
    "create a cron job",
    "create cronjob tick --image=node:24 --schedule='*/5 * * * *' -- node -e 1",
    "cronjob.batch/tick created",
    { since: 21 },
  ),
  step("run it now", "create job from-cron --from=cronjob/tick", "job.batch/from-cron created", { since: 21 }),
  step(
    "the cron job",
    "get cronjob tick",
    /^NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE\ntick \*\/5 \* \* \* \* <none> False 0 <none> {age}$/,
    { since: 21 },
  ),
  step("the cron job, described", "describe cronjob tick", /^Schedule: \*\/5 \* \* \* \*$/m, { since: 21 }),
  step("the manual run ends", "wait --for=condition=Complete job/from-cron --timeout=25s", "job.batch/from-cron condition met", {
    since: 21,
  }),
  step("the cron job as YAML", "get cronjob tick -o yaml", /^ lastSuccessfulTime: "{time}"$/m, { since: 21, within: 15_000 }),
  step("suspend", `patch cronjob tick -p '{"spec":{"suspend":true}}'`, "cronjob.batch/tick patched", { since: 21 }),
  step(
    "the job, described",
    "describe job once",
    /^Pods Statuses: 0 Active \(0 Ready\) \/ 1 Succeeded \/ 0 Failed$|^Pods Statuses: 0 (Active|Running) \/ 1 Succeeded \/ 0 Failed$/m,
  ),
  step("the job as YAML", "get job once -o yaml", /^ succeeded: 1$/m),
  step("a job takes its pods with it", "delete job once", /^job\.batch "once" deleted/),
  step("until they are gone", "get pods -l job-name=once", "No resources found in {ns} namespace.", { within: 10_000 }),
];
