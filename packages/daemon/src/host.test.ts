import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { definePlugin, type SessionFacts } from "@shipside/core";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createSessionHost, type HostOptions } from "./host.ts";
import { journalDir, readJournals } from "./journal-files.ts";
import { residueLeft } from "./recover.ts";
import type { SessionEvent } from "./session-info.ts";
import { teleport } from "./teleport.ts";

const service = (namespace: string, name: string, port: number): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace },
  spec: { selector: { app: name }, ports: [{ name: "http", port }] },
});

const deployment = (namespace: string, name: string): object => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace },
  spec: {
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        containers: [
          { name, image: "node", env: [{ name: "GREETING", valueFrom: { configMapKeyRef: { name: "config", key: "GREETING" } } }] },
        ],
      },
    },
  },
});

let embedded: EmbeddedCluster;
let dir: string;
let hostsFile: string;
const ORIGINAL = "127.0.0.1\tlocalhost  # mine\n::1 ip6-localhost";
/** Of this file's tests alone: others run at the same time. */
const pool = { cidr: "127.118.0.0/16" };

beforeAll(async () => {
  embedded = await startCluster();
  for (const namespace of ["sample", "shop"]) {
    await embedded.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "config", namespace },
        data: { GREETING: `hello from ${namespace}` },
      },
      deployment(namespace, "core"),
      service(namespace, "leaf", 3010),
      service(namespace, `only-${namespace}`, 3020),
    ]);
  }
});
afterAll(() => embedded.close());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-host-"));
  hostsFile = join(dir, "hosts");
  await writeFile(hostsFile, ORIGINAL);
});
afterEach(async () => {
  // Whatever a test did: it left nothing behind.
  expect(await readFile(hostsFile, "utf8")).toBe(ORIGINAL);
  expect(await residueLeft(join(dir, "state"))).toEqual([]);
  await rm(dir, { recursive: true });
});

const options = (more: HostOptions = {}): HostOptions => ({
  stateDir: join(dir, "state"),
  hosts: { path: hostsFile },
  pool,
  ...more,
});
const at = (namespace: string) => ({ kubeconfig: embedded.kubeconfigPath, namespace });

test("a teleport: names, tunnels, env and file; closing undoes all of it", async () => {
  const envFile = join(dir, ".env");
  await writeFile(envFile, "MINE=1\n");
  const events: SessionEvent[] = [];
  {
    await using session = await teleport({
      ...options(),
      ...at("sample"),
      workload: "deploy core",
      also: ["shop"],
      envFile: { path: envFile },
      onEvent: (event) => events.push(event),
    });
    const lines = (await readFile(hostsFile, "utf8")).split("\n");
    const nameLine = (name: string) => lines.find((line) => new RegExp(`\\s${name}(\\s|$)`).test(line));
    expect(nameLine("leaf")).toBe(nameLine("leaf.sample"));
    expect(nameLine("leaf.shop.svc.cluster.local")).toMatch(/^127\.118\./);
    expect(nameLine("leaf.shop")).not.toBe(nameLine("leaf.sample"));
    expect(nameLine("only-shop")).toBeUndefined();
    expect(session.address("leaf", 3010)).toMatch(/^127\.118\.\d+\.\d+:3010$/);
    expect(session.address("leaf.shop", "http")).not.toBe(session.address("leaf", "http"));
    expect(session.env.find(({ name }) => name === "GREETING")?.value).toBe("hello from sample");
    expect(await readFile(envFile, "utf8")).toContain("GREETING=");
    expect(session.info()).toMatchObject({
      kind: "teleport",
      workload: "deployment/core",
      namespace: "sample",
      also: ["shop"],
      names: { where: "hosts" },
      envFile: { path: envFile, format: "env" },
      stale: [],
    });
    expect(
      session
        .info()
        .services.map(({ namespace, name }) => `${namespace}/${name}`)
        .sort(),
    ).toEqual(["sample/leaf", "sample/only-sample", "shop/leaf", "shop/only-shop"]);
    expect(await session.probe()).toMatchObject({ id: session.id, answeredMs: expect.any(Number) });
  }
  expect(events.map(({ step }) => step)).toEqual(["connected", "resolved", "tunnels", "names", "env"]);
  expect(await readFile(envFile, "utf8")).toBe("MINE=1\n");
  expect(existsSync(journalDir(join(dir, "state")))).toBe(false);
});

test("where is said before anything is asked of the cluster", async () => {
  const events: SessionEvent[] = [];
  const opening = teleport({ ...options(), ...at("sample"), workload: "deploy/nope", onEvent: (event) => events.push(event) });
  await expect(opening).rejects.toMatchObject({ code: "KUBE_WORKLOAD_UNKNOWN" });
  expect(events).toEqual([expect.objectContaining({ step: "connected", server: embedded.server, namespace: "sample" })]);
});

test("the same wish joins; the session ends with its last holder", async () => {
  await using host = createSessionHost(options());
  const first = await host.open({ ...at("sample"), workload: "deployment/core" });
  const events: SessionEvent[] = [];
  const second = await host.open({ ...at("sample"), workload: "deployment/core" }, { onEvent: (event) => events.push(event) });
  expect(second.session.id).toBe(first.session.id);
  expect(events.map(({ step }) => step)).toEqual(["connected", "joined"]);
  expect(host.list()).toMatchObject([{ holders: 2 }]);
  await first.release();
  expect(await readFile(hostsFile, "utf8")).toContain("leaf.sample");
  expect(host.list()).toMatchObject([{ holders: 1 }]);
  await second.release();
  expect(host.list()).toEqual([]);
  expect(await readFile(hostsFile, "utf8")).toBe(ORIGINAL);
});

test("sessions of different homes share tunnels, and nothing of one reaches the other", async () => {
  await using host = createSessionHost(options());
  const sample = await host.open({ ...at("sample"), workload: "deployment/core", also: ["shop"] });
  const shop = await host.open({ ...at("shop"), workload: "deployment/core" });
  expect(shop.session.id).not.toBe(sample.session.id);
  expect(shop.session.address("leaf")).toBe(sample.session.address("leaf.shop"));
  const greeting = (session: typeof shop.session) => session.env.find(({ name }) => name === "GREETING")?.value;
  expect([greeting(sample.session), greeting(shop.session)]).toEqual(["hello from sample", "hello from shop"]);
  const names = (session: typeof shop.session) => session.hostsEntries().flatMap((entry) => entry.names);
  expect(names(shop.session)).toContain("only-shop");
  expect(names(shop.session).join()).not.toContain("sample");
  expect(names(sample.session)).not.toContain("only-shop");
  // Both are at home in the same hosts file: the first has the short name, the second is told.
  const text = await readFile(hostsFile, "utf8");
  expect(text).toContain(`${sample.session.address("leaf").split(":")[0]} leaf `);
  expect(text).toContain("only-shop");
  await sample.release();
  expect(await readFile(hostsFile, "utf8")).not.toContain(".sample");
  expect(await readFile(hostsFile, "utf8")).toContain(`${shop.session.address("leaf").split(":")[0]} leaf `);
  await shop.release();
});

test("many at once, opened and let go in any order, leave nothing", async () => {
  await using host = createSessionHost(options());
  const wishes = Array.from({ length: 12 }, (_, i) => ({
    ...at(i % 2 ? "sample" : "shop"),
    ...(i % 3 ? { workload: "deployment/core" } : {}),
  }));
  await Promise.all(
    wishes.map(async (wish) => {
      const { release } = await host.open(wish);
      await release();
    }),
  );
  expect(host.list()).toEqual([]);
  expect(await readFile(hostsFile, "utf8")).toBe(ORIGINAL);
});

test("ending by id closes it whoever holds it, and the same wish opens a new one", async () => {
  await using host = createSessionHost(options());
  const held = await host.open(at("sample"));
  await expect(host.end("zzzzzz")).rejects.toMatchObject({
    code: "SESSION_UNKNOWN",
    hint: expect.stringContaining(held.session.id),
  });
  const [again] = await Promise.all([host.end(held.session.id.slice(0, 4)), held.session.ended]).then(() => [
    host.open(at("sample")),
  ]);
  const next = await again!;
  expect(next.session.id).not.toBe(held.session.id);
  await held.release();
  expect(host.list().map(({ id }) => id)).toEqual([next.session.id]);
});

test("opened while the same is closing: it waits, and gets a new one", async () => {
  await using host = createSessionHost(options());
  const held = await host.open(at("sample"));
  const [, next] = await Promise.all([host.end(held.session.id), host.open(at("sample"))]);
  expect(next.session.closing).toBe(false);
  expect(await readFile(hostsFile, "utf8")).toContain("leaf.sample");
});

test("stopped at any moment, an opening leaves nothing", async () => {
  const steps: Array<SessionEvent["step"]> = ["connected", "resolved", "tunnels", "names", "env"];
  for (const at_ of steps) {
    const abort = new AbortController();
    const opening = teleport({
      ...options(),
      ...at("sample"),
      workload: "deployment/core",
      envFile: { path: join(dir, "new.env") },
      signal: abort.signal,
      onEvent: ({ step }) => step === at_ && abort.abort(new Error(`at ${at_}`)),
    });
    await expect(opening, at_).rejects.toThrow(`at ${at_}`);
    expect(await readFile(hostsFile, "utf8"), at_).toBe(ORIGINAL);
    expect(existsSync(join(dir, "new.env")), at_).toBe(false);
  }
  expect(await readJournals(join(dir, "state"))).toEqual([]);
});

test("a hosts file that can't be had is no failure: the names are for commands", async () => {
  await using session = await teleport({ ...options({ hosts: { path: join(dir, "no", "hosts") } }), ...at("sample") });
  expect(session.info().names).toMatchObject({ where: "commands", count: 8, reason: { code: expect.stringMatching(/^HOSTS_/) } });
  expect(session.hostsEntries()).toHaveLength(2);
});

test("a name that a line of the user's already has is told", async () => {
  const events: SessionEvent[] = [];
  const own = join(dir, "own-hosts");
  await writeFile(own, "10.9.8.7 leaf\n");
  await using _session = await teleport({
    ...options({ hosts: { path: own } }),
    ...at("sample"),
    onEvent: (event) => events.push(event),
  });
  expect(events).toContainEqual({
    step: "warning",
    error: expect.objectContaining({ code: "NAME_TAKEN", message: expect.stringContaining("10.9.8.7") }),
  });
});

test("hooks run in order, and one that throws while opening ends it with nothing left", async () => {
  const calls: string[] = [];
  const note =
    (call: string) =>
    ({ workload }: SessionFacts): void =>
      void calls.push(`${call} ${workload ?? ""}`.trim());
  const watcher = definePlugin({
    name: "watcher",
    hooks: {
      sessionOpening: note("opening"),
      tunnelOpened: (_session, { service: name }) => void calls.push(`tunnel ${name}`),
      sessionOpened: note("opened"),
      sessionClosing: note("closing"),
      tunnelClosed: (_session, { service: name }) => void calls.push(`no tunnel ${name}`),
      sessionClosed: note("closed"),
    },
  });
  await (await teleport({ ...options({ plugins: [watcher] }), ...at("sample"), workload: "deployment/core" })).close();
  expect(calls).toEqual([
    "opening",
    "tunnel leaf",
    "tunnel only-sample",
    "opened deployment/core",
    "closing deployment/core",
    "no tunnel leaf",
    "no tunnel only-sample",
    "closed deployment/core",
  ]);
  const thrower = definePlugin({
    name: "thrower",
    hooks: {
      sessionOpened: () => {
        throw new Error("no");
      },
    },
  });
  const opening = teleport({ ...options({ plugins: [watcher, thrower] }), ...at("sample") });
  await expect(opening).rejects.toMatchObject({
    code: "HOOK_FAILED",
    message: expect.stringContaining("thrower"),
    cause: { message: "no" },
  });
});

test("services that come and go while a session is open: their names follow, and the hooks are told", async () => {
  const calls: string[] = [];
  const plugin = definePlugin({
    name: "watcher",
    hooks: {
      tunnelOpened: (_session, { service: name }) => {
        calls.push(`opened ${name}`);
        if (name === "late") throw new Error("too late to end the session");
      },
      tunnelClosed: (_session, { service: name }) => void calls.push(`closed ${name}`),
    },
  });
  await using session = await teleport({ ...options({ plugins: [plugin] }), ...at("sample") });
  await embedded.apply([service("sample", "late", 3030)]);
  await expect.poll(() => readFile(hostsFile, "utf8")).toContain(" late late.sample ");
  await expect.poll(() => calls).toContain("opened late");
  embedded.store.remove("services", "sample", "late");
  await expect.poll(() => calls).toContain("closed late");
  await expect.poll(() => readFile(hostsFile, "utf8")).not.toContain("late");
  expect(session.closing).toBe(false);
});

test("plugins' services, env and formats are part of a session", async () => {
  const envFile = join(dir, "out.shout");
  const plugin = definePlugin({
    name: "all",
    serviceSelectors: [({ name }) => name === "leaf"],
    envSources: [{ name: "more", collect: async () => [{ name: "MORE", value: "1", origin: { from: "plugin", plugin: "all" } }] }],
    envFormats: [{ name: "shout", extensions: ["shout"], render: (entries) => entries.map(({ name }) => `${name}!\n`).join("") }],
  });
  await using session = await teleport({
    ...options({ plugins: [plugin] }),
    ...at("sample"),
    workload: "deployment/core",
    envFile: { path: envFile },
  });
  expect(session.info().services.map(({ name }) => name)).toEqual(["leaf"]);
  expect(await readFile(envFile, "utf8")).toContain("MORE!\n");
});

test("the namespace vanishes: the session ends, says why, and undoes its part", async () => {
  const namespace = "short-lived";
  await embedded.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }, service(namespace, "leaf", 80)]);
  await using host = createSessionHost(options());
  const { session, release } = await host.open(at(namespace));
  embedded.store.remove("namespaces", undefined, namespace);
  embedded.store.remove("services", namespace, "leaf");
  expect(await session.ended).toMatchObject({ code: "NAMESPACE_GONE", message: expect.stringContaining(namespace) });
  expect(await readFile(hostsFile, "utf8")).toBe(ORIGINAL);
  expect(host.list()).toEqual([]);
  await release();
});

test("closing the host ends what is open and what is being opened", async () => {
  const host = createSessionHost(options());
  await host.open(at("sample"));
  const opening = host.open(at("shop"));
  opening.catch(() => {});
  await host.close();
  await opening.then(
    ({ session }) => expect(session.closing).toBe(true),
    (error: unknown) => expect(error).toMatchObject({ code: "SESSION_CLOSED" }),
  );
  await expect(host.open(at("sample"))).rejects.toMatchObject({ code: "SESSION_CLOSED" });
});

test("an env that is followed: each holder is told once of a change, masked, and the new env is there", async () => {
  await embedded.apply([
    { apiVersion: "v1", kind: "Secret", metadata: { name: "keys", namespace: "shop" }, stringData: { KEY: "pl4nted-1" } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "follower", namespace: "shop" },
      spec: { nodeName: "elsewhere", containers: [{ name: "c", image: "node", envFrom: [{ secretRef: { name: "keys" } }] }] },
    },
  ]);
  await using host = createSessionHost({ hosts: false, pool, stateDir: join(dir, "state") });
  const wish = {
    kind: "env",
    workload: "pod/follower",
    namespace: "shop",
    kubeconfig: embedded.kubeconfigPath,
    env: { follow: true, only: ["KEY"] },
  } as const;
  const [first, second]: [SessionEvent[], SessionEvent[]] = [[], []];
  const { session } = await host.open(wish, { onEvent: (event) => first.push(event) });
  const joined = await host.open(wish, { onEvent: (event) => second.push(event) });
  expect(joined.session).toBe(session);
  await embedded.apply([
    { apiVersion: "v1", kind: "Secret", metadata: { name: "keys", namespace: "shop" }, stringData: { KEY: "pl4nted-2" } },
  ]);
  await expect.poll(() => session.env.map(({ value }) => value)).toEqual(["pl4nted-2"]);
  expect(host.env(session.id)).toEqual(session.env);
  for (const told of [first, second]) {
    const changes = told.filter(({ step }) => step === "env-changed");
    expect(changes).toMatchObject([{ names: ["KEY"], rows: [{ name: "KEY", change: "changed", sensitive: true }] }]);
    expect(JSON.stringify(changes)).not.toContain("pl4nted");
  }
});
