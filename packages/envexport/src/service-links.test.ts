import type { Service } from "@shipside/kube";
import { describe, expect, it } from "vitest";
import { serviceEnv } from "./service-links.ts";

const service = (
  namespace: string,
  name: string,
  clusterIP: string,
  ports: Service["spec"]["ports"] = [{ port: 80 }],
): Service => ({
  metadata: { namespace, name },
  spec: { clusterIP, ports },
});
const kubernetes = service("default", "kubernetes", "10.96.0.1", [{ name: "https", port: 443, protocol: "TCP" }]);
const values = (...args: Parameters<typeof serviceEnv>) =>
  Object.fromEntries(serviceEnv(...args).map(({ name, value }) => [name, value]));

describe("serviceEnv", () => {
  it("makes every variable of a service, of each of its ports", () => {
    const db = service("ns", "my-db", "10.96.0.7", [
      { name: "sql", port: 5432 },
      { name: "web-ui", port: 8080, protocol: "UDP" },
    ]);
    expect(values([db], "ns", true)).toEqual({
      MY_DB_SERVICE_HOST: "10.96.0.7",
      MY_DB_SERVICE_PORT: "5432",
      MY_DB_SERVICE_PORT_SQL: "5432",
      MY_DB_SERVICE_PORT_WEB_UI: "8080",
      MY_DB_PORT: "tcp://10.96.0.7:5432",
      MY_DB_PORT_5432_TCP: "tcp://10.96.0.7:5432",
      MY_DB_PORT_5432_TCP_PROTO: "tcp",
      MY_DB_PORT_5432_TCP_PORT: "5432",
      MY_DB_PORT_5432_TCP_ADDR: "10.96.0.7",
      MY_DB_PORT_8080_UDP: "udp://10.96.0.7:8080",
      MY_DB_PORT_8080_UDP_PROTO: "udp",
      MY_DB_PORT_8080_UDP_PORT: "8080",
      MY_DB_PORT_8080_UDP_ADDR: "10.96.0.7",
    });
  });

  it("leaves out what an intercept made for its relay alone: it comes and goes with somebody's session", () => {
    const backend = service("ns", "shipside-web-backend", "10.96.0.9");
    backend.metadata.labels = { "shipside.dev/backend-of": "web" };
    expect(values([backend], "ns", true)).toEqual({});
  });

  it("brackets IPv6, and uses the local address where there is one", () => {
    const addressOf = ({ name }: { name: string }) => (name === "a" ? "127.72.0.1" : undefined);
    const all = values([service("ns", "a", "10.96.0.7"), service("ns", "b", "fd00::7")], "ns", true, addressOf);
    expect(all).toMatchObject({ A_SERVICE_HOST: "127.72.0.1", A_PORT: "tcp://127.72.0.1:80", A_PORT_80_TCP_ADDR: "127.72.0.1" });
    expect(all).toMatchObject({ B_SERVICE_HOST: "fd00::7", B_PORT: "tcp://[fd00::7]:80" });
  });

  it("leaves out what has no cluster IP, what is of another namespace, and all but kubernetes where links are off", () => {
    const services = [
      kubernetes,
      service("ns", "headless", "None"),
      service("ns", "pending", ""),
      { metadata: { namespace: "ns", name: "ext" }, spec: { type: "ExternalName" as const, externalName: "x" } },
      service("other", "far", "10.96.0.8"),
      service("ns", "near", "10.96.0.9"),
    ];
    const hosts = (links: boolean) => Object.keys(values(services, "ns", links)).filter((name) => name.endsWith("_HOST"));
    expect(hosts(true)).toEqual(["KUBERNETES_SERVICE_HOST", "NEAR_SERVICE_HOST"]);
    expect(hosts(false)).toEqual(["KUBERNETES_SERVICE_HOST"]);
  });

  it("a service called kubernetes in the own namespace goes before the cluster's", () => {
    const own = service("ns", "kubernetes", "10.96.0.99");
    for (const services of [
      [own, kubernetes],
      [kubernetes, own],
    ]) {
      expect(values(services, "ns", true)["KUBERNETES_SERVICE_HOST"]).toBe("10.96.0.99");
      expect(values(services, "ns", false)["KUBERNETES_SERVICE_HOST"]).toBe("10.96.0.1");
    }
  });
});
