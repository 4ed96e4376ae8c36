import type { Json } from "../../json.ts";
import { sameJson } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import { labelSelectorRequirements, matchesLabels } from "../selectors.ts";
import { dnsLabel, dnsSubdomain, type FieldErrors } from "../validation.ts";
import { defaultTemplate } from "./pod-spec.ts";
import { validatePodSpec } from "./pod-validation.ts";
import { fill, list, type Strategy } from "./strategy.ts";

/** What Deployment, ReplicaSet, StatefulSet and DaemonSet are checked for alike. */
function validateController(object: Json, errors: FieldErrors, old: KubeJson | undefined): void {
  const { spec } = object;
  if (spec.replicas < 0) errors.invalid("spec.replicas", spec.replicas, "must be greater than or equal to 0");
  if (!spec.selector) errors.required("spec.selector");
  else if (isEmpty(spec.selector)) errors.invalid("spec.selector", spec.selector, "empty selector is invalid for deployment");
  // To the real server a template that isn't there is an empty one.
  const template = spec.template ?? {};
  const labels = template.metadata?.labels ?? null;
  // No selector matches nothing, an empty one everything.
  const matches =
    spec.selector && (isEmpty(spec.selector) || matchesLabels(labelSelectorRequirements(spec.selector)!, labels ?? {}));
  if (!matches) errors.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
  // A StatefulSet's claims become volumes of its pods, in the place of any that its template has by the same name.
  const claims = list(spec.volumeClaimTemplates).map((claim) => ({ name: claim.metadata?.name, emptyDir: {} }));
  const named = new Set(claims.map((claim) => claim.name));
  const volumes = [...list(template.spec?.volumes).filter((volume) => !named.has(volume.name)), ...claims];
  validatePodSpec({ restartPolicy: "Always", ...template.spec, volumes }, "spec.template.spec", errors, true);
  if (old && !sameJson(old["spec"].selector, spec.selector)) errors.invalid("spec.selector", spec.selector, "field is immutable");
}

const isEmpty = (selector: Json): boolean =>
  Object.keys(selector.matchLabels ?? {}).length === 0 && list(selector.matchExpressions).length === 0;

export const deployment: Strategy = {
  defaults({ spec }) {
    fill(spec, { replicas: 1, strategy: {}, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 });
    fill(spec.strategy, { type: "RollingUpdate" });
    if (spec.strategy.type === "RollingUpdate") {
      fill(spec.strategy, { rollingUpdate: {} });
      fill(spec.strategy.rollingUpdate, { maxUnavailable: "25%", maxSurge: "25%" });
    }
    defaultTemplate(spec.template);
  },
  initialStatus: () => ({}),
  validate(object, errors, old) {
    const { strategy } = object.spec;
    if (strategy.type === "Recreate" && strategy.rollingUpdate) {
      errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
    } else if (!["Recreate", "RollingUpdate"].includes(strategy.type)) {
      errors.unsupported("spec.strategy.type", strategy.type, ["Recreate", "RollingUpdate"]);
    }
    validateController(object, errors, old);
  },
};

export const replicaSet: Strategy = {
  defaults({ spec }) {
    fill(spec, { replicas: 1 });
    defaultTemplate(spec.template);
  },
  initialStatus: () => ({ replicas: 0 }),
  validate: validateController,
};

export const daemonSet: Strategy = {
  defaults({ spec }) {
    fill(spec, { updateStrategy: {}, revisionHistoryLimit: 10 });
    fill(spec.updateStrategy, { type: "RollingUpdate" });
    if (spec.updateStrategy.type === "RollingUpdate") {
      fill(spec.updateStrategy, { rollingUpdate: {} });
      fill(spec.updateStrategy.rollingUpdate, { maxSurge: 0, maxUnavailable: 1 });
    }
    defaultTemplate(spec.template);
  },
  initialStatus: () => ({ currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 }),
  validate: validateController,
};

const MUTABLE_OF_STATEFUL_SET = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
];

export const statefulSet: Strategy = {
  name: dnsLabel,
  defaults({ spec }) {
    fill(spec, {
      replicas: 1,
      podManagementPolicy: "OrderedReady",
      updateStrategy: {},
      revisionHistoryLimit: 10,
      persistentVolumeClaimRetentionPolicy: {},
    });
    fill(spec.persistentVolumeClaimRetentionPolicy, { whenDeleted: "Retain", whenScaled: "Retain" });
    fill(spec.updateStrategy, { type: "RollingUpdate" });
    if (spec.updateStrategy.type === "RollingUpdate") {
      fill(spec.updateStrategy, { rollingUpdate: {} });
      fill(spec.updateStrategy.rollingUpdate, { partition: 0 });
    }
    for (const claim of list(spec.volumeClaimTemplates)) {
      fill(claim, { kind: "PersistentVolumeClaim", apiVersion: "v1", status: { phase: "Pending" } });
      claim.spec ??= {};
      fill(claim.spec, { volumeMode: "Filesystem" });
    }
    defaultTemplate(spec.template);
  },
  initialStatus: () => ({ replicas: 0, availableReplicas: 0 }),
  validate(object, errors, old) {
    validateController(object, errors, old && { ...old, spec: { ...old["spec"], selector: object.spec.selector } });
    if (!old) return;
    const fixed = (spec: Json): Json =>
      Object.fromEntries(Object.entries(spec).filter(([key]) => !MUTABLE_OF_STATEFUL_SET.includes(key)));
    if (!sameJson(fixed(object.spec), fixed(old["spec"]))) {
      errors.forbidden(
        "spec",
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', " +
          "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      );
    }
  },
};

const JOB_LABELS = ["batch.kubernetes.io/controller-uid", "controller-uid"];
const JOB_NAME_LABELS = ["batch.kubernetes.io/job-name", "job-name"];

function defaultJobSpec(spec: Json): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  fill(spec, { parallelism: 1, backoffLimit: spec.backoffLimitPerIndex === undefined ? 6 : 2147483647 });
  fill(spec, { completionMode: "NonIndexed", suspend: false, manualSelector: false, podReplacementPolicy: "TerminatingOrFailed" });
  defaultTemplate(spec.template);
}

export const job: Strategy = {
  defaults: ({ spec }) => defaultJobSpec(spec),
  create({ spec, metadata }) {
    if (spec.manualSelector || !spec.template) return;
    const labels = (spec.template.metadata.labels ??= {});
    for (const key of JOB_LABELS) labels[key] = metadata.uid;
    for (const key of JOB_NAME_LABELS) labels[key] = metadata.name;
    spec.selector ??= { matchLabels: { [JOB_LABELS[0]!]: metadata.uid } };
    if (Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
  },
  initialStatus: () => ({}),
  validate({ spec }, errors, old) {
    validateJobSpec(spec, "spec", errors);
    if (!old) return;
    for (const field of ["completions", "selector", "template", "completionMode"]) {
      const suspended = old["spec"].suspend && field === "template";
      if (!suspended && !sameJson(spec[field], old["spec"][field]))
        errors.invalid(`spec.${field}`, spec[field], "field is immutable");
    }
  },
};

function validateJobSpec(spec: Json, path: string, errors: FieldErrors): void {
  for (const field of ["parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"]) {
    if (spec[field] < 0) errors.invalid(`${path}.${field}`, spec[field], "must be greater than or equal to 0");
  }
  if (!spec.template) errors.required(`${path}.template`);
  else validatePodSpec(spec.template.spec, `${path}.template.spec`, errors, "job");
}

export const cronJob: Strategy = {
  name: (name) => (name.length > 52 ? "must be no more than 52 characters" : dnsSubdomain(name)),
  defaults({ spec }) {
    fill(spec, { concurrencyPolicy: "Allow", suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 });
    if (spec.jobTemplate) {
      fill(spec.jobTemplate, { spec: {} });
      fill(spec.jobTemplate, { metadata: {} });
      if (spec.jobTemplate.spec.template) defaultTemplate(spec.jobTemplate.spec.template);
    }
  },
  initialStatus: () => ({}),
  validate({ spec }, errors) {
    if (!spec.schedule) errors.required("spec.schedule");
    else if (!isSchedule(spec.schedule)) {
      const fields = spec.schedule.trim().split(/\s+/).length;
      errors.invalid(
        "spec.schedule",
        spec.schedule,
        fields === 5
          ? "failed to parse the schedule"
          : `expected exactly 5 fields, found ${fields}: [${spec.schedule.trim().split(/\s+/).join(" ")}]`,
      );
    }
    const policies = ["Allow", "Forbid", "Replace"];
    if (!policies.includes(spec.concurrencyPolicy)) errors.unsupported("spec.concurrencyPolicy", spec.concurrencyPolicy, policies);
    if (!spec.jobTemplate?.spec?.template) errors.required("spec.jobTemplate.spec.template");
    else validateJobSpec(spec.jobTemplate.spec, "spec.jobTemplate.spec", errors);
  },
};

const isSchedule = (text: string): boolean =>
  /^@(yearly|annually|monthly|weekly|daily|midnight|hourly|every \S+)$/.test(text) || /^(\S+\s+){4}\S+$/.test(text.trim());
