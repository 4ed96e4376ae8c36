import { describe, expect, it } from "vitest";
import type { KubeJson } from "../store.ts";
import { createBackoff } from "./backoff.ts";
import { type ContainerRecord, type ContainerState, type PodState, phaseOf, podStatus, qosClass } from "./status.ts";

const running: ContainerState = { running: { startedAt: "" } };
const waiting: ContainerState = { waiting: { reason: "ContainerCreating" } };
const ended = (exitCode: number): ContainerState => ({ terminated: { exitCode, reason: "", startedAt: "", finishedAt: "" } });
const record = (state: ContainerState, more: Partial<ContainerRecord> = {}): ContainerRecord => ({
  name: "c",
  kind: "main",
  image: "",
  imageID: "",
  restartCount: 0,
  started: "running" in state,
  ready: "running" in state,
  state,
  ...more,
});
const state = (...containers: ContainerRecord[]): PodState => ({ startTime: "", hostIP: "", containers, sandboxed: true });

describe("a pod's phase", () => {
  const crashed = record(waiting, { lastState: ended(1) });
  it.each([
    ["nothing runs yet", [record(waiting)], "Always", "Pending"],
    ["one runs", [record(running), record(waiting)], "Always", "Running"],
    ["it is in back-off", [crashed], "Always", "Running"],
    ["all ended well and may not run again", [record(ended(0))], "OnFailure", "Succeeded"],
    ["all ended well and will run again", [record(ended(0))], "Always", "Running"],
    ["one failed for good", [record(ended(0)), record(ended(1))], "Never", "Failed"],
    ["one failed and will run again", [record(ended(1))], "OnFailure", "Running"],
    ["one failed, one runs", [record(ended(1)), record(running)], "Never", "Running"],
    ["an init container failed for good", [record(ended(1), { kind: "init" }), record(waiting)], "Never", "Failed"],
    ["an init container runs", [record(running, { kind: "init" }), record(waiting)], "Never", "Pending"],
  ])("when %s", (_, containers, policy, phase) => expect(phaseOf(state(...containers), policy)).toBe(phase));
});

describe("what a status says of resources and mounts", () => {
  const resources = { requests: { cpu: "1m", memory: "1Mi" }, limits: { memory: "1Mi" } };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p" },
    spec: {
      containers: [
        {
          name: "c",
          resources,
          volumeMounts: [
            { name: "v", mountPath: "/w" },
            { name: "v", mountPath: "/r", readOnly: true, subPath: "s" },
          ],
        },
        { name: "d" },
      ],
    },
  } as unknown as KubeJson;
  const status = podStatus(pod, state(record(running, { containerID: "x" }), record(waiting, { name: "d" })), "now") as {
    containerStatuses: object[];
  };

  it("of each container", () => {
    expect(status.containerStatuses[0]).toMatchObject({
      resources,
      allocatedResources: resources.requests,
      volumeMounts: [
        { name: "v", mountPath: "/w" },
        { name: "v", mountPath: "/r", readOnly: true, recursiveReadOnly: "Disabled" },
      ],
    });
    // It hasn't been made yet.
    expect(Object.keys(status.containerStatuses[1]!)).not.toEqual(expect.arrayContaining(["resources"]));
  });

  it("of the pod", () => expect(status).toMatchObject({ resources, allocatedResources: resources.requests }));
});

describe("a pod's conditions", () => {
  const pod = (spec: object = {}, status?: object): KubeJson => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", uid: "", resourceVersion: "", creationTimestamp: "" },
    spec: { containers: [{ name: "c" }], ...spec },
    status,
  });
  // biome-ignore lint/suspicious/noExplicitAny: the status as JSON
  const condition = (status: any, type: string) => status.conditions.find((c: { type: string }) => c.type === type);

  it("name the containers that aren't ready", () => {
    const status = podStatus(pod(), state(record(running, { ready: false }), record(running, { name: "d" })), "now");
    expect(condition(status, "Ready")).toMatchObject({
      status: "False",
      reason: "ContainersNotReady",
      message: "containers with unready status: [c]",
    });
  });
  it("keep their time while they don't change, and others' conditions", () => {
    const before = podStatus(pod(), state(record(running)), "then");
    const foreign = { type: "example.com/x", status: "True", lastTransitionTime: "early" };
    const status = podStatus(
      pod({}, { conditions: [...(before["conditions"] as object[]), foreign] }),
      state(record(running, { ready: false })),
      "now",
    );
    expect(condition(status, "Initialized").lastTransitionTime).toBe("then");
    expect(condition(status, "Ready").lastTransitionTime).toBe("now");
    expect(condition(status, "example.com/x")).toEqual(foreign);
  });
  it("wait for readiness gates", () => {
    const gated = pod({ readinessGates: [{ conditionType: "gate" }] });
    expect(condition(podStatus(gated, state(record(running)), "now"), "Ready")).toMatchObject({
      status: "False",
      reason: "ReadinessGatesNotReady",
    });
    const open = pod({ readinessGates: [{ conditionType: "gate" }] }, { conditions: [{ type: "gate", status: "True" }] });
    expect(condition(podStatus(open, state(record(running)), "now"), "Ready").status).toBe("True");
  });
  it("say that a finished pod is completed", () => {
    const status = podStatus(pod({ restartPolicy: "Never" }), state(record(ended(0))), "now");
    expect(condition(status, "Ready")).toMatchObject({ status: "False", reason: "PodCompleted" });
  });
  it("of a deleted pod lead to a final phase", () => {
    const status = podStatus(pod(), { ...state(record(ended(143))), ended: true }, "now");
    expect(status["phase"]).toBe("Failed");
  });
});

describe("quality of service", () => {
  const of = (...resources: object[]) => qosClass({ containers: resources.map((r) => ({ resources: r })) });
  it.each([
    [[{}], "BestEffort"],
    [[{ limits: { "example.com/gpu": "1" } }], "BestEffort"],
    [[{ requests: { cpu: "1" } }], "Burstable"],
    [[{ limits: { cpu: "1", memory: "1Gi" } }], "Guaranteed"],
    [[{ limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1000m", memory: "1024Mi" } }], "Guaranteed"],
    [[{ limits: { cpu: "1", memory: "1Gi" } }, {}], "Burstable"],
  ])("of %j is %s", (resources, expected) => expect(of(...resources)).toBe(expected));
});

describe("back-off", () => {
  it("is none, then doubles up to its limit, and starts over after a long run", () => {
    const backoff = createBackoff({ baseMs: 10, maxMs: 35 });
    expect([0, 0, 0, 0, 0].map((ran) => backoff.next(ran))).toEqual([0, 10, 20, 35, 35]);
    expect([70, 0].map((ran) => backoff.next(ran))).toEqual([0, 10]);
  });
});
