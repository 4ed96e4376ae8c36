import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createCloser } from "@shipside/core";
import { type Cluster, DEPLOYMENTS, SERVICES } from "@shipside/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { leaveOn, makeWorkload, openKeptCluster } from "./crash.fixture.ts";
import { clusterState, newMachine } from "./crash.harness.ts";
import { kubectls } from "./kubectl/binaries.ts";
import { canMount } from "./mount-namespace.ts";

const NAMESPACE = "by-hand";
const closer = createCloser();
let kubeconfig: string;
let cluster: Cluster;
let kubectl: string | undefined;

beforeAll(async () => {
  kubectl = (await kubectls()).found[0]?.path;
  ({ cluster, kubeconfig } = closer.use(await openKeptCluster(NAMESPACE)));
  await makeWorkload(cluster, "web", 43_124);
  // With another annotation of somebody's: ours is not the last.
  const annotations = { team: "shop" };
  const selector = { app: "api", tier: "one" };
  await cluster.create(SERVICES, { metadata: { name: "api", annotations }, spec: { selector, ports: [{ port: 43125 }] } });
}, 120_000);
afterAll(() => closer.close());

/** The relay of an intercept, without what else is its. */
async function makeRelay(name: string): Promise<void> {
  const template = { metadata: { labels: { app: "relay" } }, spec: { containers: [{ name: "main", image: "node" }] } };
  await cluster.create(DEPLOYMENTS, {
    metadata: { name },
    spec: { selector: { matchLabels: { app: "relay" } }, template },
  } as never);
}

/** The page's blocks, in its order, as one shell gets them. */
async function blocks(): Promise<string[]> {
  const page = await readFile(new URL("../docs/recovery.md", import.meta.url), "utf8");
  return [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
}

describe.runIf(canMount)("docs/recovery.md, to the letter", () => {
  test("after a SIGKILL of everything, with no shipside at hand, all is as before", { timeout: 120_000 }, async () => {
    expect(kubectl, "no kubectl can be had").toBeDefined();
    await using machine = await newMachine();
    await writeFile(join(machine.home, ".env"), "MINE=1\n");
    // Root has no need of sudo.
    const bin = join(machine.home, "bin");
    await mkdir(bin);
    await writeFile(join(bin, "sudo"), '#!/bin/sh\nexec "$@"\n');
    await chmod(join(bin, "sudo"), 0o755);
    const path = [bin, ...(kubectl === "kubectl" ? [] : [dirname(kubectl!)]), process.env["PATH"]].join(":");
    const stateNow = async () => ({ machine: await machine.state(), cluster: await clusterState(cluster, NAMESPACE) });
    const before = await stateNow();
    await makeRelay("api");

    const place = { folder: machine.home, kubeconfig, namespace: NAMESPACE };
    const child = await leaveOn(machine, { ...place, name: "web", mount: true, intercepted: "api" });
    child.kill("SIGKILL");
    const made = await stateNow();
    for (const part of ["files", "mounts", "processes"] as const) expect(made.machine[part]).not.toEqual(before.machine[part]);
    expect(made.cluster).not.toEqual(before.cluster);

    const script = (await blocks()).join("\n");
    const followed = await machine.shell(`set -u\n${script}`, { env: { PATH: path, KUBECONFIG: kubeconfig } });
    expect(followed.stderr).toBe("");
    await expect.poll(stateNow, { timeout: 15_000, interval: 200 }).toEqual(before);
  });
});
