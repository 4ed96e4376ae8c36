import { describe, expect, it } from "vitest";
import { createStore } from "../memory-store.ts";
import { isReady, makeBed } from "./fixtures/bed.ts";
import { type NodeOptions, startNode } from "./start.ts";

describe("startNode", () => {
  it.each<[string, Partial<NodeOptions>]>([
    ["no store", { store: undefined as never }],
    ["a name that isn't one", { name: "Not A Name" }],
    ["another name that isn't one", { others: ["Not A Name"] }],
    ["one name twice", { others: ["shipside"] }],
    ["several nodes without processes", { network: "fake", others: ["second"] }],
    ["an unknown network", { network: "carrier-pigeon" as never }],
    ["an empty directory", { stateDir: "" }],
    ["a back-off that shrinks", { restartBackoff: { baseMs: 10, maxMs: 5 } }],
    ["no time between tries", { retryMs: 0 }],
  ])("refuses %s", async (_, options) => {
    await expect(startNode({ store: createStore(), ...options })).rejects.toMatchObject({ code: "NODE_OPTIONS_INVALID" });
  });

  it("registers the node, ready", async () => {
    await using bed = await makeBed({ network: "fake", name: "worker-1" });
    expect(bed.store.get("nodes", undefined, "worker-1")).toMatchObject({
      metadata: { labels: { "kubernetes.io/hostname": "worker-1" } },
      status: { addresses: expect.arrayContaining([{ type: "Hostname", address: "worker-1" }]) },
    });
    const conditions = bed.store.get("nodes", undefined, "worker-1")!["status"].conditions;
    expect(conditions.find((c: { type: string }) => c.type === "Ready")).toMatchObject({ status: "True" });
  });
});

describe("a fake node", () => {
  it("has thousands of pods ready in a moment, each with its address, and lets them go", async () => {
    await using bed = await makeBed({ network: "fake" });
    const from = performance.now();
    for (let i = 0; i < 2_000; i++) bed.pod(`p${i}`, { containers: [{ name: "main", image: "anything:1" }] });
    const last = await bed.until("p1999", isReady);
    expect(performance.now() - from).toBeLessThan(5_000);
    expect(last["status"].phase).toBe("Running");
    const pods = bed.store.list("pods");
    expect(pods.every(isReady)).toBe(true);
    expect(new Set(pods.map((pod) => pod["status"].podIP)).size).toBe(2_000);
    await expect(bed.node.dialPod("default", "p1", 80)).rejects.toMatchObject({ code: "NotRunning" });
    await bed.remove("p7");
    expect(bed.get("p7")).toBeUndefined();
  });
});
