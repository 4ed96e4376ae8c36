import { expect, test, vi } from "vitest";
import { fakeCluster } from "./fixtures/fake-cluster.ts";
import { service, slice } from "./fixtures/objects.ts";
import { ask, namedServer } from "./fixtures/servers.ts";
import { openTunnel } from "./index.ts";

// Linux' loopback has all of 127.0.0.0/8: in a namespace the cluster's own addresses would stand there.
test.runIf(process.platform === "linux")(
  "bind cluster: ClusterIPs and pods' IPs; a pod that is made anew is at its new one",
  async () => {
    await using web = await namedServer("web-1");
    await using db = await namedServer("db-0");
    const cluster = fakeCluster();
    cluster.put("services", service("web", [{ port: 23_080 }], { clusterIP: "127.80.0.10" }));
    cluster.put("endpointslices", slice("web", [{ port: 8080 }], [{ pod: "web-1" }]));
    cluster.route("web-1", 8080, web);
    cluster.put("services", service("db", [{ port: 25_432 }], { clusterIP: "None" }));
    const pod = { pod: "db-0", hostname: "db-0" };
    cluster.put("endpointslices", slice("db", [{ port: 25_432 }], [{ ...pod, addresses: ["127.80.1.2"] }]));
    cluster.route("db-0", 25_432, db);

    await using tunnel = await openTunnel({ cluster, bind: "cluster", pool: { stateFile: false } });
    expect(tunnel.address("web")).toBe("127.80.0.10:23080");
    expect(await ask("127.80.0.10:23080")).toBe("web-1:hello");
    expect(await ask("127.80.1.2:25432")).toBe("db-0:hello");
    // No address of the cluster's stands for all of a headless service's pods.
    expect(tunnel.address("db")).toMatch(/^127\.7[2-5]\./);

    cluster.put("endpointslices", slice("db", [{ port: 25_432 }], [{ ...pod, uid: "new", addresses: ["127.80.1.3"] }]));
    await vi.waitFor(async () => expect(await ask("127.80.1.3:25432")).toBe("db-0:hello"), 5_000);
    expect(tunnel.hostsEntries().find(({ names }) => names.includes("db-0.db"))?.address).toBe("127.80.1.3");
    await expect(ask("127.80.1.2:25432")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  },
);

test.runIf(process.platform === "linux")("a dual-stack service is at its other ClusterIP too, as long as it has one", async () => {
  await using web = await namedServer("web-1");
  const cluster = fakeCluster();
  const put = (...clusterIPs: string[]): void =>
    cluster.put("services", service("web", [{ port: 23_081 }], { clusterIP: clusterIPs[0]!, clusterIPs }));
  put("127.80.2.10", "127.80.2.11");
  cluster.put("endpointslices", slice("web", [{ port: 8080 }], [{ pod: "web-1" }]));
  cluster.route("web-1", 8080, web);
  await using tunnel = await openTunnel({ cluster, bind: "cluster", pool: { stateFile: false } });
  for (const address of ["127.80.2.10", "127.80.2.11"]) expect(await ask(`${address}:23081`)).toBe("web-1:hello");
  expect(tunnel.status().services).toMatchObject([{ address: "127.80.2.10", secondaryAddress: "127.80.2.11" }]);

  put("127.80.2.10", "127.80.2.12");
  await vi.waitFor(async () => expect(await ask("127.80.2.12:23081")).toBe("web-1:hello"), 5_000);
  await expect(ask("127.80.2.11:23081")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  put("127.80.2.10");
  await vi.waitFor(() => expect(ask("127.80.2.12:23081")).rejects.toMatchObject({ code: "ECONNREFUSED" }), 5_000);
  expect(await ask("127.80.2.10:23081")).toBe("web-1:hello");
  expect(tunnel.status().services[0]).not.toHaveProperty("secondaryAddress");
});

test.runIf(process.platform === "linux")("a host outside has the address that it has in the cluster", async () => {
  const cluster = fakeCluster();
  const host = "kubernetes.default.svc:20443";
  const plugin = {
    name: "out",
    dialers: [{ name: "out", handles: () => true, create: () => Promise.reject(new Error("not dialled")) as never }],
  };
  await using tunnel = await openTunnel({
    ...{ cluster, bind: "cluster", hosts: [host], hostAddresses: { [host]: "127.80.0.1" } },
    ...{ pool: { stateFile: false }, plugins: [plugin] },
  });
  expect(tunnel.hostsEntries()).toEqual([{ address: "127.80.0.1", names: ["kubernetes.default.svc"] }]);
});
