import type { ChildProcess } from "node:child_process";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { kill, program, said, survivesKills } from "../fixtures/killed.ts";
import { makePlace, type Place } from "../fixtures/place.ts";
import { mountAt } from "../mount-table.ts";
import { removeStaleMount } from "../unmount.ts";
import { missingForSshfs } from "./mount.ts";

const missing = await missingForSshfs();
const ROUNDS = process.env["SHIPSIDE_SOAK"] === "1" ? 100 : 10;

async function startMounter({ port, local, remote }: Pick<Place, "port" | "local" | "remote">): Promise<ChildProcess> {
  const mounter = program("mounter", String(port), local, remote);
  await said(mounter);
  return mounter;
}

/** The mounting process, sshfs, and the bridge, which is no child of sshfs's: it is known by the socket that both are given. */
async function processesOf(mounter: ChildProcess): Promise<{ mounter: number; sshfs: number; bridge: number; socket: string }> {
  const own = `/proc/${mounter.pid}/task/${mounter.pid}/children`;
  const sshfs = Number((await readFile(own, "utf8")).trim());
  const [, socket] = /ssh_command=\S+ \S+ (\S+?)\0/.exec(await readFile(`/proc/${sshfs}/cmdline`, "latin1")) ?? [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const argv = (await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "")).split("\0");
    if (socket !== undefined && argv[2] === socket) return { mounter: mounter.pid!, sshfs, bridge: Number(pid), socket };
  }
  throw new Error("no bridge was found");
}

describe.skipIf(missing !== undefined)("processes of a mount that are killed", () => {
  it(
    `what was fsynced is on the volume, whichever is killed, at any moment (${ROUNDS} times)`,
    () =>
      survivesKills(ROUNDS, async (place, port) => {
        const mounter = await startMounter({ ...place, port: Number(port) });
        const { socket, ...ours } = await processesOf(mounter);
        return { pids: Object.values(ours), cleanUp: () => rm(dirname(socket), { recursive: true, force: true }) };
      }),
    ROUNDS * 25_000,
  );

  it("a mount whose process died is found and taken off", async () => {
    await using place = await makePlace();
    const mounter = await startMounter(place);
    const { sshfs, socket } = await processesOf(mounter);
    try {
      await writeFile(join(place.local, "f"), "x");
      kill(mounter.pid!);
      await vi.waitFor(() => expect(readdir(place.local)).rejects.toMatchObject({ code: "EIO" }), { timeout: 10_000 });
      expect(await mountAt(place.local)).toMatchObject({ type: "fuse.sshfs", source: "shipside:crash" });
      expect(await removeStaleMount(place.local)).toBe(true);
      expect(await removeStaleMount(place.local)).toBe(false);
      expect(await readdir(place.local)).toEqual([]);
      await vi.waitFor(() => expect(stat(dirname(socket))).rejects.toMatchObject({ code: "ENOENT" }), {
        timeout: 10_000,
      });
    } finally {
      kill(sshfs);
    }
  });

  it("while the mounting process stands still operations fail within 15 s, and work again when it goes on", async () => {
    await using place = await makePlace();
    const mounter = await startMounter(place);
    const { sshfs, socket } = await processesOf(mounter);
    try {
      await writeFile(join(place.local, "f"), "x");
      mounter.kill("SIGSTOP");
      const began = performance.now();
      // More than the socket holds: a writer is stuck in it.
      await expect(writeFile(join(place.local, "g"), Buffer.alloc(8_000_000))).rejects.toMatchObject({ code: "EIO" });
      expect(performance.now() - began).toBeLessThan(15_000);
      mounter.kill("SIGCONT");
      await vi.waitFor(() => writeFile(join(place.local, "g"), "z"), { timeout: 10_000 });
      expect(await readFile(join(place.remote, "g"), "utf8")).toBe("z");
    } finally {
      for (const pid of [mounter.pid!, sshfs]) kill(pid);
      await removeStaleMount(place.local);
      await rm(dirname(socket), { recursive: true, force: true });
    }
  }, 60_000);
});
