import type { Pod, Service } from "@shipside/kube";
import { describe, expect, test } from "vitest";
import type { NetworkPolicy, Surroundings } from "./obstacle.ts";
import { findObstacles } from "./obstacles.ts";

const service = (spec: object = {}, metadata: object = {}): Service => ({
  metadata: { name: "core", namespace: "shop", ...metadata },
  spec: { type: "ClusterIP", clusterIP: "10.0.0.1", selector: { app: "core" }, ports: [{ port: 80 }], ...spec },
});
const pod = (spec: object = {}): Pod => ({
  metadata: { name: "core-1", namespace: "shop", labels: { app: "core" } },
  spec: { containers: [{ name: "main" }], ...spec },
});
const relay: Surroundings["relay"] = {
  labels: { app: "shipside-core", "app.kubernetes.io/managed-by": "shipside" },
  replicas: 2,
  requests: { cpu: "100m", memory: "64Mi" },
  limits: { cpu: "1", memory: "128Mi" },
};
const around = (changes: Partial<Surroundings>): Surroundings => ({
  service: service(),
  pods: [pod()],
  policies: [],
  quotas: [],
  limits: [],
  relay,
  ...changes,
});
const found = (changes: Partial<Surroundings>): string[] =>
  findObstacles(around(changes)).map(({ what, refused }) => `${what}${refused ? "" : " (handled)"}`);

test("an ordinary Service has none", () => {
  expect(found({})).toEqual([]);
  expect(found({ service: service({ type: "LoadBalancer", externalTrafficPolicy: "Cluster" }) })).toEqual([]);
});

test.each([
  ["external-name", service({ type: "ExternalName", externalName: "db.example.com", selector: undefined, ports: undefined })],
  ["no-selector", service({ selector: {} })],
  ["no-ports", service({ ports: [] })],
  ["sctp", service({ ports: [{ port: 80 }, { port: 81, protocol: "SCTP" }] })],
  ["reserved-port", service({ ports: [{ port: 80, targetPort: 28_600 }] })],
  ["reserved-port", service({ ports: [{ port: 28_601 }] })],
  ["internal-local", service({ internalTrafficPolicy: "Local" })],
  ["external-local", service({ type: "NodePort", externalTrafficPolicy: "Local" })],
  ["session-affinity (handled)", service({ sessionAffinity: "ClientIP", ports: [{ port: 80, targetPort: 8080 }] })],
  ["headless (handled)", service({ clusterIP: "None" })],
  ["ending", service({}, { deletionTimestamp: "2026-01-01T00:00:00Z" })],
])("%s", (what, given) => {
  expect(found({ service: given })).toEqual([what]);
});

test("ClientIP affinity takes one number of a named target port", () => {
  const sticky = service({ sessionAffinity: "ClientIP", ports: [{ port: 80, targetPort: "http" }] });
  const has = (...numbers: number[]): Pod[] =>
    numbers.map((containerPort) => pod({ containers: [{ name: "main", ports: [{ name: "http", containerPort }] }] }));
  expect(found({ service: sticky, pods: has(8080, 8080) })).toEqual(["session-affinity (handled)"]);
  expect(found({ service: sticky, pods: has(8080, 8081) })).toEqual(["session-affinity"]);
  expect(found({ service: sticky })).toEqual(["session-affinity"]);
});

test("headless with names of pods; a mesh's sidecar, also as an init container", () => {
  const headless = service({ clusterIP: "None" });
  expect(found({ service: headless, pods: [pod({ hostname: "core-0", subdomain: "core" })] })).toEqual(["headless-pods"]);
  expect(found({ service: headless, pods: [pod({ hostname: "core-0", subdomain: "other" })] })).toEqual(["headless (handled)"]);
  expect(found({ pods: [pod({ containers: [{ name: "main" }, { name: "istio-proxy" }] })] })).toEqual(["mesh"]);
  expect(found({ pods: [pod({ initContainers: [{ name: "linkerd-proxy", restartPolicy: "Always" }] })] })).toEqual(["mesh"]);
});

test.each([
  [{ labels: { "istio-injection": "enabled" } }, "Istio"],
  [{ labels: { "istio.io/rev": "stable" } }, "Istio"],
  [{ annotations: { "linkerd.io/inject": "enabled" } }, "Linkerd"],
  [{ labels: { "kuma.io/sidecar-injection": "enabled" } }, "Kuma"],
  [{ labels: { "appmesh.k8s.aws/sidecarInjectorWebhook": "enabled" } }, "App Mesh"],
  [{ labels: { "istio-injection": "disabled" }, annotations: { "linkerd.io/inject": "disabled" } }, undefined],
])("a namespace with %j", (said, mesh) => {
  const all = findObstacles(around({ namespace: { metadata: { name: "shop", ...said } } }));
  expect(all.map(({ what, refused }) => [what, refused])).toEqual(mesh ? [["mesh-injection", false]] : []);
  if (mesh) expect(all[0]!.sentence).toContain(`has ${mesh} put a sidecar`);
});

describe("network policies", () => {
  const policy = (spec: object): NetworkPolicy => ({
    metadata: { name: "p" },
    spec: { podSelector: { matchLabels: { app: "core" } }, ...spec },
  });
  test.each([
    ["of other pods", policy({ podSelector: { matchLabels: { app: "other" } } }), []],
    ["that admits everybody", policy({ ingress: [{}] }), []],
    ["that admits the namespace", policy({ ingress: [{ from: [{ podSelector: {} }] }] }), []],
    [
      "that admits the relay by its label",
      policy({
        ingress: [
          {
            from: [
              {
                podSelector: { matchExpressions: [{ key: "app.kubernetes.io/managed-by", operator: "In", values: ["shipside"] }] },
              },
            ],
          },
        ],
      }),
      [],
    ],
    ["of egress alone", policy({ policyTypes: ["Egress"], egress: [] }), []],
    [
      "that admits some others",
      policy({ ingress: [{ from: [{ podSelector: { matchLabels: { app: "web" } } }] }] }),
      ["network-policy"],
    ],
    ["that admits nobody", policy({}), ["network-policy"]],
    [
      "that admits another namespace",
      policy({ ingress: [{ from: [{ namespaceSelector: { matchLabels: { a: "b" } } }] }] }),
      ["network-policy"],
    ],
    ["that denies by default", policy({ podSelector: {}, policyTypes: ["Ingress"] }), ["network-policy"]],
    ["that denies what leaves", policy({ podSelector: {}, policyTypes: ["Egress"] }), ["network-policy"]],
    [
      "of all but some",
      policy({ podSelector: { matchExpressions: [{ key: "app", operator: "NotIn", values: ["core"] }] } }),
      ["network-policy"],
    ],
    [
      "of all that have no such label",
      policy({ podSelector: { matchExpressions: [{ key: "app", operator: "DoesNotExist" }] } }),
      [],
    ],
  ])("one %s", (_name, each, expected) => {
    expect(found({ policies: [each] })).toEqual(expected);
  });
});

test("quotas and limits that leave no room", () => {
  const quota = (hard: Record<string, string>, used: Record<string, string>, spec = {}) => ({
    metadata: { name: "q" },
    spec,
    status: { hard, used },
  });
  expect(found({ quotas: [quota({ pods: "10" }, { pods: "8" })] })).toEqual([]);
  expect(found({ quotas: [quota({ pods: "10" }, { pods: "9" })] })).toEqual(["quota"]);
  expect(found({ quotas: [quota({ pods: "10" }, { pods: "9" }, { scopes: ["BestEffort"] })] })).toEqual([]);
  expect(found({ quotas: [quota({ "limits.memory": "1Gi" }, { "limits.memory": "800Mi" })] })).toEqual(["quota"]);
  expect(found({ quotas: [quota({ cpu: "1" }, { cpu: "0.8" })] })).toEqual([]);
  expect(found({ quotas: [quota({ cpu: "1" }, { cpu: "801m" })] })).toEqual(["quota"]);
  const range = (limits: object) => ({ metadata: { name: "l" }, spec: { limits: [{ type: "Container", ...limits }] } });
  expect(found({ limits: [range({ min: { cpu: "50m" }, max: { memory: "1Gi" } })] })).toEqual([]);
  expect(found({ limits: [range({ min: { cpu: "200m" } })] })).toEqual(["limit-range"]);
  expect(found({ limits: [range({ max: { memory: "64Mi" } })] })).toEqual(["limit-range"]);
});

test("each says what it is about in a sentence, and refusals come first", () => {
  const all = findObstacles(around({ service: service({ clusterIP: "None", ports: [{ port: 80, protocol: "SCTP" }] }) }));
  expect(all.map(({ refused }) => refused)).toEqual([true, false]);
  for (const { sentence } of all) expect(sentence).toMatch(/^[a-z].{20,}[^.]$/);
});
