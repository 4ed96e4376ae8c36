import type { KubeJson } from "../../store.ts";
import { fieldValue, type PodFacts, resourceValue } from "./downward.ts";
import { envFileValue } from "./env-file.ts";
import { expand } from "./expand.ts";

/** Where the env of a container comes from besides its pod. */
export interface EnvInputs {
  facts: PodFacts;
  /** What the runtime and the image set: PATH, HOME, HOSTNAME. The pod's own values win. */
  base: Readonly<Record<string, string>>;
  services: Readonly<Record<string, string>>;
  configMap(name: string): KubeJson | undefined;
  secret(name: string): KubeJson | undefined;
  /** A file of one of the pod's volumes (KEP-3721), undefined where it doesn't exist. */
  volumeFile?(volume: string, path: string): string | undefined;
}

/** Printable ASCII without `=`: what Kubernetes takes as a variable's name since 1.34. */
const NAME = /^[ -<>-~]+$/;

/**
 * A container's environment as the kubelet makes it: service links, then `envFrom` in order, then `env` in order, later ones winning,
 * and `$(VAR)` seeing what stands before it. Throws the kubelet's message where something that isn't optional is missing
 * (`CreateContainerConfigError`). `skipped` are keys of `envFrom` that can't be a variable's name.
 */
// biome-ignore lint/suspicious/noExplicitAny: a container of a pod's spec
export function containerEnv(container: any, inputs: EnvInputs): { env: Record<string, string>; skipped: string[] } {
  const own: Record<string, string> = {};
  const skipped: string[] = [];
  for (const from of container.envFrom ?? []) {
    const ref = from.configMapRef ?? from.secretRef;
    const object = from.configMapRef ? inputs.configMap(ref.name) : inputs.secret(ref.name);
    if (!object) {
      if (ref.optional) continue;
      throw new Error(`${from.configMapRef ? "configmap" : "secret"} "${ref.name}" not found`);
    }
    const data: Record<string, string> = object["data"] ?? {};
    for (const key of Object.keys(data).sort()) {
      const name = `${from.prefix ?? ""}${key}`;
      if (NAME.test(name)) own[name] = from.configMapRef ? data[key]! : decode(data[key]!);
      else skipped.push(name);
    }
  }
  const lookup = (name: string): string | undefined => own[name] ?? inputs.services[name];
  for (const entry of container.env ?? []) {
    const value =
      entry.valueFrom && !entry.value ? fromSource(container.name, entry.valueFrom, inputs) : expand(entry.value ?? "", lookup);
    if (value !== undefined) own[entry.name] = value;
  }
  return { env: { ...inputs.base, ...inputs.services, ...own }, skipped };
}

// biome-ignore lint/suspicious/noExplicitAny: an EnvVarSource
function fromSource(container: string, source: any, inputs: EnvInputs): string | undefined {
  if (source.fieldRef) return fieldValue(inputs.facts, source.fieldRef.fieldPath);
  if (source.resourceFieldRef) return resourceValue(inputs.facts, container, source.resourceFieldRef);
  if (source.configMapKeyRef) return keyOf("ConfigMap", source.configMapKeyRef, inputs.configMap, inputs, (value) => value);
  if (source.secretKeyRef) return keyOf("Secret", source.secretKeyRef, inputs.secret, inputs, decode);
  if (source.fileKeyRef) return fileKey(source.fileKeyRef, inputs);
  return "";
}

function keyOf(
  kind: "ConfigMap" | "Secret",
  ref: { name: string; key: string; optional?: boolean },
  find: (name: string) => KubeJson | undefined,
  inputs: EnvInputs,
  read: (value: string) => string,
): string | undefined {
  const object = find(ref.name);
  const value: string | undefined = object?.["data"]?.[ref.key];
  if (value !== undefined) return read(value);
  if (ref.optional) return undefined;
  if (!object) throw new Error(`${kind.toLowerCase()} "${ref.name}" not found`);
  throw new Error(`couldn't find key ${ref.key} in ${kind} ${inputs.facts.pod.metadata.namespace}/${ref.name}`);
}

function fileKey(
  ref: { volumeName: string; path: string; key: string; optional?: boolean },
  inputs: EnvInputs,
): string | undefined {
  const text = inputs.volumeFile?.(ref.volumeName, ref.path);
  const value = text === undefined ? undefined : envFileValue(text, ref.key);
  if (value !== undefined || ref.optional) return value;
  throw new Error(`environment variable key "${ref.key}" not found in file "${ref.path}"`);
}

const decode = (base64: string): string => Buffer.from(base64, "base64").toString("utf8");
