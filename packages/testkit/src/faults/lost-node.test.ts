import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { startCluster } from "../cluster.ts";

/** Where pods have no network of their own, on their own loopback address alone. */
const SERVER = `for (const ip of new Set([process.env.IP, process.env.IP.startsWith("127.") ? process.env.IP : "127.0.0.1"]))
  require("http").createServer((q, s) => s.end("here")).listen(8080, ip)`;
const HOST = "kubernetes.io/hostname";
const labels = { app: "web" };
const unreachable = { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 1 };

test("two replicas that would rather be apart; one's node is lost: silence, then not ready, another in its place, and all in order when it is back", async () => {
  await using cluster = await startCluster({ node: { others: ["second"] } });
  const { store, faults, node } = cluster;
  const avoid = { weight: 1, podAffinityTerm: { labelSelector: { matchLabels: labels }, topologyKey: HOST } };
  await cluster.apply([
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web", namespace: "default" },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 5,
            affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [avoid] } },
            tolerations: [unreachable],
            containers: [
              {
                name: "web",
                image: "node:24",
                command: ["node", "-e", SERVER],
                env: [{ name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
                readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace: "default" },
      spec: { selector: labels, ports: [{ port: 8080 }] },
    },
  ]);
  const pods = () =>
    store.list("pods", "default").map(({ metadata, spec, status }) => ({
      name: metadata.name,
      node: spec.nodeName as string,
      ready: status?.conditions?.find(({ type }: { type: string }) => type === "Ready")?.status === "True",
      ending: metadata.deletionTimestamp !== undefined,
    }));
  const serving = (): string[] =>
    store
      .list("endpointslices.discovery.k8s.io", "default")
      .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === "web")
      .flatMap(({ endpoints }) => endpoints ?? [])
      .filter(({ conditions }) => conditions.ready)
      .map(({ targetRef }) => targetRef.name);
  await expect.poll(() => serving().length, { timeout: 20_000 }).toBe(2);
  expect(
    pods()
      .map((pod) => pod.node)
      .sort(),
  ).toEqual(["second", "shipside"]);
  const lost = pods().find((pod) => pod.node === "second")!.name;

  const back = await faults.loseNode("second", { noticedAfterMs: 1_500 });
  const socket = await node!.dialPod("default", lost, 8080);
  socket.on("error", () => {});
  let answered = false;
  socket.on("data", () => {
    answered = true;
  });
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await sleep(1_000);
  expect(answered).toBe(false);
  // Nobody has noticed yet: its probe has failed unheard.
  expect(serving()).toContain(lost);
  await expect.poll(serving, { timeout: 5_000 }).not.toContain(lost);
  expect(store.get("nodes", undefined, "second")!["status"].conditions).toContainEqual(
    expect.objectContaining({ type: "Ready", status: "Unknown", reason: "NodeStatusUnknown" }),
  );
  await expect.poll(() => serving().length, { timeout: 20_000 }).toBe(2);
  // It stays, for its kubelet can't say that it has ended it; the one in its place is elsewhere.
  expect(pods().find(({ name }) => name === lost)).toMatchObject({ node: "second", ending: true });
  expect(
    pods()
      .filter(({ ending }) => !ending)
      .map((pod) => pod.node),
  ).toEqual(["shipside", "shipside"]);

  await back();
  await expect.poll(() => pods().length, { timeout: 10_000 }).toBe(2);
  expect(store.get("nodes", undefined, "second")!["spec"].taints).toEqual([]);
  socket.destroy();
}, 60_000);

test("back before anybody noticed: its pod goes on", async () => {
  await using cluster = await startCluster({ node: { others: ["second"] } });
  const { store, faults } = cluster;
  const container = { name: "main", image: "busybox", command: ["sleep", "1000"] };
  const spec = { nodeSelector: { [HOST]: "second" }, terminationGracePeriodSeconds: 0, containers: [container] };
  await cluster.apply([{ apiVersion: "v1", kind: "Pod", metadata: { name: "one", namespace: "default" }, spec }]);
  const ready = () =>
    store.get("pods", "default", "one")?.["status"]?.conditions?.find(({ type }: { type: string }) => type === "Ready")?.status;
  await expect.poll(ready, { timeout: 10_000 }).toBe("True");
  const back = await faults.loseNode("second", { noticedAfterMs: 1 });
  await expect.poll(ready).toBe("False");
  await back();
  await expect.poll(ready).toBe("True");
  await expect(faults.loseNode("third")).rejects.toMatchObject({
    code: "NODE_OPTIONS_INVALID",
    hint: expect.stringContaining("shipside, second"),
  });
}, 30_000);
