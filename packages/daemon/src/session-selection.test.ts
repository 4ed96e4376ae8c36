import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createSessionHost, type SessionHost } from "./host.ts";
import type { Session } from "./session.ts";

const service = (namespace: string, name: string, labels: Record<string, string> = {}): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace, labels },
  spec: { ports: [{ port: 3010 }] },
});

let cluster: EmbeddedCluster;
let dir: string;
let host: SessionHost;
beforeAll(async () => {
  cluster = await startCluster({ node: false, controllers: false });
  for (const namespace of ["sample", "shop"]) {
    await cluster.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
      service(namespace, "leaf"),
      service(namespace, "core", { tier: "back" }),
    ]);
  }
});
afterAll(() => cluster.close());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-selection-"));
  await writeFile(join(dir, "hosts"), "");
  host = createSessionHost({ stateDir: join(dir, "state"), hosts: { path: join(dir, "hosts") }, pool: { cidr: "127.117.0.0/16" } });
});
afterEach(async () => {
  await host.close();
  expect(await readFile(join(dir, "hosts"), "utf8")).toBe("");
  await rm(dir, { recursive: true });
});

const open = async (services?: string[], more: object = {}) =>
  host.open({ kubeconfig: cluster.kubeconfigPath, namespace: "sample", ...(services && { services }), ...more });
const namesOf = (session: Session): string[] =>
  session
    .info()
    .services.map(({ namespace, name }) => `${namespace}/${name}`)
    .sort();
const hosts = (): Promise<string> => readFile(join(dir, "hosts"), "utf8");

test("a session has the services of its rules, also in namespaces that only a rule names", async () => {
  const { session } = await open(["*", "!leaf", "leaf.shop"]);
  expect(namesOf(session)).toEqual(["sample/core", "shop/leaf"]);
  expect(session.hostsEntries().flatMap(({ names }) => names)).toContain("leaf.shop");
  expect(await hosts()).not.toMatch(/ leaf\.sample|core\.shop/);
  expect(() => session.address("leaf")).toThrow(expect.objectContaining({ code: "TUNNEL_SERVICE_UNKNOWN" }));
  expect(session.info().selection).toEqual(["*", "!leaf", "leaf.shop"]);
});

test("sessions that share a tunnel have each their own; nothing listens that nobody wants", async () => {
  const first = await open(["leaf"]);
  const second = await open(["core"]);
  const third = await open();
  expect([first, second, third].map(({ session }) => namesOf(session))).toEqual([
    ["sample/leaf"],
    ["sample/core"],
    ["sample/core", "sample/leaf"],
  ]);
  expect(third.session.address("leaf")).toBe(first.session.address("leaf"));
  await third.release();
  await first.release();
  expect(await hosts()).not.toContain("leaf");
  expect(await hosts()).toContain("core.sample");
  expect(() => second.session.address("leaf")).toThrow(expect.objectContaining({ code: "TUNNEL_SERVICE_UNKNOWN" }));
  const again = await open(["leaf"]);
  expect(namesOf(again.session)).toEqual(["sample/leaf"]);
});

test("a service that starts to fit appears, also where another session had it already", async () => {
  const { session: all } = await open();
  const { session } = await open(["tier=back"]);
  expect(namesOf(session)).toEqual(["sample/core"]);
  await cluster.apply([service("sample", "leaf", { tier: "back" })]);
  await expect.poll(() => namesOf(session)).toEqual(["sample/core", "sample/leaf"]);
  await expect.poll(hosts).toMatch(/ leaf /);
  expect(session.info().names.count).toBe(all.info().names.count);
  await cluster.apply([service("sample", "leaf", { tier: "front" })]);
  await expect.poll(() => namesOf(session)).toEqual(["sample/core"]);
  expect(namesOf(all)).toEqual(["sample/core", "sample/leaf"]);
});

test("what is named in full must be there; a pattern needn't", async () => {
  await expect(open(["nope"])).rejects.toMatchObject({ code: "TUNNEL_SERVICE_UNKNOWN", message: expect.stringContaining("nope") });
  expect(namesOf((await open(["nope*"])).session)).toEqual([]);
  await expect(open(["Not A Rule"])).rejects.toMatchObject({ code: "SESSION_OPTIONS" });
});

test("a name is one session's: found by it, and free again when it ends", async () => {
  const { session, release } = await open(["leaf"], { name: "mine" });
  expect(session.info().name).toBe("mine");
  await expect(open(["core"], { name: "mine" })).rejects.toMatchObject({
    code: "SESSION_NAME_TAKEN",
    message: expect.stringContaining(session.id),
  });
  const joined = await open(["leaf"], { name: "mine" });
  expect(joined.session.id).toBe(session.id);
  await joined.release();
  expect((await host.end("mine")).id).toBe(session.id);
  await release();
  const next = await open(["core"], { name: "mine" });
  expect(next.session.id).not.toBe(session.id);
  await expect(host.end("min")).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
});

test("the same wish of a file is another session", async () => {
  const origin = { file: "/x/shipside.yaml", entry: "teleports[0]", digest: "d" };
  const [first, second] = [await open(), await open(undefined, { origin })];
  expect(second.session.id).not.toBe(first.session.id);
  expect(second.session.info().origin).toEqual(origin);
  await second.release();
  expect(host.list().map(({ id }) => id)).toEqual([first.session.id]);
});

test("a service has its address by its full name beside a host that only the cluster reaches", async () => {
  const { session } = await open(["leaf"], { remoteHosts: ["db.internal:5432"] });
  expect(session.address("leaf.sample", 3010)).toBe(session.address("leaf", 3010));
  expect(session.address("db.internal", 5432)).toMatch(/:5432$/);
});
