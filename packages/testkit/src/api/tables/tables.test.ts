import { describe, expect, test } from "vitest";
import type { Json } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import { BUILT_IN } from "../resources.ts";
import { duration } from "./cells.ts";
import { podStatus } from "./pod-columns.ts";
import { renderTable } from "./table.ts";

const NOW = Date.parse("2026-01-10T00:00:00Z");
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

/** The cells of one object, those of `-o wide` behind a bar. */
function row(key: string, object: object): string {
  const resource = BUILT_IN.find((candidate) => candidate.key === key)!;
  const whole = { metadata: { name: "x", creationTimestamp: ago(90) }, ...object } as unknown as KubeJson;
  const table = renderTable(resource, [whole], {}, { include: "None", version: "v1", now: NOW });
  const cells = (priority: number): unknown[] =>
    table.rows[0].cells.filter((_: unknown, i: number) => table.columnDefinitions[i].priority === priority);
  const wide = cells(1);
  return cells(0).join(" ") + (wide.length > 0 ? ` | ${wide.join(" ")}` : "");
}

test.each([
  [-5, "<invalid>"],
  [0, "0s"],
  [119, "119s"],
  [120, "2m"],
  [125, "2m5s"],
  [600, "10m"],
  [10_799, "179m"],
  [10_800, "3h"],
  [12_000, "3h20m"],
  [100_000, "27h"],
  [172_800, "2d"],
  [190_000, "2d4h"],
  [691_200, "8d"],
  [70_000_000, "2y80d"],
  [300_000_000, "9y"],
])("%i seconds are %s", (seconds, text) => expect(duration(seconds * 1000)).toBe(text));

const template = {
  metadata: { labels: { app: "x" } },
  spec: {
    containers: [
      { name: "a", image: "i:1" },
      { name: "b", image: "j" },
    ],
  },
};
const selector = { matchLabels: { app: "x" } };

test.each([
  [
    "services",
    { spec: { type: "ClusterIP", clusterIP: "10.96.0.9", ports: [{ port: 80, protocol: "TCP" }], selector: { a: "b" } } },
    "x ClusterIP 10.96.0.9 <none> 80/TCP 90s | a=b",
  ],
  [
    "services",
    { spec: { type: "LoadBalancer", clusterIP: "10.96.0.9", ports: [{ port: 80, nodePort: 30001, protocol: "TCP" }] } },
    "x LoadBalancer 10.96.0.9 <pending> 80:30001/TCP 90s | <none>",
  ],
  ["services", { spec: { type: "ExternalName", externalName: "e.com" } }, "x ExternalName <none> e.com <none> 90s | <none>"],
  [
    "deployments.apps",
    { spec: { replicas: 2, selector, template }, status: { readyReplicas: 1, updatedReplicas: 2 } },
    "x 1/2 2 0 90s | a,b i:1,j app=x",
  ],
  ["replicasets.apps", { spec: { replicas: 2, selector, template }, status: { replicas: 2 } }, "x 2 2 0 90s | a,b i:1,j app=x"],
  ["statefulsets.apps", { spec: { replicas: 3, template }, status: { readyReplicas: 3 } }, "x 3/3 90s | a,b i:1,j"],
  [
    "daemonsets.apps",
    { spec: { selector, template }, status: { desiredNumberScheduled: 1 } },
    "x 1 0 0 0 0 <none> 90s | a,b i:1,j app=x",
  ],
  [
    "jobs.batch",
    { spec: { completions: 2, selector, template }, status: { succeeded: 1, startTime: ago(60) } },
    "x Running 1/2 60s 90s | a,b i:1,j app=x",
  ],
  [
    "jobs.batch",
    {
      spec: { completions: 1, template },
      status: { succeeded: 1, startTime: ago(60), completionTime: ago(50), conditions: [{ type: "Complete", status: "True" }] },
    },
    "x Complete 1/1 10s 90s | a,b i:1,j <none>",
  ],
  [
    "cronjobs.batch",
    { spec: { schedule: "* * * * *", jobTemplate: { spec: { template } } }, status: {} },
    "x * * * * * <none> False 0 <none> 90s | a,b i:1,j <none>",
  ],
  ["configmaps", { data: { a: "1" }, binaryData: { b: "" } }, "x 2 90s"],
  ["secrets", { type: "Opaque", data: { a: "" } }, "x Opaque 1 90s"],
  ["namespaces", { status: { phase: "Active" } }, "x Active 90s"],
  [
    "endpoints",
    { subsets: [{ addresses: [{ ip: "1.1.1.1" }, { ip: "1.1.1.2" }], ports: [{ port: 1 }, { port: 2 }] }] },
    "x 1.1.1.1:1,1.1.1.2:1,1.1.1.1:2 + 1 more... 90s",
  ],
  [
    "endpointslices.discovery.k8s.io",
    { addressType: "IPv4", endpoints: [{ addresses: ["1.1.1.1"] }], ports: [{ port: 80 }] },
    "x IPv4 80 1.1.1.1 90s",
  ],
  ["endpointslices.discovery.k8s.io", { addressType: "IPv4", endpoints: null, ports: [] }, "x IPv4 <unset> <unset> 90s"],
  [
    "nodes",
    {
      spec: { unschedulable: true },
      status: { conditions: [{ type: "Ready", status: "True" }], nodeInfo: { kubeletVersion: "v1" } },
    },
    "x Ready,SchedulingDisabled <none> 90s v1 | <none> <none> <unknown> <unknown> <unknown>",
  ],
  [
    "events",
    {
      type: "Normal",
      reason: "R",
      message: "m\n",
      count: 3,
      lastTimestamp: ago(5),
      firstTimestamp: ago(60),
      involvedObject: { kind: "Pod", name: "p" },
    },
    "5s (x3 over 60s) Normal R pod/p m |   60s 3 x",
  ],
  [
    "persistentvolumeclaims",
    {
      spec: { volumeName: "v", storageClassName: "s" },
      status: { phase: "Bound", capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"] },
    },
    "x Bound v 1Gi RWO s <unset> 90s | <unset>",
  ],
  ["ingresses.networking.k8s.io", { spec: { rules: [{ host: "a" }], tls: [{}] }, status: {} }, "x <none> a  80, 443 90s"],
  [
    "rolebindings.rbac.authorization.k8s.io",
    { roleRef: { kind: "Role", name: "r" }, subjects: [{ kind: "ServiceAccount", namespace: "n", name: "s" }] },
    "x Role/r 90s |   n/s",
  ],
  ["leases.coordination.k8s.io", { spec: { holderIdentity: "me" } }, "x me 90s"],
] as Array<[string, object, string]>)("%s: %j", (key, object, expected) => expect(row(key, object)).toBe(expected));

describe("a pod's status in a word", () => {
  const pod = (status: Json, spec: Json = {}, metadata: Json = {}): Json => ({
    metadata,
    spec: { containers: [{ name: "a" }], ...spec },
    status,
  });
  const container = (state: Json, more: Json = {}): Json => ({ name: "a", restartCount: 0, ready: false, state, ...more });
  test.each([
    [pod({ phase: "Pending" }), "Pending", 0],
    [pod({ phase: "Pending", containerStatuses: [container({ waiting: { reason: "ImagePullBackOff" } })] }), "ImagePullBackOff", 0],
    [pod({ phase: "Running", containerStatuses: [container({ running: {} }, { ready: true })] }), "Running", 1],
    [pod({ phase: "Running", containerStatuses: [container({ terminated: { exitCode: 3 } })] }), "ExitCode:3", 0],
    [pod({ phase: "Running", containerStatuses: [container({ terminated: { signal: 9 } })] }), "Signal:9", 0],
    [pod({ phase: "Succeeded", containerStatuses: [container({ terminated: { reason: "Completed" } })] }), "Completed", 0],
    [pod({ phase: "Running", reason: "Evicted" }), "Evicted", 0],
    [pod({ phase: "Running" }, {}, { deletionTimestamp: ago(1) }), "Terminating", 0],
    [
      pod(
        { phase: "Pending", initContainerStatuses: [container({ running: {} })] },
        { initContainers: [{ name: "a" }, { name: "b" }] },
      ),
      "Init:0/2",
      0,
    ],
    [
      pod(
        { phase: "Pending", initContainerStatuses: [container({ terminated: { exitCode: 1, reason: "Error" } })] },
        { initContainers: [{ name: "a" }] },
      ),
      "Init:Error",
      0,
    ],
    [
      pod({
        phase: "Running",
        containerStatuses: [
          container({ terminated: { reason: "Completed", exitCode: 0 } }),
          container({ running: {} }, { ready: true }),
        ],
      }),
      "NotReady",
      1,
    ],
  ] as Array<[Json, string, number]>)("%j", (object, reason, ready) => {
    expect(podStatus(object)).toMatchObject({ reason, ready });
  });

  test("restarts, and when the last one was", () => {
    const status = {
      phase: "Running",
      containerStatuses: [
        container({ running: {} }, { ready: true, restartCount: 2, lastState: { terminated: { finishedAt: ago(65) } } }),
      ],
    };
    expect(row("pods", { spec: { containers: [{}], nodeName: "n" }, status })).toBe(
      "x 1/1 Running 2 (65s ago) 90s | <none> n <none> <none>",
    );
  });
});
