import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectls } from "./kubectl/binaries.ts";

const { found } = await kubectls();
const newest = found.toSorted((a, b) => b.minor - a.minor)[0]!;
let cluster: EmbeddedCluster;

beforeAll(async () => {
  cluster = await startCluster({ node: { network: "fake" } });
});
afterAll(() => cluster?.close());

/** Another one at each try. */
const fresh = (name: string): string => `${name}-${randomBytes(3).toString("hex")}`;

/** What kubectl prints, both streams together. */
const kubectl = (args: string, input = ""): Promise<string> =>
  new Promise((resolve) => {
    const env = { ...process.env, KUBECONFIG: cluster.kubeconfigPath };
    const child = execFile(newest.path, args.split(" "), { env, timeout: 30_000 }, (_error, stdout, stderr) =>
      resolve(stdout + stderr),
    );
    child.stdin!.end(input);
  });

test("Pod Security: kubectl shows the warning of a workload and the refusal of a pod", async () => {
  const tight = fresh("tight");
  await kubectl(`create namespace ${tight}`);
  expect(await kubectl(`label namespace ${tight} pod-security.kubernetes.io/enforce=restricted`)).toContain(
    `namespace/${tight} labeled`,
  );
  expect(await kubectl(`create deployment web --image=node:24 -n ${tight}`)).toMatch(
    /^deployment\.apps\/web created\nWarning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false/m,
  );
  expect(await kubectl(`run one --image=node:24 -n ${tight}`)).toMatch(
    /^Error from server \(Forbidden\): pods "one" is forbidden: violates PodSecurity "restricted:latest": /m,
  );
  await expect.poll(() => kubectl(`describe replicaset -n ${tight}`)).toMatch(/FailedCreate .*violates PodSecurity/);
});

test("quota: describe shows what is used, and a pod too many is refused", async () => {
  const small = fresh("small");
  await kubectl(`create namespace ${small}`);
  await kubectl(`create quota q --hard=pods=1 -n ${small}`);
  await kubectl(`run one --image=node:24 -n ${small}`);
  await expect.poll(() => kubectl(`describe quota q -n ${small}`)).toMatch(/pods\s+1\s+1/);
  expect(await kubectl(`run two --image=node:24 -n ${small}`)).toContain(
    'pods "two" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
  );
});

test("--show-managed-fields names who wrote what", async () => {
  const web = fresh("web");
  await kubectl(`create deployment ${web} --image=node:24`);
  await kubectl(`rollout status deployment/${web} --timeout=20s`);
  const pods = JSON.parse(await kubectl(`get pods -l app=${web} --show-managed-fields -o json`));
  const entries = pods.items[0].metadata.managedFields.map((entry: Record<string, string>) => [
    entry["manager"],
    entry["subresource"],
  ]);
  expect(entries).toEqual([
    ["kube-controller-manager", undefined],
    ["kubelet", "status"],
  ]);
});

test("cordon: nothing new is put on the node until it is uncordoned", async () => {
  const node = (await kubectl("get nodes -o name")).trim().replace("node/", "");
  const late = fresh("late");
  try {
    expect(await kubectl(`cordon ${node}`)).toBe(`node/${node} cordoned\n`);
    expect(await kubectl("get nodes")).toMatch(/ Ready,SchedulingDisabled /);
    await kubectl(`run ${late} --image=node:24`);
    await expect.poll(() => kubectl(`describe pod ${late}`), { timeout: 10_000 }).toMatch(/FailedScheduling .*unschedulable/);
    expect(await kubectl(`get pod ${late}`)).toMatch(/ Pending /);
    expect(await kubectl(`uncordon ${node}`)).toBe(`node/${node} uncordoned\n`);
    expect(await kubectl(`wait --for=condition=Ready pod/${late} --timeout=20s`)).toContain("condition met");
  } finally {
    await kubectl(`uncordon ${node}`);
    await kubectl(`delete pod ${late} --now`);
  }
});

test("drain: evicts as far as the disruption budget allows, and waits there", { timeout: 60_000 }, async () => {
  const drained = fresh("drained");
  await kubectl(`create namespace ${drained}`);
  const node = (await kubectl("get nodes -o name")).trim().replace("node/", "");
  try {
    await kubectl(`create deployment guarded --image=node:24 --replicas=3 -n ${drained}`);
    await kubectl(`rollout status deployment/guarded -n ${drained} --timeout=20s`);
    await kubectl(`create poddisruptionbudget guard --selector=app=guarded --min-available=2 -n ${drained}`);
    await expect.poll(() => kubectl(`get pdb guard -n ${drained}`)).toMatch(/guard +2 +N\/A +1 /);
    await kubectl(`run alone --image=node:24 -n ${drained}`);

    const drain = `drain ${node} --ignore-daemonsets --delete-emptydir-data --pod-selector`;
    const unmanaged = await kubectl(`${drain} run=alone --timeout=10s`);
    expect(unmanaged).toContain(`cannot delete Pods that declare no controller (use --force to override): ${drained}/alone`);
    expect(await kubectl(`${drain} run=alone --force --timeout=20s`)).toMatch(/evicting pod drained-\w+\/alone[\s\S]*drained/);

    const refused = await kubectl(`${drain} app=guarded --timeout=3s`);
    expect(refused).toContain("Cannot evict pod as it would violate the pod's disruption budget.");
    expect(refused).toMatch(/global timeout reached: 3s/);
    // One is gone for good: the one in its place finds no node.
    const phases = async (): Promise<string[]> =>
      (await kubectl(`get pods -n ${drained} -o jsonpath={.items[*].status.phase}`)).split(" ").sort();
    await expect.poll(phases).toEqual(["Pending", "Running", "Running"]);

    await kubectl(`delete pdb guard -n ${drained}`);
    expect(await kubectl(`${drain} app=guarded --timeout=20s`)).toMatch(new RegExp(`node/${node} drained`));
    await expect.poll(phases).toEqual(["Pending", "Pending", "Pending"]);
    await kubectl(`uncordon ${node}`);
    expect(await kubectl(`rollout status deployment/guarded -n ${drained} --timeout=20s`)).toContain("successfully rolled out");
  } finally {
    await kubectl(`uncordon ${node}`);
    await kubectl(`delete namespace ${drained} --wait=false`);
  }
});
