import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ErrorJson } from "@shipside/core";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { createSessionHost, type SessionHost } from "./host.ts";
import type { SessionEvent, SessionOptions } from "./session-info.ts";
import { serveSessions } from "./session-server.ts";

const service = (namespace: string, name: string): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace },
  spec: { ports: [{ port: 3010 }] },
});

const clusters: EmbeddedCluster[] = [];
let dir: string;
let hostsFile: string;
beforeAll(async () => {
  for (const name of ["one", "two"]) {
    const cluster = await startCluster({ name, node: false, controllers: false });
    clusters.push(cluster);
    for (const namespace of ["sample", "shop"]) {
      await cluster.apply([
        { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
        ...["leaf", "core", "db", "web"].map((each) => service(namespace, each)),
      ]);
    }
  }
});
afterAll(async () => {
  for (const cluster of clusters) await cluster.close();
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-holder-"));
  hostsFile = join(dir, "hosts");
  await writeFile(hostsFile, "");
  vi.stubEnv("XDG_RUNTIME_DIR", dir);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  expect(await readFile(hostsFile, "utf8")).toBe("");
  await rm(dir, { recursive: true });
});

const newHost = (cidr: string, state = "state"): SessionHost =>
  createSessionHost({ stateDir: join(dir, state), hosts: { path: hostsFile }, pool: { cidr } });

async function open(host: SessionHost, namespace: string, more: SessionOptions & { cluster?: EmbeddedCluster } = {}) {
  const { cluster = clusters[0]!, ...options } = more;
  const warnings: ErrorJson[] = [];
  const onEvent = (event: SessionEvent): void => void (event.step === "warning" && warnings.push(event.error));
  const held = await host.open({ kubeconfig: cluster.kubeconfigPath, namespace, ...options }, { onEvent });
  const taken = (): ErrorJson[] => warnings.filter(({ code }) => code === "NAME_TAKEN");
  return { ...held, taken };
}
const lineOf = async (name: string): Promise<string | undefined> =>
  (await readFile(hostsFile, "utf8")).split("\n").find((line) => new RegExp(`\\s${name}(\\s|$)`).test(line));

test("the names of a home are one session's; a second is told once who has them, and has them when it goes", async () => {
  await using host = newHost("127.119.0.0/17");
  const first = await open(host, "sample", { name: "mine" });
  const second = await open(host, "shop");
  expect(first.taken()).toEqual([]);
  expect(second.taken()).toMatchObject([
    {
      message: "core, db, leaf and 1 more: these names belong to session mine (teleport, namespace sample of one)",
      hint: expect.stringContaining("core.shop"),
      details: { names: ["core", "db", "leaf", "web"], holder: first.session.id },
    },
  ]);
  const ofShop = second.session.address("leaf").split(":")[0];
  expect(await lineOf("leaf")).not.toContain(ofShop);
  expect(await lineOf("leaf.shop")).toContain(ofShop);
  // What comes later is told as what it is, and not all over again.
  await clusters[0]!.apply([service("shop", "late")]);
  await expect.poll(() => lineOf("late")).toContain("late.shop");
  expect(second.taken()).toHaveLength(1);
  clusters[0]!.store.remove("services", "shop", "late");
  await first.release();
  expect(await lineOf("leaf")).toContain(ofShop);
});

test("of two clusters with the same namespace, the second is told, also of the long names; closing one touches nothing of the other", async () => {
  await using host = newHost("127.119.128.0/17");
  const first = await open(host, "sample");
  const second = await open(host, "sample", { cluster: clusters[1]! });
  expect(second.taken()).toMatchObject([{ details: { names: expect.arrayContaining(["leaf", "leaf.sample.svc.cluster.local"]) } }]);
  expect(second.taken()[0]?.message).toContain("namespace sample of one");
  const [one, two] = [first, second].map(({ session }) => session.address("leaf").split(":")[0]!);
  expect(one).not.toBe(two);
  const before = await readFile(hostsFile, "utf8");
  await second.release();
  expect(await readFile(hostsFile, "utf8")).toBe(before);
  expect(first.session.address("leaf")).toContain(one);
});

test("another process's names: it is asked what it has, and named by its pid where it doesn't say", async () => {
  await using first = newHost("127.120.0.0/17");
  await using second = newHost("127.120.128.0/17", "other-state");
  const { session } = await open(first, "sample");
  const silent = await open(second, "shop");
  expect(silent.taken().map(({ message }) => message)).toEqual([
    `core, db, leaf and 1 more: these names belong to another shipside (pid ${process.pid})`,
  ]);
  await silent.release();
  await using _server = await serveSessions({ host: first, kind: "foreground", onStop() {}, runtimeDir: join(dir, "shipside") });
  const told = await open(second, "shop");
  expect(told.taken()[0]?.message).toContain(
    `session ${session.id} (teleport, namespace sample of one), of shipside ${process.pid}`,
  );
  const ofShop = told.session.address("leaf").split(":")[0];
  expect(await lineOf("leaf")).not.toContain(ofShop);
  await told.release();
  expect(await lineOf("leaf")).toContain(session.address("leaf").split(":")[0]);
});
