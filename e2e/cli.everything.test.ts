import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SessionInfo } from "@shipside/daemon/client";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Ran } from "./cli.harness.ts";
import { NAMESPACE, sampleUsers, serveHttp } from "./incoming.fixture.ts";

const at = sampleUsers();
let local: Awaited<ReturnType<typeof serveHttp>>;
let dir: string;
beforeAll(async () => {
  local = await serveHttp();
});
afterAll(() => local?.[Symbol.asyncDispose]());
beforeEach(async () => {
  dir = join(at.user.home, "project");
  await mkdir(dir);
  await chmod(dir, 0o777);
  await writeFile(join(dir, "shipside.yaml"), file(), { mode: 0o644 });
});

const file = (): string => `
namespace: ${NAMESPACE}
teleports:
  - { name: core, workload: deployment/core, services: ["*", "!database*"], envFile: core.env }
  - { name: data, services: ["database"] }
envFiles:
  - { name: leafs, workload: deployment/leaf, file: leaf.json }
mounts:
  - { name: files, workload: deployment/core, path: ./root, only: [config] }
intercepts:
  - { name: mine, service: core, ports: ["3020:${local.port}"], match: { path: "/mine*" } }
exposes:
  - { name: hook, service: webhook, ports: ["80:${local.port}"] }
`;
const NAMES = ["core", "data", "leafs", "files", "mine", "hook"];

const run = (...args: string[]): Promise<Ran> => at.user.run(args, { cwd: dir, env: { KUBECONFIG: at.kubeconfig } });
async function well(...args: string[]): Promise<Ran> {
  const ran = await run(...args);
  expect(ran.code, `${args.join(" ")}: ${ran.stderr}`).toBe(0);
  return ran;
}
const open = async (): Promise<string[]> =>
  (JSON.parse((await well("session", "list", "--json")).stdout) as SessionInfo[]).map(({ name }) => name!);

/** What was asked for is there, each of its kind. */
async function expectAll(): Promise<void> {
  expect((await open()).sort()).toEqual(NAMES.toSorted());
  expect(await readFile(join(dir, "core.env"), "utf8")).toContain("API_TOKEN=");
  expect(JSON.parse(await readFile(join(dir, "leaf.json"), "utf8"))).toMatchObject({ PORT: "3010" });
  expect(await readdir(join(dir, "root/etc/core"))).not.toEqual([]);
  expect(
    await at.sample.ask({ url: "http://core:3020/mine/a" }, { url: "http://core:3020/x" }, { url: "http://webhook/b" }),
  ).toEqual(["local /mine/a", expect.stringContaining('"version": "cluster"'), "local /b"]);
  expect(JSON.parse((await run("status", "--json")).stdout).processes[0].probes).toHaveLength(NAMES.length);
}

async function expectNothing(): Promise<void> {
  await expect.poll(at.sample.objects, { timeout: 15_000 }).toEqual(at.before);
  expect(await readdir(dir)).toEqual(["shipside.yaml"]);
}

test("teleports, env files, a mount, an intercept and an expose in one file: shown, opened, closed, and put back after a SIGKILL", async () => {
  const plan = (await well("up", "--dry-run")).stdout;
  for (const name of NAMES) expect(plan).toMatch(new RegExp(`\\.${name}\\b`));
  await expectNothing();

  await well("start", "--no-root");
  await well("up");
  await expectAll();
  await well("down");
  expect(await open()).toEqual([]);
  await expectNothing();

  await well("up");
  await expectAll();
  const { processes } = JSON.parse((await run("status", "--json")).stdout) as { processes: Array<{ pid: number; kind: string }> };
  process.kill(processes.find(({ kind }) => kind === "daemon")!.pid, "SIGKILL");
  expect(at.sample.objects()).not.toEqual(at.before);
  const cleaned = await well("clean", "--yes");
  for (const what of ["env file", "volumes", "intercept", "service"])
    expect(cleaned.stderr).toMatch(new RegExp(`removed .*${what}`));
  await expectNothing();
}, 120_000);
