import type { Json } from "../../json.ts";
import { age, ageColumn, type Column, createdColumn, NONE, nameColumn } from "./cells.ts";

const ROLE_LABEL = "node-role.kubernetes.io/";
const UNKNOWN = "<unknown>";

function nodeStatus({ status, spec }: Json): string {
  const ready = (status?.conditions ?? []).find((condition: Json) => condition.type === "Ready");
  const words = [ready ? (ready.status === "True" ? "Ready" : "NotReady") : "Unknown"];
  if (spec?.unschedulable) words.push("SchedulingDisabled");
  return words.join(",");
}

const nodeRoles = ({ metadata }: Json): string =>
  Object.keys(metadata.labels ?? {})
    .filter((key) => key.startsWith(ROLE_LABEL) && key.length > ROLE_LABEL.length)
    .map((key) => key.slice(ROLE_LABEL.length))
    .sort()
    .join(",") || NONE;

const nodeAddress =
  (type: string) =>
  ({ status }: Json): string =>
    (status?.addresses ?? []).find((address: Json) => address.type === type)?.address ?? NONE;

const MODES: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};
const accessModes = (modes: string[] | undefined): string => (modes ?? []).map((mode) => MODES[mode] ?? mode).join(",");

/** When an event was last seen, with how often where that is more than once. */
function lastSeen({ lastTimestamp, firstTimestamp, eventTime, series, count }: Json, now: number): string {
  if (series) return `${age(series.lastObservedTime, now)} (x${series.count} over ${age(eventTime, now)})`;
  if (!lastTimestamp) return age(firstTimestamp ?? eventTime, now);
  return count > 1 ? `${age(lastTimestamp, now)} (x${count} over ${age(firstTimestamp, now)})` : age(lastTimestamp, now);
}

const bindingColumns: readonly Column[] = [
  nameColumn,
  { name: "Role", value: ({ roleRef }) => `${roleRef.kind}/${roleRef.name}` },
  ageColumn,
  { name: "Users", wide: true, value: (object) => subjects(object, "User") },
  { name: "Groups", wide: true, value: (object) => subjects(object, "Group") },
  { name: "ServiceAccounts", wide: true, value: (object) => subjects(object, "ServiceAccount") },
];

const subjects = (object: Json, kind: string): string =>
  ((object.subjects ?? []) as Json[])
    .filter((subject) => subject.kind === kind)
    .map(({ namespace, name }) => (kind === "ServiceAccount" ? `${namespace}/${name}` : name))
    .join(", ");

/** Kinds that belong to the cluster or to no workload. */
export const CLUSTER_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  namespaces: [nameColumn, { name: "Status", value: ({ status }) => status?.phase ?? "" }, ageColumn],
  configmaps: [
    nameColumn,
    { name: "Data", type: "integer", value: ({ data, binaryData }) => Object.keys({ ...data, ...binaryData }).length },
    ageColumn,
  ],
  secrets: [
    nameColumn,
    { name: "Type", value: ({ type }) => type },
    { name: "Data", type: "integer", value: ({ data }) => Object.keys(data ?? {}).length },
    ageColumn,
  ],
  serviceaccounts: [nameColumn, { name: "Secrets", type: "integer", value: ({ secrets }) => (secrets ?? []).length }, ageColumn],
  nodes: [
    nameColumn,
    { name: "Status", value: nodeStatus },
    { name: "Roles", value: nodeRoles },
    ageColumn,
    { name: "Version", value: ({ status }) => status?.nodeInfo?.kubeletVersion ?? "" },
    { name: "Internal-IP", wide: true, value: nodeAddress("InternalIP") },
    { name: "External-IP", wide: true, value: nodeAddress("ExternalIP") },
    { name: "OS-Image", wide: true, value: ({ status }) => status?.nodeInfo?.osImage || UNKNOWN },
    { name: "Kernel-Version", wide: true, value: ({ status }) => status?.nodeInfo?.kernelVersion || UNKNOWN },
    { name: "Container-Runtime", wide: true, value: ({ status }) => status?.nodeInfo?.containerRuntimeVersion || UNKNOWN },
  ],
  events: [
    { name: "Last Seen", value: lastSeen },
    { name: "Type", value: ({ type }) => type },
    { name: "Reason", value: ({ reason }) => reason },
    { name: "Object", value: ({ involvedObject }) => `${String(involvedObject.kind).toLowerCase()}/${involvedObject.name}` },
    { name: "Subobject", wide: true, value: ({ involvedObject }) => involvedObject.fieldPath ?? "" },
    {
      name: "Source",
      wide: true,
      value: ({ source, reportingComponent }) => [source?.component || reportingComponent, source?.host].filter(Boolean).join(", "),
    },
    { name: "Message", value: ({ message }) => String(message ?? "").trim() },
    { name: "First Seen", wide: true, value: ({ firstTimestamp, eventTime }, now) => age(firstTimestamp ?? eventTime, now) },
    { name: "Count", type: "integer", wide: true, value: ({ count, series }) => series?.count ?? count ?? 1 },
    { ...nameColumn, wide: true },
  ],
  persistentvolumes: [
    nameColumn,
    { name: "Capacity", value: ({ spec }) => spec.capacity?.storage ?? "" },
    { name: "Access Modes", value: ({ spec }) => accessModes(spec.accessModes) },
    { name: "Reclaim Policy", value: ({ spec }) => spec.persistentVolumeReclaimPolicy },
    { name: "Status", value: ({ metadata, status }) => (metadata.deletionTimestamp ? "Terminating" : status?.phase) },
    { name: "Claim", value: ({ spec }) => (spec.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : "") },
    { name: "StorageClass", value: ({ spec }) => spec.storageClassName ?? "" },
    { name: "VolumeAttributesClass", value: ({ spec }) => spec.volumeAttributesClassName ?? "<unset>" },
    { name: "Reason", value: ({ status }) => status?.reason ?? "" },
    ageColumn,
    { name: "VolumeMode", wide: true, value: ({ spec }) => spec.volumeMode ?? "<unset>" },
  ],
  persistentvolumeclaims: [
    nameColumn,
    { name: "Status", value: ({ metadata, status }) => (metadata.deletionTimestamp ? "Terminating" : status?.phase) },
    { name: "Volume", value: ({ spec }) => spec.volumeName ?? "" },
    { name: "Capacity", value: ({ spec, status }) => (spec.volumeName ? (status?.capacity?.storage ?? "0") : "") },
    { name: "Access Modes", value: ({ spec, status }) => (spec.volumeName ? accessModes(status?.accessModes) : "") },
    { name: "StorageClass", value: ({ spec }) => spec.storageClassName ?? "" },
    { name: "VolumeAttributesClass", value: ({ spec }) => spec.volumeAttributesClassName ?? "<unset>" },
    ageColumn,
    { name: "VolumeMode", wide: true, value: ({ spec }) => spec.volumeMode ?? "<unset>" },
  ],
  "storageclasses.storage.k8s.io": [
    {
      ...nameColumn,
      value: ({ metadata }) =>
        metadata.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true"
          ? `${metadata.name} (default)`
          : metadata.name,
    },
    { name: "Provisioner", value: ({ provisioner }) => provisioner },
    { name: "ReclaimPolicy", value: ({ reclaimPolicy }) => reclaimPolicy },
    { name: "VolumeBindingMode", value: ({ volumeBindingMode }) => volumeBindingMode },
    { name: "AllowVolumeExpansion", type: "boolean", value: ({ allowVolumeExpansion }) => allowVolumeExpansion ?? false },
    ageColumn,
  ],
  "roles.rbac.authorization.k8s.io": [nameColumn, createdColumn],
  "clusterroles.rbac.authorization.k8s.io": [nameColumn, createdColumn],
  "rolebindings.rbac.authorization.k8s.io": bindingColumns,
  "clusterrolebindings.rbac.authorization.k8s.io": bindingColumns,
  "customresourcedefinitions.apiextensions.k8s.io": [nameColumn, createdColumn],
  limitranges: [nameColumn, createdColumn],
  "leases.coordination.k8s.io": [nameColumn, { name: "Holder", value: ({ spec }) => spec?.holderIdentity ?? "" }, ageColumn],
  "poddisruptionbudgets.policy": [
    nameColumn,
    { name: "Min Available", value: ({ spec }) => String(spec.minAvailable ?? "N/A") },
    { name: "Max Unavailable", value: ({ spec }) => String(spec.maxUnavailable ?? "N/A") },
    { name: "Allowed Disruptions", type: "integer", value: ({ status }) => status?.disruptionsAllowed ?? 0 },
    ageColumn,
  ],
  "priorityclasses.scheduling.k8s.io": [
    nameColumn,
    { name: "Value", type: "integer", value: ({ value }) => value },
    { name: "Global-Default", type: "boolean", value: ({ globalDefault }) => globalDefault ?? false },
    ageColumn,
    { name: "PreemptionPolicy", value: ({ preemptionPolicy }) => preemptionPolicy ?? "PreemptLowerPriority" },
  ],
};
