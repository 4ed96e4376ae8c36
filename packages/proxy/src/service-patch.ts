import { BACKEND_LABEL } from "@shipside/core";
import type { KubeObject, ObjectMeta, Service } from "@shipside/kube";
import { type FieldOwner, INTERCEPT_ANNOTATION, RELAY_LABEL, type Selector } from "@shipside/relay";
import { keepsClients } from "./ports.ts";

/** What stands in the Service itself while it is switched: whoever finds it, also without us, sees what was there and who did it. */
export interface InterceptRecord {
  /** The relay's Deployment. */
  relay: string;
  /** The same keys. */
  original: Selector;
  switched: Selector;
  /** Field managers that owned the selector: see `disownPatch` of the relay. */
  owners?: readonly FieldOwner[];
  /** Who switched it first, as shown to others: `user@machine`. */
  by: string;
  /** ISO 8601. */
  since: string;
}

type JsonPatch = ReadonlyArray<{ op: "test" | "add" | "replace" | "remove"; path: string; value?: unknown }>;

/** RFC 6901. */
const pointer = (...keys: string[]): string => keys.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/** The patch holds for this version of this object, and for no other. */
const tests = ({ metadata: { uid, resourceVersion } }: KubeObject): JsonPatch => [
  { op: "test", path: "/metadata/uid", value: uid },
  { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
];

const selectorOf = (service: Service): Selector => service.spec.selector ?? {};

/** The record in a Service's annotation; undefined where there is none, or one that isn't of this form. */
export function readRecord(metadata: ObjectMeta): InterceptRecord | undefined {
  try {
    const record = JSON.parse(metadata.annotations?.[INTERCEPT_ANNOTATION] ?? "") as Partial<InterceptRecord> | null;
    const { relay, original, switched, owners, by, since } = record ?? {};
    if (typeof relay !== "string" || !isSelector(original) || !isSelector(switched)) return undefined;
    return { relay, original, switched, ...(Array.isArray(owners) && { owners }), by: String(by), since: String(since) };
  } catch {
    return undefined;
  }
}

const isSelector = (value: unknown): value is Selector =>
  typeof value === "object" && value !== null && Object.values(value).every((each) => typeof each === "string");

/** Of `spec.selector`, each key's value changed to the relay's and no key added or dropped, and the record beside it. */
export function switchPatch(service: Service, record: InterceptRecord): JsonPatch {
  const { annotations } = service.metadata;
  return [
    ...tests(service),
    ...(annotations ? [] : [{ op: "add", path: "/metadata/annotations", value: {} } as const]),
    { op: "add", path: pointer("metadata", "annotations", INTERCEPT_ANNOTATION), value: JSON.stringify(record) },
    ...Object.entries(record.switched).map(
      ([key, value]) => ({ op: "replace", path: pointer("spec", "selector", key), value }) as const,
    ),
  ];
}

/**
 * How far a Service leads to the relay: `switched`: each key; `restored`: none of them. `mixed` selects nothing at all: somebody wrote
 * some of the keys only. `changed`: none leads to the relay, and it isn't the original either.
 */
export type SwitchState = "switched" | "restored" | "mixed" | "changed";

export function switchState(service: Service, { original, switched }: InterceptRecord): SwitchState {
  const entries = Object.entries(selectorOf(service));
  const ours = entries.filter(([key, value]) => value === switched[key]).length;
  if (ours > 0) return ours === entries.length ? "switched" : "mixed";
  const same = entries.length === Object.keys(original).length && entries.every(([key, value]) => original[key] === value);
  return same ? "restored" : "changed";
}

/**
 * Undoes {@link switchPatch}, whatever else was done to the Service since: each key that leads to the relay gets its value back, others
 * stay as somebody has made them, and the record goes. Undefined where nothing of ours is there.
 */
export function restorePatch(service: Service, { relay, original, switched }: InterceptRecord): JsonPatch | undefined {
  const { annotations = {} } = service.metadata;
  const record = readRecord(service.metadata);
  const ours = Object.entries(selectorOf(service)).filter(([key, value]) => value === switched[key]);
  const annotated = record?.relay === relay;
  if (ours.length === 0 && !annotated) return undefined;
  const last = Object.keys(annotations).length === 1;
  return [
    ...tests(service),
    ...ours.map(([key]) => ({ op: "replace", path: pointer("spec", "selector", key), value: original[key] }) as const),
    ...(annotated
      ? [{ op: "remove", path: last ? "/metadata/annotations" : pointer("metadata", "annotations", INTERCEPT_ANNOTATION) } as const]
      : []),
  ];
}

/** A Service of the relay's own that selects what the intercepted one did before: by it the relay reaches the real pods. */
export function backendService(
  service: Service,
  { name, original, relay }: { name: string; original: Selector; relay: { name: string; uid: string } },
): Service {
  const { publishNotReadyAddresses, ports = [] } = service.spec;
  return {
    metadata: {
      name,
      namespace: service.metadata.namespace!,
      labels: {
        "app.kubernetes.io/managed-by": "shipside",
        [RELAY_LABEL]: relay.name,
        [BACKEND_LABEL]: service.metadata.name,
      },
      ownerReferences: [{ apiVersion: "apps/v1", kind: "Deployment", name: relay.name, uid: relay.uid }],
    },
    spec: {
      type: "ClusterIP",
      // Who is to keep each client at its pod has to see them.
      ...(keepsClients(service) && { clusterIP: "None" }),
      selector: { ...original },
      ...(publishNotReadyAddresses && { publishNotReadyAddresses }),
      ports: ports.map(({ nodePort: _nodePort, ...port }) => port),
    },
  };
}
