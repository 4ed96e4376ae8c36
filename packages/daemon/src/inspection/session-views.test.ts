import type { ServiceStatus } from "@shipside/tunnel";
import { expect, test } from "vitest";
import type { Session } from "../session.ts";
import type { ProbeResult, SessionInfo } from "../session-info.ts";
import { sessionViews } from "./session-views.ts";

const info = {
  ...{
    id: "a1b2c3",
    kind: "teleport",
    context: "dev",
    server: "https://x",
    namespace: "shop",
    also: [],
    workload: "deployment/core",
  },
  ...{ openedAt: "2026-01-01T00:00:00.000Z", holders: 1, names: { where: "hosts", count: 9 }, stale: [], services: [] },
} as SessionInfo;
const port = {
  ...{ port: 80, protocol: "TCP", state: "listening" as const, address: "127.72.0.1:80" },
  endpoints: [
    { address: "10.0.0.1", port: 8080, pod: { namespace: "shop", name: "leaf-1" }, ready: true },
    { address: "192.0.2.1", port: 8080, ready: false },
  ],
  ...{ connections: { open: 1, total: 2, failed: 0 }, bytes: { sent: 3, received: 4 } },
};
const services = [
  { namespace: "shop", name: "leaf", address: "127.72.0.1", ports: [port], pods: [] },
  {
    namespace: "shop",
    name: "db",
    ports: [],
    pods: [{ hostname: "db-0", ports: [{ ...port, state: "failed", error: { code: "X", message: "taken" } }] }],
  },
] as unknown as ServiceStatus[];

test("a session as status has it: its tunnels, and whether its API server answers, asked again only after a while", async () => {
  let answer: Partial<ProbeResult> = { answeredMs: 7 };
  let now = 0;
  const asked: unknown[] = [];
  const session = {
    ...{ id: info.id, info: () => info, services: () => services },
    probe: async (options: unknown) => {
      asked.push(options);
      return answer;
    },
  } as unknown as Session;
  const views = sessionViews(
    () => [session],
    () => now,
  );
  expect(views()).toMatchObject([{ name: "a1b2c3", of: "deployment/core", health: "unknown" }]);
  await expect
    .poll(() => views()[0])
    .toMatchObject({ health: "well", notes: ["the API server answers in 7 ms", "9 names in the hosts file"] });
  expect(views()[0]!.tunnels).toMatchObject([
    {
      service: "leaf",
      address: "127.72.0.1:80",
      pods: [
        { name: "shop/leaf-1", ready: true },
        { name: "192.0.2.1", ready: false },
      ],
      bytes: { received: 4 },
    },
    { service: "db-0.db", state: "failed", error: "taken" },
  ]);
  answer = { error: { code: "KUBE_UNREACHABLE", message: "no route" } } as Partial<ProbeResult>;
  expect(views()[0]!.health).toBe("well");
  now = 10_001;
  await expect
    .poll(() => views()[0])
    .toMatchObject({ health: "unwell", notes: ["the API server does not answer: no route", "9 names in the hosts file"] });
  // Tunnels are not tried for it: that would be traffic among what is shown.
  expect(asked).toEqual([{ most: 0 }, { most: 0 }]);
});
