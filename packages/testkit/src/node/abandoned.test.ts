import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hasEnded, parseProcessStat } from "@shipside/core";
import { describe, expect, it } from "vitest";
import { isReady, makeBed, web } from "./fixtures/bed.ts";
import { availableModes } from "./fixtures/modes.ts";
import { programPath } from "./program.ts";

const modes = await availableModes();

/** All processes that descend from `root`, or have it as their process group's or session's origin. */
function descendants(root: number): number[] {
  const children = Map.groupBy(
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          return [{ pid: Number(name), parent: parseProcessStat(readFileSync(`/proc/${name}/stat`, "latin1"))?.parent }];
        } catch {
          return [];
        }
      }),
    ({ parent }) => parent,
  );
  const found: number[] = [];
  const walk = (pid: number): void => {
    for (const child of children.get(pid) ?? []) {
      found.push(child.pid);
      walk(child.pid);
    }
  };
  walk(root);
  return found;
}

function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

const alive = (pid: number): boolean => {
  try {
    // A zombie has ended; whoever adopted it hasn't looked yet.
    return !hasEnded(parseProcessStat(readFileSync(`/proc/${pid}/stat`, "latin1"))!);
  } catch {
    return false;
  }
};

function doomed(network: string): ChildProcess {
  const program = fileURLToPath(new URL("./fixtures/doomed.ts", import.meta.url));
  return spawn(process.execPath, ["--conditions=@shipside/source", program, network], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

// What is left of a process can be seen in /proc alone.
it("an agent whose node is gone before it has begun removes the directory too", async () => {
  const directory = mkdtempSync(join(tmpdir(), "shipside-node-"));
  const child = spawn(process.execPath, [programPath("node/agent/pod-agent"), directory], {
    cwd: directory,
    env: { NODE_COMPILE_CACHE: join(directory, "compile-cache") },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  child.disconnect();
  await once(child, "exit");
  expect(existsSync(directory)).toBe(false);
});

describe.each(process.platform === "linux" ? modes : [])("with %s", (network) => {
  it("a node whose process is killed leaves no process and no directory within two seconds", async () => {
    const child = doomed(network);
    try {
      const [{ stateDir }] = (await once(child, "message")) as [{ stateDir: string }];
      const sleeps = (): number[] => descendants(child.pid!).filter((pid) => commandOf(pid)[0]?.startsWith("sleep"));
      await expect.poll(sleeps).toHaveLength(4);
      const pids = descendants(child.pid!);
      expect(existsSync(stateDir)).toBe(true);

      child.kill("SIGKILL");
      await once(child, "exit");
      const from = Date.now();
      while (Date.now() - from < 2_000 && (pids.some(alive) || existsSync(stateDir)))
        await new Promise((resolve) => setTimeout(resolve, 20));
      expect(pids.filter(alive)).toEqual([]);
      expect(existsSync(stateDir)).toBe(false);
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("a node that is killed together with all of its agents leaves no process and no directory either", async () => {
    const child = doomed(network);
    try {
      const [{ stateDir }] = (await once(child, "message")) as [{ stateDir: string }];
      const sleeps = (): number[] => descendants(child.pid!).filter((pid) => commandOf(pid)[0]?.startsWith("sleep"));
      await expect.poll(sleeps).toHaveLength(4);
      const pids = descendants(child.pid!);
      const agents = pids.filter((pid) => commandOf(pid).some((word) => /pod-agent\.[jt]s$/.test(word)));
      expect(agents.length).toBeGreaterThan(0);
      // In this order nobody has time to notice.
      for (const pid of agents) process.kill(pid, "SIGSTOP");
      child.kill("SIGKILL");
      for (const pid of agents) if (alive(pid)) process.kill(pid, "SIGKILL");
      await expect.poll(() => [pids.filter(alive), existsSync(stateDir)]).toEqual([[], false]);
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("a node that is closed leaves no process and no directory, and its mounts are gone", async () => {
    const own = new Set(descendants(process.pid));
    const bed = await makeBed({ network });
    bed.pod("one", { containers: [web(3000, "1", { readinessProbe: { tcpSocket: { port: 3000 } } })] });
    await bed.until("one", isReady);
    const pids = descendants(process.pid).filter((pid) => !own.has(pid));
    expect(pids.length).toBeGreaterThan(1);
    const { stateDir } = bed.node;
    await Promise.all([bed.node.close(), bed.node.close()]);
    expect(pids.filter(alive)).toEqual([]);
    expect(existsSync(stateDir)).toBe(false);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(stateDir);
  });

  it("a pod whose agent is killed gets a new sandbox", async () => {
    await using bed = await makeBed({ network });
    bed.pod("lost", { containers: [web(3000, "1", { readinessProbe: { tcpSocket: { port: 3000 } } })] });
    const first = await bed.until("lost", isReady);
    const family = descendants(process.pid);
    const agents = family.filter((pid) => {
      const words = commandOf(pid);
      return words.some((word) => word.endsWith("pod-agent.ts")) && words[0] === process.execPath;
    });
    const own = family.filter((pid) => commandOf(pid).some((word) => word.includes("createServer")));
    expect(own.length).toBeGreaterThan(0);
    const guards = family.filter((pid) => commandOf(pid).includes("shipside-guard"));
    // The last one is the pod's; without namespaces there is one for all.
    process.kill(agents.at(-1)!, "SIGKILL");
    const again = await bed.until("lost", (pod) => isReady(pod) && pod["status"].containerStatuses[0].restartCount === 1);
    // Nothing of the first one lives on and listens there.
    await expect.poll(() => own.filter(alive)).toEqual([]);
    // The agent's guard cleans up after it, but the directory is the living node's.
    if (network === "loopback") await expect.poll(() => guards.some(alive)).toBe(false);
    expect(existsSync(join(bed.node.stateDir, "compile-cache"))).toBe(true);
    expect(again["status"].podIP).not.toBe(first["status"].podIP);
    expect(bed.events("lost")).toContain("SandboxChanged: Pod sandbox changed, it will be killed and re-created.");
  });
});
