import { once } from "node:events";
import { existsSync } from "node:fs";
import { PODS } from "@shipside/kube";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { untilSaid } from "./cli.harness.ts";
import { canHaveDrives } from "./mount.drives.ts";
import { alive, below, commandLine } from "./processes.ts";
import { canHaveMachine } from "./root.harness.ts";
import { type ProbeWorld, probeWorld } from "./rootless.probe.fixture.ts";

// Whichever process of a command in namespaces is killed, with a drive mounted: nothing is left of it, here or in the cluster.

const WAIT = { timeout: 30_000, interval: 100 };

describe.skipIf(!canHaveMachine || !canHaveDrives)("killed with its volumes mounted:", { timeout: 90_000 }, () => {
  let world: ProbeWorld;
  beforeAll(async () => {
    world = await probeWorld();
  }, 240_000);
  afterAll(async () => world?.[Symbol.asyncDispose](), 60_000);

  const mounts = (): Promise<string> => world.machine.sh("cat /proc/self/mountinfo");
  const relays = async (): Promise<string[]> => {
    const pods = await world.cluster.list(PODS, { namespace: world.home });
    return pods.map(({ metadata }) => metadata.name).filter((name) => name.startsWith("shipside-"));
  };
  const leftOf = async (pids: readonly number[]): Promise<string[]> =>
    (await Promise.all(pids.map(async (pid) => ((await alive(pid)) ? [commandLine(pid)] : [])))).flat();

  const ROLES = [
    "shipside",
    "unshare",
    "the first process",
    "the agent",
    "the command",
    "the drive's program",
    "its parent",
  ] as const;

  test.each(ROLES)("%s", async (role) => {
    const before = await relays();
    const words = ["run", "deployment/probe", "--volumes", "-n", world.home, "-k", world.kubeconfig, "--"];
    const child = world.machine.start([...words, "sh", "-c", "sleep 1000 & echo up in $(ls /probe-data); exec sleep 1001"]);
    onTestFinished(() => void child.kill("SIGKILL"));
    const exited = once(child, "exit");
    await untilSaid(child, /^up in/m);
    const place = `${world.machine.home}/run/shipside/volumes-${child.pid}`;
    const relay = (await relays()).filter((name) => !before.includes(name));
    expect(relay).toHaveLength(1);
    const all = below(child.pid!);
    const unshare = all.find((pid) => commandLine(pid).startsWith("unshare "))!;
    const [first = 0, agent = 0] = below(unshare);
    expect(await world.machine.sh(`cat /proc/${agent}/mountinfo`)).toContain(` ${place}/`);
    const entry = all.find((pid) => commandLine(pid).startsWith("nsenter "))!;
    const roles: Record<(typeof ROLES)[number], number> = {
      ...{ shipside: child.pid!, unshare, "the first process": first, "the agent": agent },
      ...{ "the drive's program": below(entry)[0]!, "its parent": entry },
      "the command": all.find((pid) => commandLine(pid) === "sleep 1001 ")!,
    };
    process.kill(roles[role], "SIGKILL");
    // Without its drive the command goes on.
    if (role === "the drive's program" || role === "its parent") child.kill("SIGINT");
    await exited;
    await expect.poll(() => leftOf(all), WAIT).toEqual([]);
    await expect.poll(mounts, WAIT).not.toContain(place);
    await expect.poll(() => existsSync(place), WAIT).toBe(false);
    // What is in a cluster takes somebody who says yes to it, where shipside itself had no time for it.
    if (role === "shipside") expect((await world.machine.run(["clean", "--yes"])).code).toBe(0);
    await expect.poll(async () => (await relays()).filter((name) => relay.includes(name)), WAIT).toEqual([]);
    // The map of addresses is meant to stay.
    const files = `cd ${world.machine.home} && find run state ! -type d ! -name addresses.json`;
    await expect.poll(() => world.machine.sh(files), WAIT).toBe("");
  });
});
