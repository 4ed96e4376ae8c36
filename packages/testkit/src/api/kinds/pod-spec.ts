import type { Json } from "../../json.ts";
import { fill, list } from "./strategy.ts";

/** The defaults of a pod's spec, in a pod or in a template (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go says which). */
export function defaultPodSpec(spec: Json): void {
  fill(spec, {
    restartPolicy: "Always",
    dnsPolicy: "ClusterFirst",
    terminationGracePeriodSeconds: 30,
    securityContext: {},
    schedulerName: "default-scheduler",
  });
  if (spec.serviceAccountName && !spec.serviceAccount) spec.serviceAccount = spec.serviceAccountName;
  if (spec.serviceAccount && !spec.serviceAccountName) spec.serviceAccountName = spec.serviceAccount;
  for (const container of [...list(spec.initContainers), ...list(spec.containers), ...list(spec.ephemeralContainers)]) {
    defaultContainer(container, spec);
  }
  for (const volume of list(spec.volumes)) defaultVolume(volume);
  for (const constraint of list(spec.topologySpreadConstraints)) {
    fill(constraint, { nodeAffinityPolicy: "Honor", nodeTaintsPolicy: "Ignore" });
  }
}

/** `latest`, or no tag at all, is pulled always. */
function pullPolicy(image: unknown): string {
  const name = String(image ?? "");
  if (name.includes("@")) return "IfNotPresent";
  const tag = /:([^/:]+)$/.exec(name)?.[1] ?? "latest";
  return tag === "latest" ? "Always" : "IfNotPresent";
}

function defaultContainer(container: Json, spec: Json): void {
  fill(container, {
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: pullPolicy(container.image),
    resources: {},
  });
  for (const port of list(container.ports)) {
    fill(port, { protocol: "TCP" });
    if (spec.hostNetwork) fill(port, { hostPort: port.containerPort });
  }
  for (const variable of list(container.env)) {
    const field = variable.valueFrom?.fieldRef;
    if (field) fill(field, { apiVersion: "v1" });
    const resource = variable.valueFrom?.resourceFieldRef;
    if (resource) fill(resource, { divisor: "0" });
    const file = variable.valueFrom?.fileKeyRef;
    if (file) fill(file, { optional: false });
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (!probe) continue;
    fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
    if (probe.httpGet) fill(probe.httpGet, { path: "/", scheme: "HTTP" });
    if (probe.grpc) fill(probe.grpc, { service: "" });
  }
  for (const hook of [container.lifecycle?.postStart, container.lifecycle?.preStop]) {
    if (hook?.httpGet) fill(hook.httpGet, { path: "/", scheme: "HTTP" });
  }
  const { limits, requests } = container.resources;
  if (limits) container.resources.requests = { ...limits, ...requests };
}

function defaultVolume(volume: Json): void {
  if (Object.keys(volume).length === 1) volume.emptyDir = {};
  for (const source of [volume.configMap, volume.secret, volume.projected, volume.downwardAPI]) {
    if (source) fill(source, { defaultMode: 0o644 });
  }
  const projections = list(volume.projected?.sources);
  for (const { serviceAccountToken } of projections)
    if (serviceAccountToken) fill(serviceAccountToken, { expirationSeconds: 3600 });
  for (const source of [volume.downwardAPI, ...projections.map((projection) => projection.downwardAPI)]) {
    for (const item of list(source?.items)) {
      if (item.fieldRef) fill(item.fieldRef, { apiVersion: "v1" });
      if (item.resourceFieldRef) fill(item.resourceFieldRef, { divisor: "0" });
    }
  }
  if (volume.hostPath) fill(volume.hostPath, { type: "" });
  const claim = volume.ephemeral?.volumeClaimTemplate?.spec;
  if (claim) fill(claim, { volumeMode: "Filesystem" });
}

/** A pod template's metadata says nothing of creation, which Go encodes as null. */
export function defaultTemplate(template: Json): void {
  if (!template) return;
  template.spec ??= {};
  template.metadata ??= {};
  defaultPodSpec(template.spec);
}
