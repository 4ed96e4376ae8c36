import { randomInt } from "node:crypto";
import type { Json } from "../../json.ts";
import { sameJson } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import { StatusError } from "../status.ts";
import type { FieldErrors } from "../validation.ts";
import { defaultPodSpec } from "./pod-spec.ts";
import { validatePodSpec } from "./pod-validation.ts";
import { fill, list, type Strategy, type Surroundings } from "./strategy.ts";

const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** Five characters that make no words, as `generateName` appends. */
export const randomSuffix = (length = 5): string => Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");

const MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

export const pod: Strategy = {
  defaults(object) {
    object.spec ??= {};
    defaultPodSpec(object.spec);
    fill(object.spec, { enableServiceLinks: true });
  },
  create(object, around) {
    const { spec } = object;
    serviceAccount(object, around);
    fill(spec, { preemptionPolicy: "PreemptLowerPriority", priority: 0 });
    spec.tolerations = list(spec.tolerations);
    for (const key of ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]) {
      const tolerated = spec.tolerations.some(
        (toleration: Json) =>
          (toleration.key === key || !toleration.key) && (toleration.effect === "NoExecute" || !toleration.effect),
      );
      if (!tolerated) spec.tolerations.push({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 });
    }
  },
  initialStatus: (object) => ({ phase: "Pending", qosClass: qosClass(object.spec) }),
  validate(object, errors, old) {
    validatePodSpec(object.spec, "spec", errors, false);
    if (old) validateUpdate(object, old, errors);
  },
};

/** The ServiceAccount admission: an account, its pull secrets, and its token as a volume of every container. */
function serviceAccount(object: Json, { store }: Surroundings): void {
  const { spec, metadata } = object;
  if (metadata.annotations?.["kubernetes.io/config.mirror"]) return;
  spec.serviceAccountName ||= "default";
  spec.serviceAccount = spec.serviceAccountName;
  const account = store.get("serviceaccounts", metadata.namespace, spec.serviceAccountName);
  if (!account) {
    throw new StatusError(
      403,
      "Forbidden",
      `pods "${metadata.name}" is forbidden: error looking up service account ${metadata.namespace}/${spec.serviceAccountName}: ` +
        `serviceaccount "${spec.serviceAccountName}" not found`,
      { name: metadata.name, kind: "pods" },
    );
  }
  if (!spec.imagePullSecrets?.length && account["imagePullSecrets"]) spec.imagePullSecrets = account["imagePullSecrets"];
  const automount = spec.automountServiceAccountToken ?? account["automountServiceAccountToken"] ?? true;
  if (!automount) return;
  const containers = [...list(spec.initContainers), ...list(spec.containers)];
  const without = containers.filter((container) => !list(container.volumeMounts).some((mount) => mount.mountPath === MOUNT_PATH));
  if (without.length === 0) return;
  const name = `kube-api-access-${randomSuffix()}`;
  spec.volumes = [...list(spec.volumes), { name, projected: accessVolume() }];
  for (const container of without) {
    container.volumeMounts = [...list(container.volumeMounts), { name, readOnly: true, mountPath: MOUNT_PATH }];
  }
}

const accessVolume = (): Json => ({
  defaultMode: 0o644,
  sources: [
    { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
    { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
    { downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] } },
  ],
});

function qosClass(spec: Json): string {
  const containers = [...list(spec.initContainers), ...list(spec.containers)];
  const amounts = (kind: string): Json[] => containers.map((container) => container.resources?.[kind] ?? {});
  const [requests, limits] = [amounts("requests"), amounts("limits")];
  const any = [...requests, ...limits].some((amount) => amount.cpu || amount.memory);
  if (!any) return "BestEffort";
  const guaranteed = limits.every(
    (limit, i) => limit.cpu && limit.memory && requests[i].cpu === limit.cpu && requests[i].memory === limit.memory,
  );
  return guaranteed ? "Guaranteed" : "Burstable";
}

/** Of a pod's spec hardly anything may change. */
function validateUpdate(object: Json, old: KubeJson, errors: FieldErrors): void {
  const mutable = (spec: Json): Json => ({
    ...spec,
    activeDeadlineSeconds: undefined,
    terminationGracePeriodSeconds: undefined,
    tolerations: undefined,
    nodeName: old["spec"].nodeName ? spec.nodeName : undefined,
    ephemeralContainers: undefined,
    containers: list(spec.containers).map((container) => ({ ...container, image: undefined })),
    initContainers: spec.initContainers && list(spec.initContainers).map((container) => ({ ...container, image: undefined })),
  });
  if (!sameJson(mutable(object.spec), mutable(old["spec"]))) {
    errors.forbidden(
      "spec",
      "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`," +
        "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was " +
        "previously negative)",
    );
  }
}
