import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ENDPOINT_SLICES, SERVICES } from "@shipside/kube";
import { openTunnel } from "@shipside/tunnel";
import { expect, test } from "vitest";
import { countingProxy, e2eCluster } from "./tunnel.fixture.ts";

const SERVICES_COUNT = 300;

test(`${SERVICES_COUNT} services are ready within 3 s, over a handful of connections to the API server`, {
  timeout: 60_000,
}, async () => {
  await using e2e = await e2eCluster();
  const { cluster, namespace } = e2e;
  const names = Array.from({ length: SERVICES_COUNT }, (_, index) => `service-${index}`);
  for (let at = 0; at < names.length; at += 20) await Promise.all(names.slice(at, at + 20).map(create));
  async function create(name: string): Promise<void> {
    await cluster.create(SERVICES, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: {
        ports: [
          { name: "http", port: 28_080, targetPort: 8080 },
          { name: "admin", port: 28_081 },
        ],
      },
    });
    await cluster.create(ENDPOINT_SLICES, {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [
        { name: "http", port: 8080 },
        { name: "admin", port: 28_081 },
      ],
      endpoints: [{ addresses: ["10.244.1.2"], targetRef: { kind: "Pod", namespace, name: "no-such-pod" } }],
    });
  }

  await using proxy = await countingProxy(e2e.kubeconfig);
  const stateFile = join(tmpdir(), `shipside-e2e-${process.pid}-${namespace}.json`);
  try {
    const began = performance.now();
    await using tunnel = await openTunnel({ kubeconfig: proxy.kubeconfig, namespace, pool: { stateFile } });
    const took = performance.now() - began;

    const ports = [...tunnel.services.values()].flatMap((service) => service.ports.map(({ state }) => state));
    expect(ports).toEqual(Array.from({ length: 2 * SERVICES_COUNT }, () => "listening"));
    expect(new Set([...tunnel.services.values()].map(({ address }) => address)).size).toBe(SERVICES_COUNT);
    expect(tunnel.hostsEntries()).toHaveLength(SERVICES_COUNT);
    expect(took).toBeLessThan(3_000);
    expect(proxy.accepted).toBeLessThanOrEqual(5);
    console.info(`${SERVICES_COUNT} services: ${Math.round(took)} ms, ${proxy.accepted} connections made, ${proxy.open} open`);
  } finally {
    await rm(stateFile, { force: true });
  }
  expect(proxy.open).toBe(0);
});
