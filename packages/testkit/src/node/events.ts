import type { KubeJson, Store } from "../store.ts";

export type RecordEvent = (
  object: KubeJson,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
  container?: string,
) => void;

/** No more than this many different events are remembered for counting up. */
const REMEMBERED = 1000;

/** Writes Events about objects; one that was written before is counted up instead. */
export function createRecorder(store: Store, component: string, host?: string): RecordEvent {
  const known = new Map<string, string>();
  return (object, type, reason, message, container) => {
    const namespace = object.metadata.namespace ?? "default";
    const key = [object.metadata.uid, type, reason, message, container].join("\0");
    const now = time();
    const name = known.get(key);
    const counted =
      name !== undefined &&
      store.mutate("events", namespace, name, (event) => {
        event["count"]++;
        event["lastTimestamp"] = now;
      });
    if (counted) return;
    const fresh = `${object.metadata.name}.${nextMoment().toString(16)}`;
    try {
      store.create("events", {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: fresh, namespace },
        involvedObject: {
          apiVersion: object.apiVersion ?? "v1",
          kind: object.kind ?? "Pod",
          namespace: object.metadata.namespace,
          name: object.metadata.name,
          uid: object.metadata.uid,
          resourceVersion: object.metadata.resourceVersion,
          ...(container && { fieldPath: `spec.containers{${container}}` }),
        },
        type,
        reason,
        message,
        source: { component, ...(host && { host }) },
        reportingComponent: component,
        reportingInstance: host ?? "",
        count: 1,
        firstTimestamp: now,
        lastTimestamp: now,
        eventTime: null,
      });
    } catch {
      return; // The namespace is going away.
    }
    known.set(key, fresh);
    if (known.size > REMEMBERED) known.delete(known.keys().next().value!);
  };
}

let latest = 0n;

/** Nanoseconds since 1970, never twice the same: names of Events sort by time. */
function nextMoment(): bigint {
  const now = BigInt(Date.now()) * 1_000_000n;
  latest = now > latest ? now : latest + 1n;
  return latest;
}

/** Now, as `metav1.Time` is written: whole seconds. */
export const time = (at = Date.now()): string => `${new Date(at).toISOString().slice(0, 19)}Z`;
