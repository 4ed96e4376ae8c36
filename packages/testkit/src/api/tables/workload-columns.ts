import type { Json } from "../../json.ts";
import { age, ageColumn, type Column, duration, labelsText, NONE, nameColumn, selectorCell, templateColumns } from "./cells.ts";

const template = ({ spec }: Json): Json => spec.template;
const selector = ({ spec }: Json): string => selectorCell(spec.selector);
const integer = (name: string, value: (object: Json) => unknown): Column => ({
  name,
  type: "integer",
  value: (object) => value(object) ?? 0,
});

const replicaColumns: readonly Column[] = [
  nameColumn,
  integer("Desired", ({ spec }) => spec.replicas),
  integer("Current", ({ status }) => status?.replicas),
  integer("Ready", ({ status }) => status?.readyReplicas),
  ageColumn,
  ...templateColumns(template, ({ kind, spec }) =>
    kind === "ReplicationController" ? labelsText(spec.selector) : selectorCell(spec.selector),
  ),
];

function jobStatus({ metadata, status = {}, spec }: Json): string {
  const has = (type: string): boolean => (status.conditions ?? []).some((c: Json) => c.type === type && c.status === "True");
  if (has("Complete")) return "Complete";
  if (has("Failed")) return "Failed";
  if (metadata.deletionTimestamp) return "Terminating";
  if (has("Suspended") || spec.suspend) return "Suspended";
  if (has("FailureTarget")) return "FailureTarget";
  return has("SuccessCriteriaMet") ? "SuccessCriteriaMet" : "Running";
}

function completions({ spec, status }: Json): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
  return spec.parallelism > 1 ? `${succeeded}/1 of ${spec.parallelism}` : `${succeeded}/1`;
}

function jobDuration({ status }: Json, now: number): string {
  if (!status?.startTime) return "";
  return duration((status.completionTime ? Date.parse(status.completionTime) : now) - Date.parse(status.startTime));
}

export const WORKLOAD_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  "deployments.apps": [
    nameColumn,
    { name: "Ready", value: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas}` },
    integer("Up-to-date", ({ status }) => status?.updatedReplicas),
    integer("Available", ({ status }) => status?.availableReplicas),
    ageColumn,
    ...templateColumns(template, selector),
  ],
  "replicasets.apps": replicaColumns,
  replicationcontrollers: replicaColumns,
  "statefulsets.apps": [
    nameColumn,
    { name: "Ready", value: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas}` },
    ageColumn,
    ...templateColumns(template),
  ],
  "daemonsets.apps": [
    nameColumn,
    integer("Desired", ({ status }) => status?.desiredNumberScheduled),
    integer("Current", ({ status }) => status?.currentNumberScheduled),
    integer("Ready", ({ status }) => status?.numberReady),
    integer("Up-to-date", ({ status }) => status?.updatedNumberScheduled),
    integer("Available", ({ status }) => status?.numberAvailable),
    { name: "Node Selector", value: ({ spec }) => labelsText(spec.template.spec.nodeSelector) },
    ageColumn,
    ...templateColumns(template, selector),
  ],
  "jobs.batch": [
    nameColumn,
    { name: "Status", value: jobStatus },
    { name: "Completions", value: completions },
    { name: "Duration", value: jobDuration },
    ageColumn,
    ...templateColumns(template, selector),
  ],
  "cronjobs.batch": [
    nameColumn,
    { name: "Schedule", value: ({ spec }) => spec.schedule },
    { name: "Timezone", value: ({ spec }) => spec.timeZone ?? NONE },
    { name: "Suspend", type: "boolean", value: ({ spec }) => (spec.suspend ? "True" : "False") },
    { name: "Active", type: "integer", value: ({ status }) => (status?.active ?? []).length },
    {
      name: "Last Schedule",
      value: ({ status }, now) => (status?.lastScheduleTime ? age(status.lastScheduleTime, now) : NONE),
    },
    ageColumn,
    ...templateColumns(
      ({ spec }) => spec.jobTemplate.spec.template,
      ({ spec }) => selectorCell(spec.jobTemplate.spec.selector),
    ),
  ],
  "scales.autoscaling": [
    nameColumn,
    integer("Desired", ({ spec }) => spec.replicas),
    integer("Available", ({ status }) => status.replicas),
    ageColumn,
  ],
  "controllerrevisions.apps": [
    nameColumn,
    {
      name: "Controller",
      value({ metadata }) {
        const owner = (metadata.ownerReferences ?? []).find((reference: Json) => reference.controller);
        if (!owner) return NONE;
        const group = String(owner.apiVersion).split("/").reverse()[1];
        return `${owner.kind.toLowerCase()}${group ? `.${group}` : ""}/${owner.name}`;
      },
    },
    { name: "Revision", type: "integer", value: ({ revision }) => revision },
    ageColumn,
  ],
};
