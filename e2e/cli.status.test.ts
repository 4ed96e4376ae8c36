import { once } from "node:events";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ProbeResult } from "@shipside/daemon/client";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newUser, type Ran, untilSaid } from "./cli.harness.ts";
import { canHaveMachine, has, newMachine } from "./root.harness.ts";

const PORT = 43_290;
const labels = { app: "web" };
const serve = `require("node:http").createServer((q, s) => s.end("ok")).listen(${PORT}, process.env.POD_IP)`;

let cluster: EmbeddedCluster;
beforeAll(async () => {
  cluster = await startCluster({ name: "probed" });
  const containers = [
    {
      name: "web",
      image: "node:24",
      command: ["node", "-e", serve],
      readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
    },
  ];
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace: "shop" },
      spec: { selector: labels, ports: [{ port: 8080, targetPort: PORT }] },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web", namespace: "shop" },
      spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
    },
  ]);
  while (cluster.store.get("deployments.apps", "shop", "web")?.["status"]?.readyReplicas !== 1) await delay(50);
});
afterAll(() => cluster.close());

async function kubeconfigFor(home: string): Promise<string> {
  const path = join(home, "kubeconfig");
  await writeFile(path, cluster.kubeconfig());
  await chmod(path, 0o644);
  return path;
}
const probesOf = ({ stdout }: Ran): ProbeResult[] => JSON.parse(stdout).processes[0].probes;

describe.skipIf(!canHaveMachine || !has("sudo"))("on a machine whose hosts file is written", () => {
  test("status resolves names as programs do, and says which is another's", async () => {
    await using machine = await newMachine({ sudo: true });
    const kubeconfig = await kubeconfigFor(machine.home);
    expect((await machine.run(["start"])).code).toBe(0);
    try {
      expect((await machine.run(["teleport", "namespace", "shop", "-k", kubeconfig])).code).toBe(0);
      const well = await machine.run(["status", "--json"]);
      expect(well.code, well.stdout).toBe(0);
      const [{ tunnels, transport } = {} as ProbeResult] = probesOf(well);
      expect(tunnels).toMatchObject({ of: 1, asked: 1 });
      expect(tunnels).not.toHaveProperty("namesSkipped");
      expect(tunnels.probes[0]).toMatchObject({
        service: "web.shop",
        ms: { name: expect.any(Number), listener: expect.any(Number), pod: expect.any(Number) },
      });
      expect(transport.carrier).toBe("spdy");

      await machine.sh("cp /etc/hosts /etc/hosts.before && sed -i 's/^127[.0-9]* web /10.1.2.3 web /' /etc/hosts");
      const { code, stdout } = await machine.run(["status"]);
      expect([code, stdout]).toEqual([
        4,
        expect.stringMatching(/web\.shop:8080 breaks at its name: web\.shop resolves to 10\.1\.2\.3/),
      ]);
      await machine.sh("cat /etc/hosts.before > /etc/hosts");
      expect((await machine.run(["status"])).code).toBe(0);
    } finally {
      await machine.run(["stop"]);
    }
  }, 60_000);
});

test("status while the API server is away, and the daemon's log of it, also after a crash", async () => {
  await using user = await newUser();
  const kubeconfig = await kubeconfigFor(user.home);
  const { stdout } = await user.run(["start", "--no-root", "--json"]);
  try {
    expect((await user.run(["teleport", "namespace", "shop", "-k", kubeconfig])).code).toBe(0);
    const details = await user.run(["status", "--details"]);
    expect([details.code, details.stdout]).toEqual([
      0,
      expect.stringMatching(/port-forward by spdy: [\s\S]*web\.shop:8080 {2}127\..*:8080 → web-.* {2}listener .* ms, pod .* ms/),
    ]);
    await cluster.stop();
    try {
      const began = performance.now();
      const away = await user.run(["status"]);
      // The command's own start is part of it, on a busy machine too.
      expect(performance.now() - began).toBeLessThan(10_000);
      expect([away.code, away.stdout]).toEqual([4, expect.stringContaining("the API server does not answer")]);
    } finally {
      await cluster.start();
    }

    const log = JSON.parse((await user.run(["logs", "--json", "--since", "10m"])).stdout) as Array<{ message: string }>;
    expect(log[0]).toMatchObject({ level: "info", message: "serving" });
    expect(log).toContainEqual(
      expect.objectContaining({ level: "info", message: "session opened", kind: "teleport", namespace: "shop" }),
    );
    process.kill(JSON.parse(stdout).pid, "SIGKILL");
    const after = await user.run(["logs"]);
    expect([after.code, after.stdout]).toEqual([0, expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}info {3}serving /)]);

    // Followed into the next daemon's.
    const followed = user.start(["logs", "-f"]);
    const twice = untilSaid(followed, / serving [\s\S]* serving /);
    await untilSaid(followed, / serving /);
    expect((await user.run(["start", "--no-root"])).code).toBe(0);
    await twice;
    const ended = once(followed, "exit");
    followed.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
  } finally {
    await user.run(["session", "clean"]);
    await user.run(["stop"]);
  }
}, 60_000);
