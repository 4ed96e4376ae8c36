import type { Json } from "../../json.ts";
import type { KubeJson, Store } from "../../store.ts";
import type { UserInfo } from "../users.ts";
import { dnsSubdomain, type FieldErrors, type NameRule } from "../validation.ts";

/** What a kind's rules may look at and ask for. */
export interface Surroundings {
  store: Store;
  /** Undefined where the cluster itself writes. */
  user: UserInfo | undefined;
  dryRun: boolean;
  addresses: ServiceAddresses;
  /** PEM of the cluster's own authority. */
  ca: string;
}

export interface ServiceAddresses {
  /** The next free ClusterIP, or `wanted` if it's free and in the range (undefined otherwise). */
  clusterIP(wanted?: string): string | undefined;
  nodePort(wanted?: number): number | undefined;
}

/** What the real server does with one kind, beyond storing it. */
export interface Strategy {
  name?: NameRule;
  /** Fills in what the API reference says is the default. Run on every write; changes nothing that is set. */
  defaults?(object: Json): void;
  /** Admission and allocation on create, before validation. May throw a Status. */
  create?(object: Json, around: Surroundings): void;
  /** The same on update. `object` may be changed, `old` not. */
  update?(object: Json, old: KubeJson, around: Surroundings): void;
  validate?(object: Json, errors: FieldErrors, old: KubeJson | undefined): void;
  /** What an object's status is when it's made; the kind has a status that only its subresource changes. */
  initialStatus?(object: Json): Json;
}

/** The name rule of a kind: most are subdomains. */
export const nameRule = (strategy: Strategy | undefined): NameRule => strategy?.name ?? dnsSubdomain;

/** Sets a field that isn't set. */
export function fill(object: Json, values: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(values)) if (object[key] === undefined || object[key] === null) object[key] = value;
}

export const list = (value: unknown): Json[] => (Array.isArray(value) ? value : []);
