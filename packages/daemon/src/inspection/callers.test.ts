import type { Cluster, ListOptions } from "@shipside/kube";
import { expect, test } from "vitest";
import { createCallers } from "./callers.ts";

const pods = [
  { metadata: { namespace: "shop", name: "frontend-1" }, status: { podIP: "10.0.0.1", phase: "Running" } },
  { metadata: { namespace: "shop", name: "job-1" }, status: { podIP: "10.0.0.1", phase: "Succeeded" } },
  { metadata: { namespace: "other", name: "cron" }, status: { podIP: "fd00::7", phase: "Running" } },
  { metadata: { namespace: "shop", name: "node-a" }, status: { podIP: "10.0.0.9", phase: "Running" } },
  { metadata: { namespace: "shop", name: "node-b" }, status: { podIP: "10.0.0.9", phase: "Running" } },
];

/** A cluster where a user may look into `shop`, and elsewhere where `everywhere` says so. */
function world({ everywhere }: { everywhere: boolean }) {
  const asked: string[] = [];
  let now = 0;
  const list = async (_type: unknown, { namespace, fieldSelector }: ListOptions = {}) => {
    asked.push(`${namespace ?? "*"} ${fieldSelector}`);
    if (namespace === undefined && !everywhere) throw Object.assign(new Error("no"), { code: "KUBE_FORBIDDEN" });
    return pods.filter(
      ({ metadata, status }) =>
        (namespace ?? metadata.namespace) === metadata.namespace && fieldSelector === `status.podIP=${status.podIP}`,
    );
  };
  const callerOf = createCallers({ list } as unknown as Cluster, "shop", () => now);
  return { asked, callerOf, pass: (ms: number) => (now += ms) };
}

test("a pod is known by its address, asked for once, and anew when that may be another's", async () => {
  const { asked, callerOf, pass } = world({ everywhere: true });
  expect(await Promise.all([callerOf("10.0.0.1:4000"), callerOf("[::ffff:10.0.0.1]:4001")])).toEqual([
    "shop/frontend-1",
    "shop/frontend-1",
  ]);
  // From here on it need not be waited for.
  expect(callerOf("10.0.0.1:4002")).toBe("shop/frontend-1");
  expect(asked).toEqual(["shop status.podIP=10.0.0.1"]);
  pass(61_000);
  expect(await callerOf("10.0.0.1:4003")).toBe("shop/frontend-1");
  expect(asked).toHaveLength(2);
});

test("one of another namespace is looked for everywhere; who may not look there is refused once", async () => {
  expect(await world({ everywhere: true }).callerOf("[fd00::7]:1")).toBe("other/cron");
  const { asked, callerOf } = world({ everywhere: false });
  expect(await callerOf("[fd00::7]:1")).toBeUndefined();
  expect(await callerOf("10.0.0.8:1")).toBeUndefined();
  expect(asked.filter((each) => each.startsWith("*"))).toHaveLength(1);
});

test("an address that several pods have is nobody's, and what is no address isn't asked for", async () => {
  const { asked, callerOf } = world({ everywhere: true });
  expect(await callerOf("10.0.0.9:1")).toBeUndefined();
  asked.length = 0;
  expect([callerOf(""), callerOf("somebody:80")]).toEqual([undefined, undefined]);
  expect(asked).toEqual([]);
});
