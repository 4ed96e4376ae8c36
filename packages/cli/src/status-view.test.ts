import type { ProbeResult, SessionInfo, TunnelProbe } from "@shipside/daemon/client";
import { expect, test } from "vitest";
import { isWell, sessionStatus } from "./status-view.ts";

const paint = (_style: string, text: string): string => text;
const session = {
  id: "a1b2c3",
  namespace: "shop",
  context: "dev",
  stale: [],
  names: { where: "hosts", count: 4 },
} as unknown as SessionInfo;
const good: TunnelProbe = {
  service: "leaf.shop",
  port: 80,
  address: "127.72.0.1:80",
  ms: { name: 1, listener: 0.2, endpoint: 0, pod: 12 },
};
const broken = (step: "name" | "endpoint" | "pod"): TunnelProbe => ({
  ...good,
  broken: { step, error: { code: "X", message: "it is so", hint: "do this" } },
});
const probe = (probes: TunnelProbe[], more: object = { answeredMs: 7 }): ProbeResult =>
  ({
    id: "a1b2c3",
    transport: { carrier: "spdy", connections: 1, streams: 2, bytes: 0, stuck: 1 },
    tunnels: { of: 9, asked: probes.length, probes },
    ...more,
  }) as ProbeResult;
const shown = (result: ProbeResult | undefined, details = false): string =>
  sessionStatus(session, result, { details, paint }).join("\n");

test("well: one line each for server, transport and ports", () => {
  expect(shown(probe([good, good]))).toBe(
    [
      "  a1b2c3 namespace shop in dev: the API server answers in 7 ms",
      "    port-forward by spdy: 1 connection, 2 streams, 1 connection held up by a reader, the pod or the network",
      "    all 2 ports answer from end to end (2 of 9 tried), the slowest pod in 12 ms",
    ].join("\n"),
  );
  expect(shown(probe([good]), true)).toContain("leaf.shop:80  127.72.0.1:80  name 1 ms, listener 0.2 ms, pod 12 ms");
  expect(shown(undefined)).toContain("closing");
});

test("broken: where, why and what to do; no pod of a service is the cluster's state", () => {
  const text = shown(probe([good, broken("name"), broken("endpoint")]));
  expect(text).toContain("2 of 3 ports are broken");
  expect(text).toMatch(/leaf\.shop:80 breaks at its name: it is so\n +hint: do this/);
  expect(isWell(session, probe([good, broken("endpoint")]))).toBe(true);
  for (const step of ["name", "pod"] as const) expect(isWell(session, probe([broken(step)]))).toBe(false);
  expect(isWell({ ...session, stale: [{ code: "X", message: "" }] }, probe([good]))).toBe(false);
});

test("a low port without root is told, and is no fault; another listener's is one", () => {
  const listener = (code: string): TunnelProbe => ({
    ...good,
    broken: {
      step: "listener",
      error: { code: "PROBE_LISTENER", message: "refused", hint: "get root", causes: [{ code, message: "refused" }] },
    },
  });
  const low = probe([good, listener("LISTEN_FORBIDDEN")]);
  expect(isWell(session, low)).toBe(true);
  expect(shown(low)).toContain("its port answers from end to end");
  expect(shown(low)).toMatch(/leaf\.shop:80 is not served on this machine: ports below 1024 need root here\n +hint: get root/);
  expect(shown(low, true)).toContain("breaks at its listener on this machine: refused");
  expect(shown(probe([listener("LISTEN_FORBIDDEN")]))).not.toContain("0 ports");
  const taken = probe([good, listener("LISTEN_IN_USE")]);
  expect(isWell(session, taken)).toBe(false);
  expect(shown(taken)).toContain("1 of 2 ports is broken");
});

test("where the API server is away, that is said once, not for every pod", () => {
  const away = probe([broken("pod"), broken("pod")], { error: { code: "KUBE_UNREACHABLE", message: "refused" } });
  expect(shown(away)).toContain("the API server does not answer: refused");
  expect(shown(away)).not.toContain("breaks at its pod");
  expect(isWell(session, away)).toBe(false);
});
