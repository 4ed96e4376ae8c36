import type { EnvEntry, EnvOrigin } from "@shipside/core";
import type { ConfigMap, Container, EnvVar, Secret } from "@shipside/kube";
import { fieldValue, type PodFacts, resourceValue } from "./downward.ts";
import { decodeText } from "./environ.ts";
import { envError } from "./errors.ts";
import { expand } from "./expand.ts";
import type { FileValue } from "./file-values.ts";

/** Something of the env that could not be told, or that the kubelet leaves out. Nothing of it is in the entries. */
export interface EnvWarning {
  /** FORBIDDEN: no right to read it. NEEDS_POD: only a running pod could say, and none does. The others: the kubelet can't pass it on either. */
  reason: "FORBIDDEN" | "NEEDS_POD" | "INVALID_NAME" | "NOT_TEXT";
  /** The variable, where it is known. */
  name?: string;
  message: string;
}

export interface EnvInputs {
  facts: PodFacts;
  /** In the order in which they are shown. */
  services: readonly EnvEntry[];
  /** Undefined: it doesn't exist. "forbidden": it may not be read, and that is accepted. */
  configMap(name: string): ConfigMap | "forbidden" | undefined;
  secret(name: string): Secret | "forbidden" | undefined;
  /** What a variable with a `fileKeyRef` has. Absent: no running pod was asked. */
  file?(variable: EnvVar): FileValue;
  /**
   * Whether names may be any printable ASCII but `=`, as since Kubernetes 1.34 (KEP-4369; by default since 1.32), or are letters,
   * digits, `_`, `-` and `.` and begin with no digit, as before.
   */
  relaxedNames: boolean;
}

const RELAXED_NAME = /^[ -<>-~]+$/;
const STRICT_NAME = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;

/**
 * A container's environment as the kubelet makes it: `envFrom` in order, then `env` in order, later ones winning; `$(NAME)` sees what
 * stands before it and the service links; service links that nothing overrides come last. Pure.
 *
 * A value that can't be known here takes those with it that refer to it: a half-expanded value would be a wrong one.
 * Throws `ENV_REFERENCE_MISSING` (details: `missing`), `ENV_FIELD_UNKNOWN`.
 */
export function containerEnv(container: Container, inputs: EnvInputs): { entries: EnvEntry[]; warnings: EnvWarning[] } {
  const own = new Map<string, EnvEntry>();
  const services = new Map(inputs.services.map((entry) => [entry.name, entry]));
  const unknown = new Set<string>();
  /** An object whose very keys are unknown was left out: any name may have been in it. */
  let anyUnknown = false;
  const warnings: EnvWarning[] = [];
  const missing: string[] = [];
  const warn = (reason: EnvWarning["reason"], message: string, name?: string): void => {
    warnings.push({ reason, message, ...(name !== undefined && { name }) });
  };
  const set = (entry: EnvEntry): void => {
    unknown.delete(entry.name);
    own.set(entry.name, entry);
  };
  const unset = (name: string, reason: EnvWarning["reason"], why: string): void => {
    own.delete(name);
    unknown.add(name);
    warn(reason, `${name} is left out: ${why}`, name);
  };

  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const ref = configMapRef ?? secretRef;
    if (!ref) continue;
    const kind = configMapRef ? "ConfigMap" : "Secret";
    const object = configMapRef ? inputs.configMap(ref.name) : inputs.secret(ref.name);
    if (object === undefined) {
      if (!ref.optional) missing.push(`${kind} ${ref.name}`);
      continue;
    }
    if (object === "forbidden") {
      anyUnknown = true;
      warn("FORBIDDEN", `everything of ${kind} ${ref.name} is left out: it may not be read`);
      continue;
    }
    for (const key of Object.keys(object.data ?? {}).sort()) {
      const name = prefix + key;
      const origin: EnvOrigin = { from: configMapRef ? "configMap" : "secret", name: ref.name, key };
      if (!(inputs.relaxedNames ? RELAXED_NAME : STRICT_NAME).test(name)) {
        warn("INVALID_NAME", `key ${key} of ${kind} ${ref.name} is left out: ${JSON.stringify(name)} can't be a variable`, name);
        continue;
      }
      const value = textOf(object, key, origin.from === "secret");
      if (value === undefined) unset(name, "NOT_TEXT", `key ${key} of ${kind} ${ref.name} is not UTF-8 text without NUL`);
      else set({ name, value, origin, ...(origin.from === "secret" && { sensitive: true }) });
    }
  }

  for (const variable of container.env ?? []) {
    const { name, value, valueFrom } = variable;
    if (value || !valueFrom) {
      let sensitive = false;
      const gaps: string[] = [];
      const expanded = expand(value ?? "", (other) => {
        const found = own.get(other) ?? (unknown.has(other) ? undefined : services.get(other));
        if (found?.sensitive) sensitive = true;
        if (!found && (anyUnknown || unknown.has(other))) gaps.push(other);
        return found?.value;
      });
      if (gaps.length > 0) unset(name, "FORBIDDEN", `it refers to ${gaps.join(", ")}, which can't be told`);
      else
        set({ name, value: expanded, origin: { from: "literal", container: container.name }, ...(sensitive ? { sensitive } : {}) });
    } else if (valueFrom.configMapKeyRef || valueFrom.secretKeyRef) fromKey(variable);
    else if (valueFrom.fieldRef) {
      const { fieldPath } = valueFrom.fieldRef;
      const pod = inputs.facts.pod?.metadata.name;
      const found = fieldValue(inputs.facts, fieldPath);
      if (found === undefined) unset(name, "NEEDS_POD", `only a running pod has ${fieldPath}`);
      else set({ name, value: found, origin: { from: "field", path: fieldPath, ...(pod !== undefined && { pod }) } });
    } else if (valueFrom.resourceFieldRef) {
      const { resource, containerName } = valueFrom.resourceFieldRef;
      const found = resourceValue(inputs.facts, container, valueFrom.resourceFieldRef);
      if (found === undefined)
        unset(name, "NEEDS_POD", `${resource} is not set, and only a running pod's node says what it is then`);
      else set({ name, value: found, origin: { from: "resource", resource, container: containerName || container.name } });
    } else if (valueFrom.fileKeyRef) fromFile(variable);
    else set({ name, value: "", origin: { from: "literal", container: container.name } });
  }

  function fromFile(variable: EnvVar): void {
    const ref = variable.valueFrom?.fileKeyRef;
    if (!ref) return;
    const { name } = variable;
    const { volumeName: volume, path, key } = ref;
    const found = inputs.file?.(variable) ?? { why: `it stands in the file ${path} of the pod's volume ${volume}` };
    if ("why" in found) unset(name, "NEEDS_POD", found.why);
    else if (found.value !== undefined) {
      // Nobody says what such a file holds; license keys and tokens are what KEP-3721 was made for.
      set({ name, value: found.value, origin: { from: "file", volume, path, key }, sensitive: true });
    } else if (!ref.optional) unset(name, "NEEDS_POD", `key ${key} of the file ${path} in volume ${volume} is not there`);
  }

  function fromKey({ name, valueFrom }: EnvVar): void {
    const secret = valueFrom?.secretKeyRef;
    const ref = secret ?? valueFrom?.configMapKeyRef;
    if (!ref) return;
    const kind = secret ? "Secret" : "ConfigMap";
    const object = secret ? inputs.secret(ref.name) : inputs.configMap(ref.name);
    if (object === "forbidden") {
      unset(name, "FORBIDDEN", `${kind} ${ref.name} may not be read`);
    } else if (object?.data?.[ref.key] === undefined) {
      if (ref.optional) return;
      const binary = !secret && (object as ConfigMap | undefined)?.binaryData?.[ref.key] !== undefined;
      missing.push(
        object
          ? `key ${ref.key} of ${kind} ${ref.name}${binary ? " (it is in binaryData, which no env takes)" : ""}`
          : `${kind} ${ref.name}`,
      );
    } else {
      const value = textOf(object, ref.key, secret !== undefined);
      const origin: EnvOrigin = { from: secret ? "secret" : "configMap", name: ref.name, key: ref.key };
      if (value === undefined) unset(name, "NOT_TEXT", `key ${ref.key} of ${kind} ${ref.name} is not UTF-8 text without NUL`);
      else set({ name, value, origin, ...(secret && { sensitive: true }) });
    }
  }

  if (missing.length > 0) {
    const all = [...new Set(missing)];
    throw envError(
      "ENV_REFERENCE_MISSING",
      `container ${container.name} in namespace ${inputs.facts.namespace} needs what doesn't exist: ${all.join("; ")}`,
      {
        hint: "its pods can't start either; create it, or mark the reference optional",
        details: { missing: all },
      },
    );
  }
  const links = inputs.services.filter(({ name }) => !own.has(name) && !unknown.has(name));
  return { entries: [...own.values(), ...links], warnings };
}

/** Undefined where it can't be a variable's value: not UTF-8 (the kubelet can't hand that to a runtime), or with a NUL. */
function textOf(object: ConfigMap | Secret, key: string, base64: boolean): string | undefined {
  const raw = object.data?.[key] ?? "";
  const value = base64 ? decodeText(Buffer.from(raw, "base64")) : raw;
  return value?.includes("\0") ? undefined : value;
}
