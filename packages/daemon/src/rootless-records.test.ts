import { expect, test } from "vitest";
import { clusterServices } from "./rootless-records.ts";

const port = (number: number, name?: string) => ({
  port: number,
  protocol: "TCP",
  state: "listening",
  ready: 1,
  ...(name && { name }),
});

test("services with a ClusterIP, headless ones with and without named pods, the API server; not what is outside the cluster", () => {
  const services = [
    { namespace: "shop", name: "web", address: "10.96.0.7", ports: [port(80, "http")] },
    { namespace: "shop", name: "db", address: "127.72.0.9", ports: [port(5432)] },
    { namespace: "shop", name: "workers", address: "127.72.0.10", ports: [port(9000)] },
    { namespace: "shop", name: "far", externalName: "db.example.com", address: "127.72.0.12", ports: [port(5432)] },
    { namespace: "shop", name: "portless", externalName: "example.com", unsupported: "it stands for example.com", ports: [] },
    { namespace: "shop", name: "gone", unsupported: "nobody serves it", ports: [] },
    { namespace: "", name: "kubernetes.default.svc", address: "10.96.0.1", ports: [port(443)] },
    { namespace: "", name: "db.internal", address: "127.72.0.11", ports: [port(5432)] },
  ];
  const entries = [
    { address: "10.96.0.7", names: ["web", "web.shop.svc.cluster.local"] },
    { address: "127.72.0.9", names: ["db", "db.shop.svc.cluster.local"] },
    { address: "10.244.0.3", names: ["db-0.db", "db-0.db.shop.svc.cluster.local"] },
  ];
  expect(clusterServices(services, entries)).toEqual([
    { namespace: "shop", name: "web", ports: [{ port: 80, protocol: "TCP", name: "http" }], addresses: ["10.96.0.7"] },
    {
      namespace: "shop",
      name: "db",
      ports: [{ port: 5432, protocol: "TCP" }],
      endpoints: [{ hostname: "db-0", addresses: ["10.244.0.3"] }],
    },
    { namespace: "shop", name: "workers", ports: [{ port: 9000, protocol: "TCP" }], addresses: ["127.72.0.10"] },
    { namespace: "shop", name: "far", externalName: "db.example.com", addresses: ["127.72.0.12"] },
    { namespace: "shop", name: "portless", externalName: "example.com" },
    { namespace: "default", name: "kubernetes", ports: [{ port: 443, protocol: "TCP" }], addresses: ["10.96.0.1"] },
  ]);
});
