import { chmod, copyFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectCluster, DEPLOYMENTS, type KubeObject, SERVICES } from "@shipside/kube";
import { startCluster } from "@shipside/testkit";
import { expect, test } from "vitest";
import { newUser } from "./cli.harness.ts";

/**
 * A daemon while the cluster is never still: every 100 ms a service comes or goes, or a deployment gets or loses a pod. In the soak for an
 * hour, in which its memory may grow by a tenth; otherwise for seconds, after which it must have no more descriptors than before.
 */
const soak = process.env["SHIPSIDE_SOAK"] === "1";
const MINUTE = 60_000;
const [warmUpMs, churnMs] = soak ? [10 * MINUTE, 60 * MINUTE] : [2_000, 10_000];
const SERVICES_MOST = 40;

test(`services and pods change every 100 ms for ${churnMs / 1_000} s: the daemon keeps up, and doesn't grow`, {
  timeout: warmUpMs + churnMs + 2 * MINUTE,
}, async () => {
  await using embedded = await startCluster({ node: { network: "fake" } });
  await using cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
  await using user = await newUser();
  const kubeconfig = join(user.home, "kubeconfig");
  await copyFile(embedded.kubeconfigPath, kubeconfig);
  await chmod(kubeconfig, 0o644);
  await cluster.create(DEPLOYMENTS, deployment("pods"));
  await cluster.create(SERVICES, service("pods"));

  const started = await user.run(["start", "--no-root", "--json"]);
  const { pid } = JSON.parse(started.stdout) as { pid: number };
  try {
    expect(await user.run(["teleport", "namespace", "default", "--kubeconfig", kubeconfig])).toMatchObject({ code: 0 });

    const born: string[] = [];
    let count = 0;
    const change = async (): Promise<void> => {
      const turn = count++;
      if (turn % 3 === 0) {
        const replicas = 1 + ((turn / 3) % 4);
        await cluster.patch(DEPLOYMENTS, { name: "pods" }, { spec: { replicas } }, { kind: "merge" });
      } else if (born.length < SERVICES_MOST && turn % 3 === 1) {
        const name = `service-${turn}`;
        born.push(name);
        await cluster.create(SERVICES, service(name));
      } else if (born.length > 0) await cluster.delete(SERVICES, { name: born.shift()! });
    };
    const churn = async (ms: number, eachSecond: () => Promise<void> = async () => {}): Promise<void> => {
      const end = Date.now() + ms;
      while (Date.now() < end) {
        const next = Date.now() + 100;
        await change();
        if (count % 10 === 0) await eachSecond();
        await sleep(Math.max(0, next - Date.now()));
      }
    };

    const shown = async (): Promise<string[]> => {
      const { stdout } = await user.run(["session", "list", "--details", "--json"]);
      const [session] = JSON.parse(stdout) as Array<{ services: Array<{ name: string }> }>;
      return session!.services.map(({ name }) => name).sort();
    };
    const settled = async (): Promise<void> => {
      await expect.poll(shown, { timeout: 30_000 }).toEqual(["kubernetes", "pods", ...born].sort());
    };

    await churn(warmUpMs);
    await settled();
    const before = { resident: await residentMiB(pid), descriptors: await descriptors(pid), services: born.length };
    const samples: number[] = [];
    await churn(churnMs, async () => void samples.push(await residentMiB(pid)));
    await settled();
    const tenth = Math.ceil(samples.length / 10);
    const [first, last] = [median(samples.slice(0, tenth)), median(samples.slice(-tenth))];
    console.log(`${count} changes; resident ${first.toFixed(1)} MiB at first, ${last.toFixed(1)} MiB at last`);
    if (soak) expect(last / first).toBeLessThan(1.1);
    // A listener each service, and nothing else that stays.
    expect((await descriptors(pid)) - born.length).toBeLessThanOrEqual(before.descriptors - before.services + 4);
  } finally {
    await user.run(["stop"]);
  }
  expect(await user.left()).toEqual([]);
});

const residentMiB = async (pid: number): Promise<number> =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
const descriptors = async (pid: number): Promise<number> => (await readdir(`/proc/${pid}/fd`)).length;
const median = (values: number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

const service = (name: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default" },
  spec: { selector: { app: "pods" }, ports: [{ port: 43_700 }] },
});

const deployment = (name: string): KubeObject =>
  ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "default" },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "pods" } },
      template: {
        metadata: { labels: { app: "pods" } },
        spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "main", image: "node:24" }] },
      },
    },
  }) as never;
