import { sameJson } from "../../json.ts";
import { dnsLabel, pathSegment } from "../validation.ts";
import { fill, list, type Strategy } from "./strategy.ts";

export const namespace: Strategy = {
  name: dnsLabel,
  defaults(object) {
    object.spec ??= {};
    fill(object.metadata, { labels: {} });
    object.metadata.labels["kubernetes.io/metadata.name"] = object.metadata.name;
  },
  create: (object) => fill(object.spec, { finalizers: ["kubernetes"] }),
  validate({ metadata }, errors) {
    for (const mode of ["enforce", "audit", "warn"]) {
      const key = `pod-security.kubernetes.io/${mode}`;
      const level: string | undefined = metadata.labels?.[key];
      if (level !== undefined && !["privileged", "baseline", "restricted"].includes(level))
        errors.invalid(`metadata.labels[${key}]`, level, "must be one of privileged, baseline, restricted");
    }
  },
  // Only the finalize subresource takes them off.
  update(object, old) {
    object.spec.finalizers = old["spec"]?.finalizers;
  },
  initialStatus: () => ({ phase: "Active" }),
};

export const persistentVolumeClaim: Strategy = {
  defaults: ({ spec }) => fill(spec, { volumeMode: "Filesystem" }),
  create({ spec }, { store }) {
    if (spec.storageClassName !== undefined) return;
    const standard = store
      .list("storageclasses.storage.k8s.io")
      .find((candidate) => candidate.metadata.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true");
    if (standard) spec.storageClassName = standard.metadata.name;
  },
  initialStatus: () => ({ phase: "Pending" }),
  validate({ spec }, errors, old) {
    if (list(spec?.accessModes).length === 0) errors.required("spec.accessModes", "at least 1 access mode is required");
    if (!spec?.resources?.requests?.storage) errors.required("spec.resources[storage]");
    const { resources: _r, volumeName: _v, ...now } = spec ?? {};
    const { resources: _or, volumeName: _ov, ...was } = old?.["spec"] ?? {};
    if (old && !sameJson(now, was)) {
      errors.forbidden(
        "spec",
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
      );
    }
  },
};

export const persistentVolume: Strategy = {
  defaults: ({ spec }) => fill(spec, { persistentVolumeReclaimPolicy: "Retain", volumeMode: "Filesystem" }),
  initialStatus: () => ({ phase: "Available" }),
};

/** KEP-3257: those of a signer carry its name, with `:` in place of `/`. */
export const clusterTrustBundle: Strategy = {
  name: pathSegment,
  validate({ metadata, spec }, errors) {
    if (!/-----BEGIN CERTIFICATE-----/.test(spec?.trustBundle ?? ""))
      errors.invalid("spec.trustBundle", "<value omitted>", "at least one trust anchor must be provided");
    const prefix = spec?.signerName ? `${spec.signerName.replace("/", ":")}:` : "";
    if (!metadata.name?.startsWith(prefix))
      errors.invalid(
        "metadata.name",
        metadata.name,
        `ClusterTrustBundle for signerName ${spec.signerName} must be named with prefix ${prefix}`,
      );
  },
};

export const storageClass: Strategy = {
  defaults: (object) => fill(object, { reclaimPolicy: "Delete", volumeBindingMode: "Immediate" }),
  validate(object, errors) {
    if (!object.provisioner) errors.required("provisioner");
  },
};

export const priorityClass: Strategy = {
  defaults: (object) => fill(object, { preemptionPolicy: "PreemptLowerPriority" }),
};

const RBAC_GROUP = "rbac.authorization.k8s.io";

export const role: Strategy = {
  name: pathSegment,
  validate(object, errors) {
    list(object.rules).forEach((rule, i) => {
      if (list(rule.verbs).length === 0) errors.required(`rules[${i}].verbs`, "verbs must contain at least one value");
      if (list(rule.nonResourceURLs).length > 0) {
        if (object.kind === "Role")
          errors.invalid(`rules[${i}].nonResourceURLs`, rule.nonResourceURLs, "namespaced rules cannot apply to non-resource URLs");
        return;
      }
      if (list(rule.apiGroups).length === 0)
        errors.required(`rules[${i}].apiGroups`, "resource rules must supply at least one api group");
      if (list(rule.resources).length === 0)
        errors.required(`rules[${i}].resources`, "resource rules must supply at least one resource");
    });
  },
};

export const binding: Strategy = {
  name: pathSegment,
  defaults(object) {
    if (object.roleRef) fill(object.roleRef, { apiGroup: RBAC_GROUP });
    for (const subject of list(object.subjects)) if (subject.kind !== "ServiceAccount") fill(subject, { apiGroup: RBAC_GROUP });
  },
  validate(object, errors, old) {
    const kinds = object.kind === "RoleBinding" ? ["ClusterRole", "Role"] : ["ClusterRole"];
    if (!object.roleRef?.name) errors.required("roleRef.name");
    if (!kinds.includes(object.roleRef?.kind)) errors.unsupported("roleRef.kind", object.roleRef?.kind, kinds);
    list(object.subjects).forEach((subject, i) => {
      const subjects = ["ServiceAccount", "User", "Group"];
      if (!subject.name) errors.required(`subjects[${i}].name`);
      if (!subjects.includes(subject.kind)) errors.unsupported(`subjects[${i}].kind`, subject.kind, subjects);
      if (subject.kind === "ServiceAccount" && !subject.namespace && object.kind === "ClusterRoleBinding")
        errors.required(`subjects[${i}].namespace`);
    });
    if (old && !sameJson(old["roleRef"], object.roleRef)) errors.invalid("roleRef", object.roleRef, "cannot change roleRef");
  },
};

export const endpointSlice: Strategy = {
  defaults(object) {
    for (const port of list(object.ports)) fill(port, { name: "", protocol: "TCP" });
    object.endpoints ??= [];
  },
  validate(object, errors, old) {
    const types = ["FQDN", "IPv4", "IPv6"];
    if (!object.addressType) errors.required("addressType");
    else if (!types.includes(object.addressType)) errors.unsupported("addressType", object.addressType, types);
    if (old && old["addressType"] !== object.addressType) errors.invalid("addressType", object.addressType, "field is immutable");
    list(object.endpoints).forEach((endpoint, i) => {
      if (list(endpoint.addresses).length === 0) errors.required(`endpoints[${i}].addresses`, "must contain at least 1 address");
    });
  },
};

export const endpoints: Strategy = {
  defaults(object) {
    for (const subset of list(object.subsets)) for (const port of list(subset.ports)) fill(port, { protocol: "TCP" });
  },
};

export const ingress: Strategy = {
  initialStatus: () => ({ loadBalancer: {} }),
  validate({ spec }, errors) {
    if (!spec?.defaultBackend && list(spec?.rules).length === 0) {
      errors.invalid("spec", [], "either `defaultBackend` or `rules` must be specified");
    }
    list(spec?.rules).forEach((rule, i) => {
      list(rule.http?.paths).forEach((path, j) => {
        const types = ["Exact", "ImplementationSpecific", "Prefix"];
        const field = `spec.rules[${i}].http.paths[${j}].pathType`;
        if (!path.pathType) errors.required(field, "pathType must be specified");
        else if (!types.includes(path.pathType)) errors.unsupported(field, path.pathType, types);
      });
    });
  },
};

export const podDisruptionBudget: Strategy = {
  initialStatus: () => ({ disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 }),
  validate({ spec }, errors) {
    if (spec?.minAvailable !== undefined && spec?.maxUnavailable !== undefined) {
      errors.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set");
    }
  },
};

/** A container's limits that aren't said are what it may have at most, its requests what it gets as limits (v1/defaults.go says so). */
export const limitRange: Strategy = {
  defaults({ spec }) {
    for (const item of list(spec?.limits)) {
      if (item.type !== "Container") continue;
      item.default = { ...item.max, ...item.default };
      item.defaultRequest = { ...item.min, ...item.default, ...item.defaultRequest };
    }
  },
};

export const resourceQuota: Strategy = { initialStatus: () => ({}) };

export const node: Strategy = { initialStatus: () => ({}) };
export const customResourceDefinition: Strategy = {
  initialStatus: () => ({}),
  validate(object, errors) {
    const { names, group, scope, versions } = object.spec ?? {};
    if (object.metadata.name !== `${names?.plural}.${group}`) {
      errors.invalid("metadata.name", object.metadata.name, `must be spec.names.plural+"."+spec.group`);
    }
    if (!["Cluster", "Namespaced"].includes(scope)) errors.unsupported("spec.scope", scope, ["Cluster", "Namespaced"]);
    if (list(versions).filter((version) => version.storage).length !== 1) {
      errors.invalid("spec.versions", versions, "must have exactly one version marked as storage version");
    }
  },
};
