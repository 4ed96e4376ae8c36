import { expect, test } from "vitest";
import { createConnections } from "./connections.ts";
import { service, slice } from "./fixtures/objects.ts";
import { ask } from "./fixtures/servers.ts";
import { localListeners } from "./listener.ts";
import { createPort } from "./port.ts";
import { connectionReception } from "./reception.ts";
import { createServiceTunnel } from "./tunneled-service.ts";

test("a pod that doesn't come back loses its name, then its listeners, when its time is over", async () => {
  await using listeners = localListeners();
  await using connections = createConnections({ holdMs: 0, graceMs: 0, onOpen() {}, onClose() {} });
  const told: string[] = [];
  const db = service("db", [{ port: 25_433 }], { clusterIP: "None" });
  const view = (...pods: string[]) => ({
    service: db,
    slices: [
      slice(
        "db",
        [{ port: 25_433 }],
        pods.map((pod) => ({ pod, hostname: pod })),
      ),
    ],
  });
  const tunnel = createServiceTunnel(
    view(),
    {
      bind: "pool",
      listeners,
      lingerMs: 200,
      handles: () => false,
      addressOf: async (_namespace, _name, hostname) => (hostname === undefined ? "127.72.9.1" : "127.72.9.2"),
      createPort: (target) =>
        createPort({
          ...{ target, dialMs: () => 5_000, dial: () => Promise.reject(new Error("nobody")) },
          reception: connectionReception(connections, target),
        }),
      onPort: (event, _service, port) => void told.push(`${event} ${port.target.hostname ?? ""}`),
      onUnsupported() {},
      onBlunder: (error) => void told.push(String(error)),
      onNames: () => void told.push(`names ${tunnel.service.pods.map(({ hostname }) => hostname)}`),
    },
    Promise.resolve(),
  );
  await tunnel.update(view("db-0"));
  told.length = 0;
  await tunnel.update(view());
  expect(tunnel.service.pods.map(({ address }) => address)).toEqual(["127.72.9.2"]);
  await tunnel.update(view("db-0"));
  await tunnel.update(view());
  expect(told).toEqual([]);
  await expect.poll(() => told).toEqual(["names ", "port-closed db-0"]);
  await expect(ask("127.72.9.2:25433")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  expect(tunnel.service.ports[0]?.state).toBe("listening");
  await tunnel.close();
});
