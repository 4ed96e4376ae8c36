import type { Pod, PodSpec } from "@shipside/kube";
import { volumesError } from "./errors.ts";

/** What the downward API is answered from. */
export interface PodFacts {
  namespace: string;
  spec: PodSpec;
  /** One that runs, where there is one. */
  pod?: Pod;
}

const KEYED = /^metadata\.(labels|annotations)\['(.+)'\]$/;

/**
 * The text of a `fieldRef` in a file, or undefined where only a running pod could say it. Throws `VOLUMES_FIELD_UNKNOWN`.
 * Rule: API reference of `DownwardAPIVolumeFile`.
 */
export function fieldText({ namespace, spec, pod }: PodFacts, path: string): string | undefined {
  const [, map, key] = KEYED.exec(path) ?? [];
  if (key !== undefined) return pod && (mapOf(pod, map!)[key] ?? "");
  switch (path) {
    case "metadata.namespace":
      return namespace;
    case "metadata.name":
      return pod?.metadata.name;
    case "metadata.uid":
      return pod?.metadata.uid;
    case "metadata.labels":
    case "metadata.annotations":
      return pod && lines(mapOf(pod, path.slice("metadata.".length)));
    case "spec.serviceAccountName":
      return (pod?.spec ?? spec).serviceAccountName ?? "default";
    default:
      throw volumesError("VOLUMES_FIELD_UNKNOWN", `a file can't have the field ${path}`, {
        hint: "see `kubectl explain pod.spec.volumes.downwardAPI.items.fieldRef`",
        details: { field: path },
      });
  }
}

const mapOf = ({ metadata }: Pod, name: string): Record<string, string> =>
  (name === "labels" ? metadata.labels : metadata.annotations) ?? {};

/** `key="value"` a line, by key; the value quoted as Go's %q does for what labels and annotations hold. */
const lines = (map: Record<string, string>): string =>
  Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");

export interface ResourceRef {
  resource: string;
  containerName?: string;
  divisor?: string | number;
}

/** As {@link fieldText}, for a `resourceFieldRef`. A limit that isn't set is what the node has, which isn't known here: undefined. */
export function resourceText({ spec, pod }: PodFacts, { resource, containerName, divisor }: ResourceRef): string | undefined {
  const unknown = (why: string): Error =>
    volumesError("VOLUMES_FIELD_UNKNOWN", `a file can't have the resource ${resource} of container ${containerName}: ${why}`, {
      hint: "see `kubectl explain pod.spec.volumes.downwardAPI.items.resourceFieldRef`",
      details: { resource },
    });
  const of = pod?.spec ?? spec;
  const container = [...of.containers, ...(of.initContainers ?? [])].find(({ name }) => name === containerName);
  if (!container) throw unknown("there is no such container");
  const [, list, name = ""] = /^(limits|requests)\.(.+)$/.exec(resource) ?? [];
  if (list === undefined) throw unknown("it is neither of limits nor of requests");
  const { limits, requests } = container.resources ?? {};
  const amount = list === "limits" ? limits?.[name] : (requests?.[name] ?? limits?.[name] ?? "0");
  if (amount === undefined) return undefined;
  const text = divide(name === "cpu" ? 1_000n : 1n, String(amount), String(divisor ?? "1"));
  if (text === undefined) throw unknown(`${amount} or the divisor ${divisor} is not a quantity`);
  return text;
}

const DECIMAL: Readonly<Record<string, bigint>> = { n: -9n, u: -6n, m: -3n, "": 0n, k: 3n, M: 6n, G: 9n, T: 12n, P: 15n, E: 18n };
const BINARY: Readonly<Record<string, bigint>> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };

/** Both in units of `1/perUnit`, each rounded up, and so is the quotient; a divisor of 0 is 1. Undefined where one isn't a quantity. */
function divide(perUnit: bigint, value: string, divisor: string): string | undefined {
  const [amount, by] = [units(value, perUnit), units(divisor, perUnit)];
  if (amount === undefined || by === undefined) return undefined;
  return String(roundUp(amount, by === 0n ? perUnit : by));
}

/** Rule: API reference of `resource.Quantity`. */
function units(text: string, perUnit: bigint): bigint | undefined {
  const match = /^(\d*)\.?(\d*)(?:[eE]([+-]?\d{1,3})|([A-Za-z]*))$/.exec(text);
  const [, whole = "", fraction = "", exponent, suffix = ""] = match ?? [];
  if (!match || whole + fraction === "") return undefined;
  const shift = BINARY[suffix];
  const power = exponent !== undefined ? BigInt(exponent) : shift !== undefined ? 0n : DECIMAL[suffix];
  if (power === undefined) return undefined;
  const scale = power - BigInt(fraction.length);
  const digits = (BigInt(whole + fraction) << (shift ?? 0n)) * perUnit;
  return scale >= 0n ? digits * 10n ** scale : roundUp(digits, 10n ** -scale);
}

const roundUp = (over: bigint, under: bigint): bigint => (over + under - 1n) / under;
