import { type ChildProcess, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { acquireFileLock, type FileLock } from "@shipside/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newUser, type User, untilSaid } from "./cli.harness.ts";

const isRoot = process.getuid?.() === 0;
const hostsHash = (): string => createHash("sha256").update(readFileSync("/etc/hosts")).digest("hex");
/** Tests that use the machine's own hosts file take turns, in whichever process they run. */
const LOCK = "/tmp/shipside-hosts-test.lock";

/** Processes that name a path of this user's home in their environment: none may be left. */
function processesOf(user: User): string[] {
  if (process.platform !== "linux") return [];
  const all = execFileSync("ps", ["-eo", "pid=,args=", "eww"], { encoding: "utf8", maxBuffer: 1 << 26 });
  return all.split("\n").filter((line) => line.includes(user.home) && !line.includes("ps -eo"));
}

const kinds: Array<[string, { asSelf?: boolean }, string]> = [["a user who may not write the hosts file", {}, "rootless|preload"]];
if (isRoot) kinds.push(["root", { asSelf: true }, "hosts"]);

describe.each(kinds)("the demo, as %s", (_who, options, names) => {
  let user: User;
  let before: string;
  let lock: FileLock | undefined;
  beforeEach(async () => {
    user = await newUser(options);
    if (options.asSelf) {
      const { signal } = new AbortController();
      lock = await acquireFileLock({ path: LOCK, what: "/etc/hosts", owner: "demo test", timeoutMs: 110_000, signal });
    }
    before = hostsHash();
  }, 120_000);
  afterEach(async () => {
    try {
      // Others' tests may use the hosts file meanwhile, unless we hold the lock.
      if (options.asSelf) expect(hostsHash()).toBe(before);
      expect(processesOf(user)).toEqual([]);
      expect(await user.left()).toEqual([]);
    } finally {
      await lock?.release();
      await user[Symbol.asyncDispose]();
    }
  });

  test("does the whole job in a pipe, and proves that nothing is left", async () => {
    const { code, stdout, stderr } = await user.run(["demo", "--json"]);
    expect(code, stderr).toBe(0);
    const story = JSON.parse(stdout);
    expect(story.residue).toEqual([]);
    expect(story.hosts).toMatchObject({ identical: true });
    expect(story.names).toMatch(new RegExp(`^(${names})$`));
    expect(story.firstCall).toMatchObject({
      url: "http://leaf:3010",
      pod: expect.stringMatching(/^leaf-/),
      address: expect.stringMatching(story.names === "rootless" ? /^10\.96\./ : /^127\.7[2-5]\./),
    });
    expect(story.core.version).toBe("local");
    const addresses = Object.fromEntries(
      story.services.map(({ name, address }: { name: string; address: string }) => [name, address]),
    );
    // By their names, not by the variables that the sample's programs fall back to.
    expect(story.core.calls.map(({ address }: { address: string }) => address)).toEqual([
      addresses["leaf.sample"],
      addresses["database.sample"],
      addresses["database.sample"],
    ]);
    expect(story.rollout).toMatchObject({ failed: 0, pods: [expect.stringMatching(/^leaf-/), expect.stringMatching(/^leaf-/)] });
    expect(stderr).not.toContain("\x1b");
    expect(stderr).not.toContain("s3cr3t");
  }, 60_000);

  test("Ctrl-C in the middle ends it, with the same clean-up", async () => {
    for (const moment of [/runs in this process/, /the sample runs/, /answered by leaf/]) {
      const child = user.start(["demo"]);
      const said = collect(child);
      await untilSaid(child, moment);
      child.kill("SIGINT");
      const [code] = await once(child, "close");
      expect([code, said.text]).toEqual([130, expect.stringContaining("no file and no process is left")]);
    }
  }, 90_000);

  test("--keep stays up to play with, until Ctrl-C", async () => {
    const child = user.start(["demo", "--keep"]);
    const said = collect(child);
    await untilSaid(child, /Ctrl-C ends it/);
    const kubeconfig = /--kubeconfig (\S+)/.exec(said.text)![1]!;
    const listed = JSON.parse((await user.run(["session", "list", "--json"])).stdout);
    expect(listed).toMatchObject([{ workload: "deployment/core", namespace: "sample", pid: child.pid }]);
    const env = await user.run(["teleport", "deployment/core", "-k", kubeconfig, "-n", "sample", "-q", "--", "env"]);
    expect(env).toMatchObject({ code: 0, stdout: expect.stringContaining("GREETING=Hello from the cluster") });
    if (options.asSelf) {
      const answer = await (await fetch("http://leaf.sample:3010", { headers: { connection: "close" } })).json();
      expect(answer).toMatchObject({ service: "leaf" });
    }
    child.kill("SIGINT");
    const [code] = await once(child, "close");
    expect([code, said.text]).toEqual([130, expect.stringContaining("Nothing is left behind")]);
  }, 60_000);
});

function collect(child: ChildProcess): { text: string } {
  const said = { text: "" };
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on("data", (chunk: Buffer) => {
      said.text += chunk;
    });
  }
  return said;
}

test("the demo on a machine without any tool for namespaces: Node's own look-ups do it", async () => {
  await using user = await newUser();
  const bin = join(user.home, "bin");
  await mkdir(bin);
  await symlink(execFileSync("sh", ["-c", "command -v sh"], { encoding: "utf8" }).trim(), join(bin, "sh"));
  const { code, stdout, stderr } = await user.run(["demo", "--json"], { env: { PATH: bin } });
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ names: "preload", residue: [], rollout: { failed: 0 } });
  expect(stderr).toMatch(/^! \/etc\/hosts isn't yours to write, and namespaces can't be had: ./m);
  expect(stderr).toMatch(/^! .*: the processes below get the names by a module that answers Node's look-ups$/m);
  expect(await user.left()).toEqual([]);
}, 60_000);
