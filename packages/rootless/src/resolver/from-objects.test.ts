import { expect, test } from "vitest";
import { clusterRecords } from "./cluster-records.ts";
import { clusterServices, type EndpointSliceObject, type ServiceObject } from "./from-objects.ts";
import { TYPE } from "./message.ts";

const service = (name: string, spec: ServiceObject["spec"]): ServiceObject => ({ metadata: { name, namespace: "shop" }, spec });
const slice = (owner: string, rest: Omit<EndpointSliceObject, "metadata">, namespace = "shop"): EndpointSliceObject => ({
  metadata: { name: `${owner}-x`, namespace, labels: { "kubernetes.io/service-name": owner } },
  ...rest,
});

test("a service with a ClusterIP, in both families", () => {
  const [web] = clusterServices(
    [
      service("web", {
        clusterIP: "10.96.0.9",
        clusterIPs: ["10.96.0.9", "fd00::9"],
        ports: [
          { name: "http", port: 80 },
          { port: 53, protocol: "UDP" },
        ],
      }),
    ],
    [],
  );
  expect(web).toEqual({
    namespace: "shop",
    name: "web",
    addresses: ["10.96.0.9", "fd00::9"],
    ports: [
      { name: "http", port: 80, protocol: "TCP" },
      { port: 53, protocol: "UDP" },
    ],
    endpoints: [],
  });
});

test("a headless service has the endpoints that are ready, of its own slices, with their own ports", () => {
  const ports = [
    { name: "pg", port: 5432 },
    { name: "all", port: null },
  ];
  const [db] = clusterServices(
    [service("db", { clusterIP: "None", ports: [{ name: "pg", port: 1 }] })],
    [
      slice("db", {
        addressType: "IPv4",
        ports,
        endpoints: [
          { addresses: ["10.244.0.1"], hostname: "db-0", conditions: { ready: true } },
          { addresses: ["10.244.0.2"], hostname: "db-1", conditions: { ready: false } },
          { addresses: ["10.244.0.3"], hostname: null },
        ],
      }),
      slice("db", { addressType: "FQDN", endpoints: [{ addresses: ["db.example.com"] }] }),
      slice("other", { endpoints: [{ addresses: ["10.244.0.4"] }] }),
      slice("db", { endpoints: [{ addresses: ["10.244.0.5"] }] }, "elsewhere"),
      slice("db", { endpoints: null, ports: null }),
    ],
  );
  const own = [{ name: "pg", port: 5432, protocol: "TCP" }];
  expect(db).toMatchObject({ addresses: [] });
  expect(db!.endpoints).toEqual([
    { addresses: ["10.244.0.1"], hostname: "db-0", ports: own },
    { addresses: ["10.244.0.3"], ports: own },
  ]);
});

test("a pod that stands in several slices has each record once", () => {
  const endpoints = (address: string) => [{ addresses: [address], hostname: "db-0" }];
  const ports = [{ name: "pg", port: 5432 }];
  const services = clusterServices(
    [service("db", { clusterIP: "None" })],
    ["10.244.0.1", "10.244.0.1", "fd00::1"].map((address) => slice("db", { ports, endpoints: endpoints(address) })),
  );
  const records = clusterRecords({ zone: "cluster.local", services, namespaces: [], servers: [] });
  const types = (name: string): number[] | undefined => records.find(name)?.map(({ type }) => type);
  expect(types("db-0.db.shop.svc.cluster.local")).toEqual([TYPE.A, TYPE.AAAA]);
  expect(types("_pg._tcp.db.shop.svc.cluster.local")).toEqual([TYPE.SRV]);
  expect(types("1.0.244.10.in-addr.arpa")).toEqual([TYPE.PTR]);
});

test("another name for something outside", () => {
  expect(clusterServices([service("mail", { type: "ExternalName", externalName: "smtp.example.com" })], [])).toEqual([
    { namespace: "shop", name: "mail", externalName: "smtp.example.com" },
  ]);
});
