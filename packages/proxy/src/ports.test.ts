import type { Pod, Service, ServicePort } from "@shipside/kube";
import { describe, expect, test } from "vitest";
import { parsePort, planExpose, planIntercept } from "./ports.ts";

test.each([
  ["80", { remote: 80 }],
  ["80:8080", { remote: 80, local: 8080 }],
  ["http:8080", { remote: "http", local: 8080 }],
  ["web=80:8080", { name: "web", remote: 80, local: 8080 }],
  ["53:5353/udp", { remote: 53, local: 5353, protocol: "UDP" }],
  ["53/TCP", { remote: 53 }],
])("port %j", (text, wish) => {
  expect(parsePort(text)).toEqual(wish);
});

test.each(["", "0", "65536", "80:0", "80:x", "80:8080:1", "a_b", "80/sctp", "=80", "Web=80"])("port %j is refused", (text) => {
  expect(() => parsePort(text)).toThrow(
    expect.objectContaining({ code: "PROXY_OPTION_INVALID", hint: expect.stringContaining("REMOTE") }),
  );
});

const service = (...ports: ServicePort[]): Service => ({ metadata: { name: "core" }, spec: { ports } });
const pod = (...ports: Array<{ name: string; containerPort: number }>): Pod => ({
  metadata: { name: "core-1" },
  spec: { containers: [{ name: "main", ports }] },
});
const options = { pods: [pod({ name: "http", containerPort: 3020 })], backendHost: "b.shop.svc", tcp: false };

describe("planIntercept", () => {
  test("every port is taken, those that are meant are claimed, and only those that say HTTP are looked into", () => {
    const plan = planIntercept(
      service(
        { name: "main", port: 80, targetPort: 8080 },
        { name: "grpc-admin", port: 81 },
        { name: "db", port: 5432, targetPort: 5432 },
        { name: "dns", port: 53, protocol: "UDP" },
        { name: "https", port: 443, targetPort: 8443 },
      ),
      [parsePort("main:4000")],
      options,
    );
    expect(plan.claimed).toEqual([{ port: 80, localPort: 4000, protocol: "TCP" }]);
    expect(plan.accept.map(({ port, listen, protocol, mode }) => [port, listen, protocol, mode])).toEqual([
      [80, 8080, "TCP", "http"],
      [81, 81, "TCP", "http"],
      [5432, 5432, "TCP", "tcp"],
      [53, 53, "UDP", "tcp"],
      [443, 8443, "TCP", "tcp"],
    ]);
    expect(plan.accept[0]).toMatchObject({ name: "main", backend: { host: "b.shop.svc", port: 80 } });
  });

  test("where it goes when all is put back; a Service that keeps its clients has their pods looked up, at their own port", () => {
    const shop = (spec: object): Service => ({
      metadata: { name: "core", namespace: "shop" },
      spec: { ports: [{ port: 80, targetPort: "http" }], ...spec },
    });
    const restored = { host: "core.shop.svc", port: 80 };
    const backend = { host: "b.shop.svc", port: 80 };
    expect(planIntercept(shop({}), [], options).accept).toMatchObject([{ backend, restored }]);
    expect(planIntercept(shop({ sessionAffinity: "ClientIP" }), [], options).accept).toMatchObject([
      { backend: { host: "b.shop.svc", port: 3020, perClient: true }, restored },
    ]);
    expect(planIntercept(shop({ clusterIP: "None", sessionAffinity: "ClientIP" }), [], options).accept[0]).toEqual(
      expect.not.objectContaining({ restored: expect.anything(), backend: expect.objectContaining({ perClient: true }) }),
    );
  });

  test("none meant: every TCP port, each on its own number", () => {
    const plan = planIntercept(service({ port: 80 }, { port: 53, protocol: "UDP" }), [], options);
    expect(plan.claimed).toEqual([{ port: 80, localPort: 80, protocol: "TCP" }]);
  });

  test("a named target port is what the pods have by that name, and free of what others need", () => {
    const plan = planIntercept(service({ port: 80, targetPort: "http" }, { port: 81, targetPort: 3020 }), [], options);
    expect(plan.accept).toMatchObject([
      { port: 80, targetName: "http", listen: 3021 },
      { port: 81, listen: 3020 },
    ]);
    expect(planIntercept(service({ port: 28_600, targetPort: "gone" }), [], options).accept[0]).toMatchObject({ listen: 28_602 });
  });

  test("two ports with one target port are one", () => {
    const plan = planIntercept(
      service({ port: 80, targetPort: "http" }, { port: 8080, targetPort: "http" }),
      [parsePort("8080:1"), parsePort("80:2")],
      options,
    );
    expect(plan.accept).toMatchObject([{ port: 80, mode: "http" }]);
    expect(plan.claimed).toEqual([{ port: 80, localPort: 1, protocol: "TCP" }]);
  });

  test("--tcp: not looked into", () => {
    expect(planIntercept(service({ name: "http", port: 80 }), [], { ...options, tcp: true }).accept[0]!.mode).toBe("tcp");
  });

  test("--tls-secret: TLS ends on the claimed ports that say it, or where none does, on all of them", () => {
    const shop = service(
      { name: "http", port: 80 },
      { name: "web", port: 443 },
      { name: "https-admin", port: 8443 },
      { port: 9000 },
    );
    shop.metadata.namespace = "shop";
    const ending = (...wishes: string[]) =>
      planIntercept(shop, wishes.map(parsePort), { ...options, tls: true }).accept.flatMap(({ port, tls }) => (tls ? [port] : []));
    expect(ending()).toEqual([443, 8443]);
    expect(ending("80:8080", "8443:8080")).toEqual([8443]);
    expect(ending("9000")).toEqual([9000]);
    expect(planIntercept(shop, [], options).accept.some(({ tls }) => tls)).toBe(false);
    const [port] = planIntercept(shop, [parsePort("443")], { ...options, tls: true }).accept.filter(({ tls }) => tls);
    expect(port).toMatchObject({
      mode: "http",
      tls: { names: ["core.shop.svc", "core.shop.svc.cluster.local", "core.shop", "core"] },
    });
  });

  test("a port that isn't there", () => {
    expect(() => planIntercept(service({ port: 80, name: "web" }), [parsePort("81")], options)).toThrow(
      expect.objectContaining({ code: "PROXY_PORT_UNKNOWN", hint: "it has 80 (web)" }),
    );
  });
});

describe("planExpose", () => {
  test("several, named, UDP beside TCP of the same number", () => {
    const plan = planExpose([parsePort("web=80:8080"), parsePort("53:5353"), parsePort("53:5354/udp")]);
    expect(plan.ports).toEqual([
      { name: "web", port: 80, protocol: "TCP", targetPort: 20_000 },
      { name: "port-53", port: 53, protocol: "TCP", targetPort: 20_001 },
      { name: "port-53-udp", port: 53, protocol: "UDP", targetPort: 20_002 },
    ]);
    expect(plan.claimed.map(({ localPort }) => localPort)).toEqual([8080, 5353, 5354]);
    expect(plan.accept.every(({ backend, mode }) => backend === undefined && mode === "tcp")).toBe(true);
  });

  test("one needs no name; a workload's ports are reused", () => {
    expect(planExpose([parsePort("80")]).ports[0]).not.toHaveProperty("name");
    const workload: ServicePort[] = [{ name: "http", port: 3020, protocol: "TCP" }];
    expect(planExpose([], workload).claimed).toEqual([{ port: 3020, localPort: 3020, protocol: "TCP" }]);
    expect(planExpose([parsePort("http:4000")], workload)).toMatchObject({
      ports: [{ name: "http", port: 3020 }],
      claimed: [{ localPort: 4000 }],
    });
  });

  test.each([[[]], [["80", "80:1"]], [["web=80", "web=81"]]])("%j is refused", (texts) => {
    expect(() => planExpose(texts.map(parsePort))).toThrow(expect.objectContaining({ code: "PROXY_OPTION_INVALID" }));
  });

  test("a name that nobody knows", () => {
    expect(() => planExpose([parsePort("web:1")])).toThrow(
      expect.objectContaining({ code: "PROXY_PORT_UNKNOWN", hint: "say its number: web=80:1" }),
    );
  });
});
