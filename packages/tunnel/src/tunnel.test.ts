import { expect, test } from "vitest";
import { fakeCluster } from "./fixtures/fake-cluster.ts";
import { service, slice } from "./fixtures/objects.ts";
import { ask, namedServer } from "./fixtures/servers.ts";
import { openTunnel } from "./index.ts";

test("a client of the service's own address and port talks to its pod", async () => {
  await using pod = await namedServer("leaf-1");
  const cluster = fakeCluster();
  cluster.put("services", service("leaf", [{ port: 23010, targetPort: 8080 }]));
  cluster.put("endpointslices", slice("leaf", [{ port: 8080 }], [{ pod: "leaf-1" }]));
  cluster.route("leaf-1", 8080, pod);

  await using tunnel = await openTunnel({ cluster, pool: { stateFile: false } });

  expect(cluster.dials).toEqual([]);
  const address = tunnel.address("leaf");
  expect(address).toMatch(/^127\.7[2-5]\.\d+\.\d+:23010$/);
  expect(await ask(address)).toBe("leaf-1:hello");
  expect(tunnel.hostsEntries()).toEqual([
    { address: address.split(":")[0], names: ["leaf", "leaf.home", "leaf.home.svc", "leaf.home.svc.cluster.local"] },
  ]);
});
