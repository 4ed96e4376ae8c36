import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ChildNames, privateNames } from "./names.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-names-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function run(command: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(command[0]!, command.slice(1), { env, stdio: ["ignore", "pipe", "inherit"] });
  return (await text(child.stdout)).trim();
}

const entries = [{ address: "127.72.1.2", names: ["leaf", "leaf.sample.svc.cluster.local"] }];
const lookups = `
  const dns = require("node:dns");
  const { lookup } = require("node:dns/promises");
  (async () => {
    console.log((await lookup("LEAF")).address);
    console.log((await lookup("leaf.sample.svc.cluster.local", { all: true }))[0].address);
    console.log(await new Promise((r) => dns.lookup("leaf", (e, a, f) => r(a + " " + f))));
    console.log(await new Promise((r) => dns.lookup("leaf", { all: true }, (e, a) => r(a[0].address))));
    console.log(await new Promise((r) => dns.lookup("localhost", 4, (e, a) => r(a))));
    console.log(await new Promise((r) => dns.lookup("leaf", 6, (e, a) => r(e ? "none" : a))));
  })();`;
const answers = ["127.72.1.2", "127.72.1.2", "127.72.1.2 4", "127.72.1.2", "127.0.0.1", "none"].join("\n");

test.each<ChildNames>(["namespace", "preload"])("a child sees the names by %s, also those that come later", async (how) => {
  const names = await privateNames(dir);
  // A machine without user namespaces has only the second way, and says so by itself.
  if (how === "namespace" && names.how !== how) return expect(names.how).toBe("preload");
  const chosen = await privateNames(dir, { how });
  const { command, env } = chosen.wrap([process.execPath, "-e", `setTimeout(() => {${lookups}}, 300)`], process.env);
  const output = run(command, env);
  await chosen.update(entries);
  expect(await output).toBe(answers);
  expect(await readFile("/etc/hosts", "utf8")).not.toContain("leaf.sample");
});

test("the namespaced child is the same user, sees the network of the machine and gets its arguments whole", async () => {
  const names = await privateNames(dir);
  if (names.how !== "namespace") return expect(process.platform).not.toBe("linux");
  await names.update(entries);
  const script = 'echo "$(id -u) $1 $(getent hosts leaf | cut -d" " -f1) $(readlink /proc/self/ns/net)"';
  const { command, env } = names.wrap(["sh", "-c", script, "sh", "two words; $x"], process.env);
  const net = await run(["readlink", "/proc/self/ns/net"], process.env);
  expect(await run(command, env)).toBe(`${userInfo().uid} two words; $x 127.72.1.2 ${net}`);
});

test("the preload keeps the NODE_OPTIONS that were there", async () => {
  const names = await privateNames(dir, { how: "preload" });
  const { env } = names.wrap(["true"], { NODE_OPTIONS: "--no-warnings" });
  expect(env["NODE_OPTIONS"]).toMatch(/^--no-warnings --import=file:/);
});
