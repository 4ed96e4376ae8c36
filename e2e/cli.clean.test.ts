import { chmod, copyFile } from "node:fs/promises";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newUser } from "./cli.harness.ts";

const NAMESPACE = "shop";
let cluster: EmbeddedCluster;

beforeAll(async () => {
  cluster = await startCluster({ node: false });
});
afterAll(() => cluster.close());

const relay = (name: string, owner: string): object => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: {
    ...{ name, namespace: NAMESPACE },
    labels: { "app.kubernetes.io/managed-by": "shipside", "shipside.dev/relay": name },
    annotations: { "shipside.dev/owner": owner },
  },
  spec: {
    replicas: 0,
    selector: { matchLabels: { relay: name } },
    template: { metadata: { labels: { relay: name } }, spec: { containers: [{ name: "relay", image: "node:24" }] } },
  },
});

test("a relay whose journal is lost: `clean -n` finds it, asks, and removes it after a yes; others' stay", async () => {
  await using user = await newUser();
  const kubeconfig = join(user.home, "kubeconfig");
  await copyFile(cluster.kubeconfigPath, kubeconfig);
  await chmod(kubeconfig, 0o644);
  // Run by root, the tests' user is nobody.
  const me = process.getuid?.() === 0 ? "nobody" : userInfo().username;
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
    relay("shipside-dial-lost", `${me}@${hostname().split(".")[0]}`),
    relay("shipside-dial-bobs", "bob@desk"),
  ]);
  const relays = (): string[] => cluster.store.list("deployments.apps", NAMESPACE).map(({ metadata }) => metadata.name);
  const clean = (...more: string[]) => user.run(["clean", "-k", kubeconfig, ...more]);

  expect(await user.run(["clean"])).toMatchObject({ code: 0, stderr: expect.stringContaining("nothing was left behind") });
  const asked = await clean("-n", NAMESPACE);
  expect(asked).toMatchObject({ code: 10, stderr: expect.stringContaining(`yours in namespace ${NAMESPACE}`) });
  expect(asked.stderr).toContain(`still there: relay ${NAMESPACE}/shipside-dial-lost: not asked of the cluster`);
  expect(relays()).toHaveLength(2);

  expect(await clean("-n", NAMESPACE, "--yes")).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(`removed relay ${NAMESPACE}/shipside-dial-lost`),
  });
  await expect.poll(relays).toEqual(["shipside-dial-bobs"]);
  expect(await clean("-n", NAMESPACE, "--yes")).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("nothing was left behind"),
  });
  expect(await user.left()).toEqual([]);
});
