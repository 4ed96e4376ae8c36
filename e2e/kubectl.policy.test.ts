import { execFile } from "node:child_process";
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
  await kubectl("create namespace tight");
  expect(await kubectl("label namespace tight pod-security.kubernetes.io/enforce=restricted")).toContain("namespace/tight labeled");
  expect(await kubectl("create deployment web --image=node:24 -n tight")).toMatch(
    /^deployment\.apps\/web created\nWarning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false/m,
  );
  expect(await kubectl("run one --image=node:24 -n tight")).toMatch(
    /^Error from server \(Forbidden\): pods "one" is forbidden: violates PodSecurity "restricted:latest": /m,
  );
  await expect.poll(() => kubectl("describe replicaset -n tight")).toMatch(/FailedCreate .*violates PodSecurity/);
});

test("quota: describe shows what is used, and a pod too many is refused", async () => {
  await kubectl("create namespace small");
  await kubectl("create quota q --hard=pods=1 -n small");
  await kubectl("run one --image=node:24 -n small");
  await expect.poll(() => kubectl("describe quota q -n small")).toMatch(/pods\s+1\s+1/);
  expect(await kubectl("run two --image=node:24 -n small")).toContain(
    'pods "two" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
  );
});

test("--show-managed-fields names who wrote what", async () => {
  await kubectl("create deployment web --image=node:24");
  await kubectl("rollout status deployment/web --timeout=20s");
  const pods = JSON.parse(await kubectl("get pods -l app=web --show-managed-fields -o json"));
  const entries = pods.items[0].metadata.managedFields.map((entry: Record<string, string>) => [
    entry["manager"],
    entry["subresource"],
  ]);
  expect(entries).toEqual([
    ["kube-controller-manager", undefined],
    ["kubelet", "status"],
  ]);
});
