import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger } from "@shipside/core";
import { isLive, isReady, type KubeObject, type ResourceType } from "@shipside/kube";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { startWorld, type World } from "./fixtures/world.ts";
import { type ClusterRelay, clusterRelay, type RelayLink } from "./index.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(() => world[Symbol.asyncDispose]());

const signal = new AbortController().signal;
const warn = vi.fn();
beforeEach(() => void warn.mockClear());
const relayIn = ({ cluster }: World, namespace: string): ClusterRelay =>
  clusterRelay({ cluster, namespace, owner: "ann@desk", logger: { ...silentLogger, warn } });
const deployments = ({ embedded }: World, namespace: string): string[] =>
  embedded.store.list("deployments.apps", namespace).map(({ metadata }) => metadata.name);

const readyPod = ({ embedded }: World, namespace: string): string | undefined =>
  embedded.store.list("pods", namespace).find((pod) => isLive(pod as never) && isReady(pod as never))?.metadata.name;

/** SIGKILL to a relay's process, once it is ready. Resolves with its pod's name when its link is lost. */
async function kill(world: World, namespace: string, link: RelayLink): Promise<string> {
  const pod = await vi.waitUntil(() => readyPod(world, namespace), { timeout: 15_000, interval: 20 });
  await world.embedded.faults.killPod(namespace, pod);
  await expect.poll(() => link.linked, { timeout: 15_000, interval: 5 }).toBe(false);
  return pod;
}
const untilLinked = (link: RelayLink, timeout: number) => expect.poll(() => link.linked, { timeout, interval: 20 }).toBe(true);

const ENDS = "it ends again and again (Error, exit code 137)";

test("a relay whose process is killed again is there before the kubelet would start it again", async () => {
  const namespace = await world.freshNamespace();
  await using relay = relayIn(world, namespace);
  const link = await relay.link(signal);
  const [deployment] = deployments(world, namespace);
  const pods = new Set<string>();
  for (let round = 0; round < 4; round++) {
    pods.add(await kill(world, namespace, link));
    // From the second time on its pause is 10 s, then 20 s.
    await untilLinked(link, 8_000);
    expect(await relay.link(signal)).toBe(link);
  }
  await expect(link.connect("127.0.0.1:1")).rejects.toMatchObject({ code: "DIAL_REFUSED" });
  expect(pods.size).toBe(2);
  expect(deployments(world, namespace)).toEqual([deployment]);
  const told = ["a relay gets a new pod", { relay: `${namespace}/${deployment}`, error: ENDS }];
  expect(warn.mock.calls).toEqual([told, told]);
}, 60_000);

test("one whose new pod can't be had is told with the reason, and is there when it can", async () => {
  const namespace = await world.freshNamespace();
  await using relay = relayIn(world, namespace);
  const link = await relay.link(signal);
  await kill(world, namespace, link);
  await untilLinked(link, 8_000);
  const quota = { metadata: { namespace, name: "none" }, spec: { hard: { pods: "0" } } };
  await world.cluster.create(QUOTAS, quota);
  await kill(world, namespace, link);
  const reason = expect.stringContaining("exceeded quota: none");
  const told = ["a relay's new pod is not ready", expect.objectContaining({ error: reason, hint: expect.any(String) })];
  await expect.poll(() => warn.mock.calls, { timeout: 15_000 }).toContainEqual(told);
  await world.cluster.delete(QUOTAS, quota.metadata);
  await untilLinked(link, 40_000);
}, 90_000);

test("one that goes on ending is left to the kubelet after five new pods, and that is told once", async () => {
  const namespace = await world.freshNamespace();
  await using relay = relayIn(world, namespace);
  const link = await relay.link(signal);
  const [deployment] = deployments(world, namespace);
  const pods = new Set<string>();
  const enough = "a relay gets no more new pods for now";
  const told = () => warn.mock.calls.filter(([message]) => message === enough);
  for (const limit = performance.now() + 60_000; told().length === 0 && performance.now() < limit; await sleep(50)) {
    const pod = readyPod(world, namespace);
    if (pod) pods.add(pod);
    if (pod) await world.embedded.faults.killPod(namespace, pod);
  }
  const [last = ""] = [...pods].slice(-1);
  const error = `the relay ${namespace}/${deployment}: ${ENDS}, in 5 new pods too`;
  const hint = `see why with: kubectl logs -n ${namespace} ${last} --previous`;
  await untilLinked(link, 20_000);
  expect(told()).toEqual([[enough, { relay: `${namespace}/${deployment}`, error, hint }]]);
  expect(pods.size).toBe(6);
  expect(readyPod(world, namespace)).toBe(last);
}, 120_000);

const QUOTAS: ResourceType<KubeObject & { spec: object }> = {
  ...{ group: "", version: "v1", plural: "resourcequotas", kind: "ResourceQuota", namespaced: true, shortNames: [] },
};
