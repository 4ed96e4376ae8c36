import { posix } from "node:path";
import { parseQuantity } from "@shipside/core";
import type { Json } from "../../json.ts";
import { dnsLabel, dnsSubdomain, type FieldErrors, qualifiedName, validateLabels } from "../validation.ts";
import { list } from "./strategy.ts";

const PROTOCOLS = ["SCTP", "TCP", "UDP"];
const RESTART = ["Always", "OnFailure", "Never"];
/** IANA_SVC_NAME, RFC 6335. */
const PORT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const ENV_NAME = /^[ -<>-~]+$/;

export function portNumber(port: unknown): string | undefined {
  return Number.isInteger(port) && (port as number) >= 1 && (port as number) <= 65535
    ? undefined
    : "must be between 1 and 65535, inclusive";
}

export function portName(name: string): string | undefined {
  if (name.length > 15) return "must be no more than 15 characters";
  if (!PORT_NAME.test(name)) return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
  if (!/[a-z]/.test(name)) return "must contain at least one letter (a-z)";
  if (name.includes("--")) return "must not contain consecutive hyphens";
  return undefined;
}

/** `template`: only `Always` may be the restart policy there, unless it's a Job's. */
export function validatePodSpec(spec: Json, path: string, errors: FieldErrors, template: boolean | "job"): void {
  const volumes = validateVolumes(spec, path, errors);
  const containers = list(spec.containers);
  if (containers.length === 0) errors.required(`${path}.containers`);
  const names = new Set<string>();
  for (const [kind, items] of [
    ["containers", containers],
    ["initContainers", list(spec.initContainers)],
  ] as const) {
    items.forEach((container, i) => {
      validateContainer(container, `${path}.${kind}[${i}]`, errors, volumes);
      if (container.name && names.has(container.name)) errors.duplicate(`${path}.${kind}[${i}].name`, container.name);
      names.add(container.name);
    });
  }
  if (template === true && spec.restartPolicy !== "Always")
    errors.unsupported(`${path}.restartPolicy`, spec.restartPolicy, ["Always"]);
  else if (template === "job" && spec.restartPolicy === "Always") {
    errors.unsupported(`${path}.restartPolicy`, spec.restartPolicy, ["OnFailure", "Never"]);
  } else if (!RESTART.includes(spec.restartPolicy)) errors.unsupported(`${path}.restartPolicy`, spec.restartPolicy, RESTART);
  if (spec.terminationGracePeriodSeconds < 0) {
    errors.invalid(
      `${path}.terminationGracePeriodSeconds`,
      spec.terminationGracePeriodSeconds,
      "must be greater than or equal to 0",
    );
  }
  if (spec.serviceAccountName) check(errors, `${path}.serviceAccountName`, spec.serviceAccountName, dnsSubdomain);
  if (spec.nodeName) check(errors, `${path}.nodeName`, spec.nodeName, dnsSubdomain);
  if (spec.hostname) check(errors, `${path}.hostname`, spec.hostname, dnsLabel);
  if (spec.subdomain) check(errors, `${path}.subdomain`, spec.subdomain, dnsLabel);
  validateLabels(errors, `${path}.nodeSelector`, spec.nodeSelector);
}

function check(errors: FieldErrors, field: string, value: string, rule: (value: string) => string | undefined): void {
  const wrong = rule(value);
  if (wrong) errors.invalid(field, value, wrong);
}

function validateVolumes(spec: Json, path: string, errors: FieldErrors): Set<string> {
  const names = new Set<string>();
  list(spec.volumes).forEach((volume, i) => {
    const field = `${path}.volumes[${i}]`;
    if (!volume.name) errors.required(`${field}.name`);
    else {
      check(errors, `${field}.name`, volume.name, dnsLabel);
      if (names.has(volume.name)) errors.duplicate(`${field}.name`, volume.name);
      names.add(volume.name);
    }
    const sources = Object.keys(volume).filter((key) => key !== "name");
    if (sources.length === 0) errors.required(field, "must specify a volume type");
    if (sources.length > 1) errors.forbidden(`${field}.${sources[1]}`, "may not specify more than 1 volume type");
    if (volume.secret && !volume.secret.secretName) errors.required(`${field}.secret.secretName`);
    if (volume.configMap && !volume.configMap.name) errors.required(`${field}.configMap.name`);
    if (volume.persistentVolumeClaim && !volume.persistentVolumeClaim.claimName)
      errors.required(`${field}.persistentVolumeClaim.claimName`);
    if (volume.hostPath && !volume.hostPath.path) errors.required(`${field}.hostPath.path`);
    const projections = list(volume.projected?.sources).map((source, j) => ({
      items: source.downwardAPI?.items,
      at: `${field}.projected.sources[${j}].downwardAPI`,
    }));
    for (const { items, at } of [{ items: volume.downwardAPI?.items, at: `${field}.downwardAPI` }, ...projections]) {
      for (const { resourceFieldRef } of list(items)) {
        if (!resourceFieldRef) continue;
        if (!resourceFieldRef.containerName) errors.required(`${at}.containerName`);
        validateResourceReference(resourceFieldRef, `${at}.resourceFieldRef`, errors);
      }
    }
  });
  return names;
}

function validateContainer(container: Json, path: string, errors: FieldErrors, volumes: Set<string>): void {
  if (!container.name) errors.required(`${path}.name`);
  else check(errors, `${path}.name`, container.name, dnsLabel);
  if (!container.image) errors.required(`${path}.image`);
  else if (container.image !== container.image.trim()) {
    errors.invalid(`${path}.image`, container.image, "must not have leading or trailing whitespace");
  }
  const portNames = new Set<string>();
  list(container.ports).forEach((port, i) => {
    const field = `${path}.ports[${i}]`;
    if (port.name) {
      check(errors, `${field}.name`, port.name, portName);
      if (portNames.has(port.name)) errors.duplicate(`${field}.name`, port.name);
      portNames.add(port.name);
    }
    if (port.containerPort === undefined || port.containerPort === 0) errors.required(`${field}.containerPort`);
    else if (portNumber(port.containerPort))
      errors.invalid(`${field}.containerPort`, port.containerPort, portNumber(port.containerPort)!);
    if (!PROTOCOLS.includes(port.protocol)) errors.unsupported(`${field}.protocol`, port.protocol, PROTOCOLS);
  });
  for (const [i, variable] of list(container.env).entries()) validateVariable(variable, `${path}.env[${i}]`, errors);
  list(container.envFrom).forEach((source, i) => {
    const field = `${path}.envFrom[${i}]`;
    if (!source.configMapRef && !source.secretRef) errors.invalid(field, "", "must specify one of: `configMapRef` or `secretRef`");
    if (source.configMapRef && source.secretRef) errors.invalid(field, "", "may not have more than one field specified at a time");
    for (const kind of ["configMapRef", "secretRef"])
      if (source[kind] && !source[kind].name) errors.required(`${field}.${kind}.name`);
  });
  const mounts = new Set<string>();
  list(container.volumeMounts).forEach((mount, i) => {
    const field = `${path}.volumeMounts[${i}]`;
    if (!mount.name) errors.required(`${field}.name`);
    else if (!volumes.has(mount.name)) errors.notFound(`${field}.name`, mount.name);
    if (!mount.mountPath) errors.required(`${field}.mountPath`);
    else if (mounts.has(mount.mountPath)) errors.invalid(`${field}.mountPath`, mount.mountPath, "must be unique");
    mounts.add(mount.mountPath);
    for (const kind of ["subPath", "subPathExpr"]) {
      if (!mount[kind]) continue;
      if (posix.isAbsolute(mount[kind])) errors.invalid(`${field}.${kind}`, mount[kind], "must be a relative path");
      if (mount[kind].split("/").includes("..")) errors.invalid(`${field}.${kind}`, mount[kind], "must not contain '..'");
    }
    if (mount.subPath && mount.subPathExpr)
      errors.invalid(`${field}.subPathExpr`, mount.subPathExpr, "subPathExpr and subPath are mutually exclusive");
  });
  for (const kind of ["livenessProbe", "readinessProbe", "startupProbe"])
    validateProbe(container[kind], `${path}.${kind}`, errors, kind);
  validateResources(container.resources, `${path}.resources`, errors);
}

function validateVariable(variable: Json, field: string, errors: FieldErrors): void {
  if (!variable.name) errors.required(`${field}.name`);
  else if (!ENV_NAME.test(variable.name)) {
    errors.invalid(
      `${field}.name`,
      variable.name,
      "a valid environment variable name must consist only of printable ASCII characters other than '='",
    );
  }
  const from = variable.valueFrom;
  if (!from) return;
  const sources = Object.keys(from);
  if (sources.length === 0)
    errors.invalid(
      `${field}.valueFrom`,
      "",
      "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
    );
  if (variable.value) errors.invalid(`${field}.valueFrom`, "", "may not be specified when `value` is not empty");
  if (sources.length > 1) errors.invalid(`${field}.valueFrom`, "", "may not have more than one field specified at a time");
  for (const kind of ["configMapKeyRef", "secretKeyRef"]) {
    const ref = from[kind];
    if (!ref) continue;
    if (!ref.key) errors.required(`${field}.valueFrom.${kind}.key`);
    if (!ref.name) errors.required(`${field}.valueFrom.${kind}.name`);
  }
  if (from.resourceFieldRef) validateResourceReference(from.resourceFieldRef, `${field}.valueFrom.resourceFieldRef`, errors);
  const path = from.fieldRef?.fieldPath;
  if (from.fieldRef && !path) errors.required(`${field}.valueFrom.fieldRef.fieldPath`);
  else if (from.fieldRef && !FIELD_PATH.test(path)) {
    errors.invalid(`${field}.valueFrom.fieldRef.fieldPath`, path, `error converting fieldPath: field label not supported: ${path}`);
  }
}

const BYTES = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";

/** Whose amount a `resourceFieldRef` may show, and by what it may be divided. */
function validateResourceReference(ref: Json, field: string, errors: FieldErrors): void {
  const name: string = ref.resource ?? "";
  const what = /^(?:limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$/.exec(name)?.[1];
  if (!name) errors.required(`${field}.resource`);
  else if (!what) errors.unsupported(`${field}.resource`, name, RESOURCE_PATHS);
  const divisor = parseQuantity(ref.divisor ?? "0");
  if (!what || divisor === 0) return;
  const [values, title] =
    what === "cpu"
      ? ["1m and 1", "cpu"]
      : [BYTES, what === "ephemeral-storage" ? "local ephemeral storage" : what === "memory" ? "memory" : "hugepages"];
  if (!values.split(/, | and /).some((value) => parseQuantity(value) === divisor)) {
    errors.invalid(`${field}.divisor`, name, `only divisor's values ${values} are supported with the ${title} resource`);
  }
}

const RESOURCE_PATHS = ["limits", "requests"].flatMap((kind) =>
  ["cpu", "ephemeral-storage", "memory"].map((each) => `${kind}.${each}`),
);

const FIELD_PATH =
  /^(metadata\.(name|namespace|uid)|metadata\.(labels|annotations)\['[^']+'\]|spec\.(nodeName|serviceAccountName|restartPolicy|schedulerName|hostNetwork)|status\.(hostIP|hostIPs|podIP|podIPs|phase))$/;

function validateProbe(probe: Json, path: string, errors: FieldErrors, kind: string): void {
  if (!probe) return;
  const handlers = ["exec", "httpGet", "tcpSocket", "grpc"].filter((name) => probe[name]);
  if (handlers.length === 0) errors.required(path, "must specify a handler type");
  for (const second of handlers.slice(1)) errors.forbidden(`${path}.${second}`, "may not specify more than 1 handler type");
  if (probe.exec && list(probe.exec.command).length === 0) errors.required(`${path}.exec.command`);
  for (const name of ["httpGet", "tcpSocket"]) {
    const port = probe[name]?.port;
    if (probe[name] === undefined) continue;
    if (typeof port === "string") {
      if (portName(port)) errors.invalid(`${path}.${name}.port`, port, portName(port)!);
    } else if (portNumber(port)) errors.invalid(`${path}.${name}.port`, port ?? 0, portNumber(port)!);
  }
  for (const name of ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]) {
    if (probe[name] < 0) errors.invalid(`${path}.${name}`, probe[name], "must be greater than or equal to 0");
  }
  if (kind !== "readinessProbe" && probe.successThreshold !== undefined && probe.successThreshold !== 1) {
    errors.invalid(`${path}.successThreshold`, probe.successThreshold, "must be 1");
  }
}

const QUANTITY = /^[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/;

function validateResources(resources: Json, path: string, errors: FieldErrors): void {
  for (const kind of ["limits", "requests"]) {
    for (const [name, amount] of Object.entries(resources?.[kind] ?? {})) {
      if (qualifiedName(name)) errors.invalid(`${path}.${kind}`, name, qualifiedName(name)!);
      if (!QUANTITY.test(String(amount))) {
        errors.invalid(
          `${path}.${kind}[${name}]`,
          amount,
          "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        );
      }
    }
  }
}
