import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { createCloser } from "@shipside/core";
import { recover } from "@shipside/daemon";
import { type Cluster, CONFIG_MAPS, SERVICES } from "@shipside/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { LeaveOptions } from "./crash/leave.ts";
import { CONTAINER, leaveCommand, makeWorkload, openKeptCluster } from "./crash.fixture.ts";
import { clusterState } from "./crash.harness.ts";
import { canMount } from "./mount-namespace.ts";

const soak = process.env["SHIPSIDE_SOAK"] === "1";
const closer = createCloser();
let kubeconfig: string;
let cluster: Cluster;
let namespace: string;

beforeAll(async () => {
  namespace = `steps-${randomBytes(3).toString("hex")}`;
  ({ cluster, kubeconfig } = closer.use(await openKeptCluster(namespace)));
});
afterAll(() => closer.close());

/** One trial's own folder, and service and deployment in the cluster. */
async function scene() {
  const folder = await mkdtemp(join(tmpdir(), "shipside-steps-"));
  const name = `s-${randomBytes(4).toString("hex")}`;
  await writeFile(join(folder, "hosts"), "127.0.0.1 localhost\n# no end");
  await writeFile(join(folder, ".env"), "MINE=1\n");
  await mkdir(join(folder, "tmp"));
  await cluster.create(CONFIG_MAPS, { metadata: { name: `settings-${name}` }, data: { mode: "first" } });
  const container = { ...CONTAINER, volumeMounts: [{ name: "settings", mountPath: "/etc/app" }] };
  await makeWorkload(cluster, name, 43_121, container, [{ name: "settings", configMap: { name: `settings-${name}` } }]);
  await cluster.create(SERVICES, {
    metadata: { name: `api-${name}` },
    spec: { selector: { app: name }, ports: [{ port: 43_126 }] },
  });
  const options: LeaveOptions = {
    ...{
      do: "make",
      stateDir: join(folder, "state"),
      hosts: join(folder, "hosts"),
      folder,
      kubeconfig,
      namespace,
      name,
      killAt: 0,
    },
    mount: canMount,
    volumes: true,
    intercepted: `api-${name}`,
  };
  return {
    name,
    options,
    async state() {
      const files: Record<string, string> = {};
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (path === join(folder, "root")) files[path] = "a folder";
        if (entry.isFile() && !/addresses\.json|shipside-backup|compile-cache/.test(path))
          files[path] = await readFile(path, "utf8");
      }
      const objects = Object.entries(await clusterState(cluster, namespace)).filter(([key]) => key.endsWith(name));
      return { files, objects, processes: await sleepers(name), mounts: await mountsIn(folder) };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function sleepers(name: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    const env = /^\d+$/.test(pid) ? await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "") : "";
    if (env.includes(`SLEEPER=${name}\0`)) found.push(await readlink(`/proc/${pid}/exe`).catch(() => "ended"));
  }
  return found.filter((exe) => exe !== "ended");
}

const mountsIn = async (folder: string): Promise<string[]> =>
  (await readFile("/proc/self/mountinfo", "utf8")).split("\n").filter((line) => line.includes(folder));

/** Resolves to what it said, and whether it was killed. */
function leave(options: LeaveOptions): Promise<{ said: string; killed: boolean }> {
  const [program, ...args] = leaveCommand(options);
  const env = { ...process.env, TMPDIR: join(options.folder, "tmp") };
  return new Promise((resolve, reject) => {
    execFile(program, args, { env }, (error, stdout, stderr) => {
      if (error && error.signal !== "SIGKILL") reject(new Error(`${error.message}\n${stderr}`));
      else resolve({ said: stdout, killed: error !== null });
    });
  });
}

/** A machine that is busy with other tests is no cluster that is away. */
const undo = (stateDir: string) => recover({ stateDir, connections: { requestTimeoutMs: 60_000 } });

const stepsOf = (said: string): number => Number(/(\d+) steps/.exec(said)?.[1]);

/** Runs a trial for each step, three at once. Steps are before and after each line: every third takes turns at both. */
async function eachStep(count: number, trial: (killAt: number) => Promise<void>): Promise<void> {
  const steps = Array.from({ length: count }, (_, at) => at + 1).filter((step) => soak || step % 3 === 1);
  const workers = Array.from({ length: 3 }, async () => {
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) await trial(step);
  });
  await Promise.all(workers);
}

test("killed at each step of making and undoing: the next run puts everything back", { timeout: 300_000 }, async () => {
  await using whole = await scene();
  const before = await whole.state();
  const { said } = await leave(whole.options);
  expect(await whole.state()).toEqual(before);
  const count = stepsOf(said);
  expect(count).toBeGreaterThan(30);
  await eachStep(count, async (killAt) => {
    await using trial = await scene();
    const untouched = await trial.state();
    expect(await leave({ ...trial.options, killAt })).toMatchObject({ killed: true });
    const { failed } = await undo(trial.options.stateDir);
    expect(failed).toEqual([]);
    expect(await trial.state(), `killed at step ${killAt} of ${count}`).toEqual(untouched);
  });
});

test("killed at each step of undoing what another has left: the next one puts everything back", { timeout: 300_000 }, async () => {
  /** Everything made, and killed; then undone by a process that is killed. */
  const trial = async (killAt: number): Promise<number> => {
    await using left = await scene();
    const before = await left.state();
    expect(await leave({ ...left.options, killAt: "made" })).toMatchObject({ killed: true });
    const made = await left.state();
    expect(
      [made.files, made.objects, made.processes].map((part, at) => isDeepStrictEqual(part, Object.values(before)[at])),
    ).toEqual([...[false, false, false]]);
    // As the kubelet lays it out: what is seen there is a link to it.
    expect(Object.keys(made.files)).toContainEqual(expect.stringMatching(/\/root\/etc\/app\/[^/]+\/mode$/));
    const { said, killed } = await leave({ ...left.options, do: "recover", killAt });
    expect(killed).toBe(killAt > 0);
    if (killAt > 0) expect((await undo(left.options.stateDir)).failed).toEqual([]);
    expect(await left.state(), `killed at step ${killAt}`).toEqual(before);
    return stepsOf(said);
  };
  const count = await trial(0);
  expect(count).toBeGreaterThan(12);
  await eachStep(count, async (killAt) => void (await trial(killAt)));
});
