import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { teleport } from "@shipside/daemon";
import { SERVICES } from "@shipside/kube";
import { expect, test } from "vitest";
import { countingProxy, e2eCluster } from "./tunnel.fixture.ts";

const COUNT = 300;

test(`${COUNT} services: names, tunnels and ready, over a handful of connections; and all undone`, async () => {
  await using e2e = await e2eCluster();
  const { cluster, namespace } = e2e;
  for (let n = 0; n < COUNT; n++) {
    await cluster.create(SERVICES, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: `service-${n}`, namespace },
      spec: { selector: { app: `service-${n}` }, ports: [{ port: 43_300 }] },
    });
  }
  await using proxy = await countingProxy(e2e.kubeconfig);
  const dir = await mkdtemp(join(tmpdir(), "shipside-scale-"));
  try {
    const hosts = join(dir, "hosts");
    await writeFile(hosts, "127.0.0.1 localhost\n");
    // Loaded once a process, and not what grows with the number of services.
    await (await teleport({ kubeconfig: e2e.kubeconfig, namespace, hosts: false, stateDir: join(dir, "warm") })).close();
    const began = performance.now();
    {
      await using session = await teleport({
        kubeconfig: proxy.kubeconfig,
        namespace,
        hosts: { path: hosts },
        stateDir: join(dir, "state"),
      });
      const readyMs = Math.round(performance.now() - began);
      console.log(`${COUNT} services ready after ${readyMs} ms, ${proxy.accepted} connections`);
      expect(readyMs).toBeLessThan(3_000);
      expect(proxy.open).toBeLessThanOrEqual(6);
      const { names, services } = session.info();
      expect([names.where, names.count, services.length]).toEqual(["hosts", 4 * COUNT, COUNT]);
      expect(services.every(({ ports }) => ports.every(({ state }) => state === "listening"))).toBe(true);
      expect((await readFile(hosts, "utf8")).match(/service-\d+ /g)).toHaveLength(COUNT);
    }
    expect(await readFile(hosts, "utf8")).toBe("127.0.0.1 localhost\n");
  } finally {
    await rm(dir, { recursive: true });
  }
}, 120_000);
