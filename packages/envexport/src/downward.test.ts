import type { Container, Pod } from "@shipside/kube";
import { describe, expect, it } from "vitest";
import { fieldValue, needsPod, type PodFacts, resourceValue } from "./downward.ts";

const main: Container = { name: "main", resources: { limits: { cpu: "1500m", memory: "1Gi" }, requests: { memory: "100M" } } };
const bare: Container = { name: "bare" };
const facts: PodFacts = {
  namespace: "ns",
  labels: { app: "core" },
  annotations: { "example.com/a": "b" },
  spec: { containers: [main, bare], serviceAccountName: "robot" },
};
const pod: Pod = {
  metadata: { name: "core-1", namespace: "ns", uid: "u-1", labels: { app: "core", "pod-template-hash": "x" } },
  spec: { containers: [main, bare], nodeName: "n1" },
  status: { phase: "Running", podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }], hostIP: "192.168.0.1" },
};
const live = { ...facts, pod };

describe("fieldValue", () => {
  it.each([
    ["metadata.name", undefined, "core-1"],
    ["metadata.namespace", "ns", "ns"],
    ["metadata.uid", undefined, "u-1"],
    ["metadata.labels['app']", "core", "core"],
    ["metadata.labels['pod-template-hash']", undefined, "x"],
    ["metadata.labels['none']", undefined, ""],
    ["metadata.annotations['example.com/a']", "b", ""],
    ["spec.nodeName", undefined, "n1"],
    ["spec.serviceAccountName", "robot", "default"],
    ["status.podIP", undefined, "10.0.0.1"],
    ["status.podIPs", undefined, "10.0.0.1,fd00::1"],
    ["status.hostIP", undefined, "192.168.0.1"],
    ["status.hostIPs", undefined, "192.168.0.1"],
  ])("%s is %s of a template, %s of a pod", (path, template, running) => {
    expect(fieldValue(facts, path)).toBe(template);
    expect(fieldValue(live, path)).toBe(running);
  });

  it("refuses a field that Kubernetes doesn't offer", () => {
    expect(() => fieldValue(live, "spec.restartPolicy")).toThrow(expect.objectContaining({ code: "ENV_FIELD_UNKNOWN" }));
  });
});

describe("resourceValue", () => {
  it.each([
    ["limits.cpu", undefined, "2"],
    ["limits.cpu", "1m", "1500"],
    ["limits.memory", "1Mi", "1024"],
    ["limits.memory", "0", "1073741824"],
    ["requests.memory", "1k", "100000"],
    ["requests.cpu", "1", "2"],
    ["requests.ephemeral-storage", undefined, "0"],
  ])("%s by %s is %s", (resource, divisor, value) => {
    expect(resourceValue(facts, main, { resource, ...(divisor !== undefined && { divisor }) })).toBe(value);
  });

  it("takes a limit that isn't set from the node, and any container's", () => {
    expect(resourceValue(facts, bare, { resource: "limits.cpu" })).toBeUndefined();
    expect(
      resourceValue({ ...live, allocatable: { cpu: "4", memory: "8Gi" } }, bare, { resource: "limits.memory", divisor: "1Gi" }),
    ).toBe("8");
    expect(resourceValue(facts, bare, { resource: "limits.cpu", containerName: "main" })).toBe("2");
    for (const ref of [
      { resource: "limits.gpu" },
      { resource: "limits.cpu", containerName: "x" },
      { resource: "limits.memory", divisor: "x" },
    ]) {
      expect(() => resourceValue(facts, main, ref)).toThrow(expect.objectContaining({ code: "ENV_FIELD_UNKNOWN" }));
    }
  });

  it("says whether a pod is needed", () => {
    const asks = (valueFrom: object): boolean => needsPod({ ...bare, env: [{ name: "A", valueFrom }] }, facts);
    expect(asks({ fieldRef: { fieldPath: "status.podIP" } })).toBe(true);
    expect(asks({ fieldRef: { fieldPath: "metadata.namespace" } })).toBe(false);
    expect(asks({ resourceFieldRef: { resource: "limits.cpu" } })).toBe(true);
    expect(asks({ resourceFieldRef: { resource: "requests.cpu" } })).toBe(false);
  });
});
