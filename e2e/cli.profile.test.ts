import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SessionInfo } from "@shipside/daemon/client";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { newUser, type Ran, type User, untilSaid } from "./cli.harness.ts";
import { coreWorkload } from "./core-workload.ts";

let cluster: EmbeddedCluster;
let user: User;
let kubeconfig: string;
let dir: string;

const namespaced = (namespace: string, port: number): object[] => [
  ...coreWorkload(namespace, `hello ${namespace}`),
  { apiVersion: "v1", kind: "Service", metadata: { name: "leaf", namespace }, spec: { ports: [{ port }] } },
  { apiVersion: "v1", kind: "Service", metadata: { name: `only-${namespace}`, namespace }, spec: { ports: [{ port: port + 1 }] } },
];

beforeAll(async () => {
  cluster = await startCluster({ name: "profiles", node: false, controllers: false });
  await cluster.apply([...namespaced("shop", 43_210), ...namespaced("search", 43_220)]);
});
afterAll(() => cluster.close());
beforeEach(async () => {
  user = await newUser();
  kubeconfig = join(user.home, "kubeconfig");
  await writeFile(kubeconfig, cluster.kubeconfig());
  await chmod(kubeconfig, 0o644);
  dir = join(user.home, "tmp", "project");
  await mkdir(dir);
  await chmod(dir, 0o777);
});
afterEach(() => user[Symbol.asyncDispose]());

const write = (text: string): Promise<void> => writeFile(join(dir, "shipside.yaml"), text);
const run = (args: readonly string[]): Promise<Ran> => user.run(args, { cwd: dir, env: { KUBECONFIG: kubeconfig } });
const json = async <T>(args: readonly string[]): Promise<T> => {
  const { stdout, stderr, code } = await run([...args, "--json"]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
};
const open = async (): Promise<SessionInfo[]> => json<SessionInfo[]>(["session", "list", "--details"]);

const FILE = `
namespace: shop
teleports:
  - name: core
    workload: deployment/core
    services: ["*", "!only-*"]
    envFile: core.env
  - namespace: search
envFiles:
  - workload: deployment/core
    file: ./out/web.json
`;

test("up, again, changed, down: each does only what differs, and down closes exactly what up opened", async () => {
  await mkdir(join(dir, "out"));
  await chmod(join(dir, "out"), 0o777);
  await write(FILE);
  expect((await run(["start", "--no-root"])).code).toBe(0);
  try {
    const mine = await json<{ session: SessionInfo }>(["teleport", "deployment/core", "-n", "shop", "--name", "mine"]);
    const first = await json<{ opened: SessionInfo[] }>(["up"]);
    expect(first.opened.map(({ name, kind, namespace }) => [name, kind, namespace])).toEqual([
      ["core", "teleport", "shop"],
      [undefined, "teleport", "search"],
      [undefined, "env", "shop"],
    ]);
    expect(first.opened[0]?.services.map(({ name }) => name)).toEqual(["leaf"]);
    expect(await readFile(join(dir, "core.env"), "utf8")).toContain("hello shop");
    expect(await readFile(join(dir, "out", "web.json"), "utf8")).toContain("hello shop");

    const ids = first.opened.map(({ id }) => id);
    expect(await json(["up"])).toMatchObject({ kept: ids, opened: [], closed: [] });

    await write(FILE.replace("  - namespace: search", "  - namespace: search\n    also: [shop]"));
    const changed = await json<{ opened: SessionInfo[] }>(["up"]);
    expect(changed).toMatchObject({ kept: [ids[0], ids[2]], closed: [ids[1]], opened: [{ also: ["shop"] }] });

    expect((await run(["session", "close", "core"])).code).toBe(0);
    expect((await json<{ opened: SessionInfo[] }>(["up"])).opened).toHaveLength(1);

    const { closed } = await json<{ closed: string[] }>(["down"]);
    expect(closed).toHaveLength(3);
    expect((await open()).map(({ id }) => id)).toEqual([mine.session.id]);
    await expect(readFile(join(dir, "core.env"))).rejects.toMatchObject({ code: "ENOENT" });
    expect(await json(["down"])).toMatchObject({ closed: [] });
  } finally {
    expect((await run(["stop"])).code).toBe(0);
  }
  expect(await user.left()).toEqual([join(dir, "shipside.yaml")]);
}, 60_000);

test("without a daemon up holds them until down; a dry run makes nothing", async () => {
  await write(FILE.replace(/envFiles:[\s\S]*/, ""));
  const plan = await run(["up", "--dry-run"]);
  expect(plan.code, plan.stderr).toBe(0);
  expect(plan.stdout).toMatch(/teleports\.core {2}deployment\/core\n {2}context .*profiles.*, namespace shop, https:/);
  expect(plan.stdout).toMatch(/services 1: leaf 43210\/TCP\n {2}names {4}1: leaf .*\n {2}files {4}.*core\.env/);
  expect(await open()).toEqual([]);
  await expect(readFile(join(dir, "core.env"))).rejects.toMatchObject({ code: "ENOENT" });

  const up = user.start(["up"], { cwd: dir, env: { KUBECONFIG: kubeconfig } });
  const exited = once(up, "exit");
  const said = await untilSaid(up, /shipside down/);
  // Nobody here may write the hosts file.
  expect(said.match(/! names are not on this machine: .*hosts/g)).toHaveLength(1);
  expect(said).toMatch(/hint: `shipside start` takes root once/);
  if (process.platform === "linux") expect(said).toContain("`shipside run deployment/core -- COMMAND`");
  expect((await open()).map(({ origin }) => origin?.entry)).toEqual(["teleports.core", "teleports[1]"]);
  expect((await run(["down"])).code).toBe(0);
  expect((await exited)[0]).toBe(0);
  expect(await user.left()).toEqual([join(dir, "shipside.yaml")]);
}, 60_000);

test("a mistake, a missing file, a kind that isn't there: each is told, and nothing is made", async () => {
  await write("teleports:\n  - worklaod: core\n");
  const mistake = await run(["up"]);
  expect(mistake.code).toBe(2);
  expect(mistake.stderr).toMatch(
    /error\[PROFILE_INVALID\]: .*shipside\.yaml:2:5: unknown key "worklaod".*did you mean "workload"\?/,
  );
  expect((await run(["up", "-f", "nope.yaml"])).code).toBe(6);
  // A name that was mistyped: nothing of it is open, and nothing would be closed by it.
  const mistyped = await run(["down", "--profile", "nope"]);
  expect([mistyped.code, mistyped.stderr]).toEqual([6, expect.stringContaining("PROFILE_MISSING")]);
  expect((await run(["up", "-f", "x", "--profile", "y"])).code).toBe(2);
  const missing = await run(["down", "--profile", "../x"]);
  expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining("PROFILE_NAME")]);
  await write("teleports:\n  - workload: deployment/nope\n    namespace: shop\n");
  const unknown = await run(["up"]);
  expect([unknown.code, unknown.stderr]).toEqual([6, expect.stringContaining("KUBE_WORKLOAD_UNKNOWN")]);
  expect(await open()).toEqual([]);
}, 60_000);

test("what a teleport was can be saved, and comes up by its name", async () => {
  const args = ["teleport", "deployment/core", "-n", "shop", "--exclude", "only-*", "--set", "API_TOKEN=pl4nted", "-s", "work"];
  const saved = await run([...args, "--", "true"]);
  expect(saved.code, saved.stderr).toBe(0);
  expect(saved.stderr).toMatch(/shipside up --profile work[\s\S]*API_TOKEN: not saved/);
  const text = await readFile(join(user.home, ".config/shipside/profiles/work.yaml"), "utf8");
  expect(text).not.toMatch(/pl4nted|kubeconfig/);
  const plan = await json<{ entries: Array<{ makes: { names: string[] } }> }>(["up", "--profile", "work", "--dry-run"]);
  expect(plan.entries.map(({ makes }) => makes.names)).toEqual([["leaf"]]);

  const inside = await run([
    "run",
    "deployment/core",
    "-n",
    "shop",
    "--volumes",
    "--host-port",
    "5432",
    "-s",
    "inside",
    "--",
    "true",
  ]);
  expect(inside.code, inside.stderr).toBe(0);
  expect(inside.stderr).toMatch(/a profile has no command: .*`shipside start`; not saved, since .*: --volumes, --host-port/);
  expect(await readFile(join(user.home, ".config/shipside/profiles/inside.yaml"), "utf8")).not.toContain("mount");
}, 60_000);

test("a file that came with a repository runs no program of its own and writes nothing elsewhere, unless it is trusted", async () => {
  const ran = join(dir, "plugin-ran");
  const evil = { server: "https://127.0.0.1:1", "insecure-skip-tls-verify": true };
  const exec = {
    ...{ apiVersion: "client.authentication.k8s.io/v1", interactiveMode: "Never" },
    ...{ command: "/bin/sh", args: ["-c", `touch ${ran}; exit 1`] },
  };
  const config = {
    clusters: [{ name: "c", cluster: evil }],
    users: [{ name: "u", user: { exec } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  await writeFile(join(dir, "theirs"), JSON.stringify(config));
  const profile = join(user.home, ".bashrc");
  await write(
    `envFiles:\n  - { workload: deployment/core, kubeconfig: ./theirs, file: core.env }\n  - { workload: deployment/core, namespace: shop, file: ${profile} }\n`,
  );
  for (const args of [["up"], ["up", "--dry-run"]]) {
    const { code, stderr } = await run(args);
    expect([code, stderr]).toEqual([2, expect.stringContaining("error[PROFILE_UNTRUSTED]")]);
    expect(stderr).toContain(`${join(dir, "theirs")}, which is none of yours`);
    if (args.length === 1) expect(stderr).toContain(`${profile}, outside of the file's own folder`);
  }
  await expect(readFile(ran)).rejects.toMatchObject({ code: "ENOENT" });
  await expect(readFile(profile)).rejects.toMatchObject({ code: "ENOENT" });

  // The same with --trust shows that the plugin would have been run.
  expect((await run(["up", "--dry-run", "--trust"])).stderr).not.toContain("PROFILE_UNTRUSTED");
  expect(await readFile(ran, "utf8")).toBe("");
}, 60_000);
