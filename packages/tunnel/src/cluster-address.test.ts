import { expect, it } from "vitest";
import { clusterAddress } from "./cluster-address.ts";

const service = (spec: object) => ({ metadata: { name: "db", namespace: "shop" }, spec });
const slice = (endpoints: object[], addressType = "IPv4") =>
  ({ metadata: { name: "db-1" }, addressType, ports: [], endpoints }) as never;

it("a service has its ClusterIP, of whichever family; a headless one and an ExternalName have none", () => {
  expect(clusterAddress({ service: service({ clusterIP: "10.96.0.9" }), slices: [] })).toBe("10.96.0.9");
  expect(clusterAddress({ service: service({ clusterIP: "fd00::9" }), slices: [] })).toBe("fd00::9");
  expect(clusterAddress({ service: service({ clusterIP: "None" }), slices: [] })).toBeUndefined();
  expect(clusterAddress({ service: service({ type: "ExternalName", externalName: "a.b" }), slices: [] })).toBeUndefined();
});

it("a headless service's pod has its IP: IPv4 first, the ready one first", () => {
  const slices = [
    slice([{ hostname: "db-0", addresses: ["fd00::1"] }], "IPv6"),
    slice([
      { hostname: "db-1", addresses: ["10.244.0.8"] },
      { hostname: "db-0", addresses: ["10.244.0.3"], conditions: { ready: false } },
      { hostname: "db-0", addresses: ["10.244.0.4"] },
    ]),
  ];
  const view = { service: service({ clusterIP: "None" }), slices };
  expect(clusterAddress(view, "db-0")).toBe("10.244.0.4");
  expect(clusterAddress(view, "db-1")).toBe("10.244.0.8");
  expect(clusterAddress(view, "db-2")).toBeUndefined();
});

it("a pod has no address of the internet's: who may write an EndpointSlice would have its traffic", () => {
  const view = (address: string) => ({
    service: service({ clusterIP: "None" }),
    slices: [slice([{ hostname: "db-0", addresses: [address] }])],
  });
  for (const address of ["140.82.121.4", "2606:4700::1111", "169.254.169.254", "0.0.0.0"])
    expect(clusterAddress(view(address), "db-0")).toBeUndefined();
  for (const address of ["172.16.4.4", "192.168.7.7", "100.64.3.3", "fd00::1"])
    expect(clusterAddress(view(address), "db-0")).toBe(address);
});
