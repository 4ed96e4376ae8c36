import { expect, test } from "vitest";
import { service, slice } from "./fixtures/objects.ts";
import { type PlanOptions, planOf } from "./plan.ts";

const options: PlanOptions = { handles: () => false, ownPorts: true };
const brief = (plan: ReturnType<typeof planOf>): string[] =>
  plan.fronts.flatMap(({ hostname, ports }) =>
    ports.map(({ target, candidates, unsupported }) =>
      [
        `${hostname ?? ""}:${target.port}`,
        ...(unsupported ? [unsupported] : candidates.map(({ pod, port }) => `${pod?.name}:${port}`)),
      ].join(" "),
    ),
  );

test("UDP and SCTP are unsupported, and disturb no TCP port of the same number", () => {
  const view = {
    service: service("dns", [
      { name: "udp", port: 53, protocol: "UDP" },
      { name: "tcp", port: 53 },
      { name: "sctp", port: 54, protocol: "SCTP" },
    ]),
    slices: [
      slice(
        "dns",
        [
          { name: "tcp", port: 5353 },
          { name: "udp", port: 5353, protocol: "UDP" },
        ],
        [{ pod: "a" }],
      ),
    ],
  };
  const plan = planOf(view, options);
  expect(brief(plan)).toEqual([
    ":53 UDP can't be carried over port-forward",
    ":53 a:5353",
    ":54 SCTP can't be carried over port-forward",
  ]);
  expect(plan.unsupported).toBeUndefined();
});

test("a service of UDP ports alone is unsupported as a whole", () => {
  expect(planOf({ service: service("dns", [{ port: 53, protocol: "UDP" }]), slices: [] }, options).unsupported).toContain("UDP");
});

test("ExternalName and endpoints that are no pods are unsupported, unless a dialer handles them", () => {
  const external = {
    service: service("ext", [{ port: 443 }], { type: "ExternalName", externalName: "api.example.com" }),
    slices: [],
  };
  expect(planOf(external, options).unsupported).toContain("api.example.com");
  expect(
    planOf({ ...external, service: { ...external.service, spec: { ...external.service.spec, ports: [] } } }, options).unsupported,
  ).toContain("api.example.com");
  const handled = planOf(external, { ...options, handles: () => true });
  expect(handled.unsupported).toBeUndefined();
  expect(handled.fronts[0]?.ports[0]?.candidates).toMatchObject([{ address: "api.example.com", port: 443, ready: true }]);

  const manual = slice("db", [{ port: 5432 }], []);
  const view = { service: service("db", [{ port: 5432 }]), slices: [{ ...manual, endpoints: [{ addresses: ["192.0.2.7"] }] }] };
  expect(planOf(view, options).unsupported).toContain("192.0.2.7");
  expect(planOf(view, { ...options, handles: () => true }).unsupported).toBeUndefined();
});

test("a headless service is served on its target ports too, and each pod that has a hostname by itself", () => {
  const view = {
    service: service("db", [{ name: "sql", port: 5432, targetPort: "sql" }], { clusterIP: "None" }),
    slices: [
      slice(
        "db",
        [{ name: "sql", port: 15432 }],
        [
          { pod: "db-0", hostname: "db-0" },
          { pod: "db-1", hostname: "db-1" },
        ],
      ),
    ],
  };
  expect(brief(planOf(view, options))).toEqual([
    ":5432 db-0:15432 db-1:15432",
    ":15432 db-0:15432 db-1:15432",
    "db-0:5432 db-0:15432",
    "db-0:15432 db-0:15432",
    "db-1:5432 db-1:15432",
    "db-1:15432 db-1:15432",
  ]);
  expect(brief(planOf(view, { ...options, ownPorts: false }))).toEqual([
    ":5432 db-0:15432 db-1:15432",
    "db-0:5432 db-0:15432",
    "db-1:5432 db-1:15432",
  ]);
});

test("pods of a service that has a ClusterIP get no names of their own, as in the cluster", () => {
  const view = {
    service: service("web", [{ port: 80 }]),
    slices: [slice("web", [{ port: 80 }], [{ pod: "web-0", hostname: "web-0" }])],
  };
  expect(planOf(view, options).fronts).toHaveLength(1);
});

test("a service without endpoints is supported: they may come", () => {
  const plan = planOf({ service: service("web", [{ port: 80 }]), slices: [] }, options);
  expect(plan.unsupported).toBeUndefined();
  expect(brief(plan)).toEqual([":80"]);
});
