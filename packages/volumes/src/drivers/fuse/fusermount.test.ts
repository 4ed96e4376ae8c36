import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makePlace, type Place } from "../fixtures/place.ts";
import { missingForMounts } from "../missing.ts";
import { mountAt } from "../mount-table.ts";
import { unmount } from "../unmount.ts";
import { FUSERMOUNT_PROGRAMS, withFusermount } from "./fusermount.ts";
import { mountFuse } from "./mount.ts";

const run = promisify(execFile);
const missing = await missingForMounts(FUSERMOUNT_PROGRAMS);

describe.skipIf(process.platform !== "linux" || missing !== undefined)("mounted by fusermount3", () => {
  let base: string;
  beforeEach(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), "fusermount-")));
  });
  afterEach(() => rm(base, { recursive: true, force: true }));
  const mounted = async (localPath: string, readOnly: boolean, script: string): Promise<string[]> => {
    const how = { localPath, remotePath: "/", source: "shipside:shop/data", readOnly, cacheSeconds: 2 };
    const [command, ...args] = withFusermount([process.execPath, "-p", script, "a word"], how);
    return (await run(command, args, { cwd: "/" })).stdout.trim().split("\n");
  };

  it("the program that follows has the kernel's end, and its own arguments before that", async () => {
    const localPath = join(base, "a, place of ü's");
    await mkdir(localPath);
    try {
      const script = 'const [word, fd] = process.argv.slice(1); [word, fs.readlinkSync("/proc/self/fd/" + fd)].join("\\n")';
      expect(await mounted(localPath, true, script)).toEqual(["a word", "/dev/fuse"]);
      expect(await mountAt(localPath)).toMatchObject({ type: "fuse.shipside", source: "shipside:shop/data" });
      const { stdout } = await run("findmnt", ["-n", "-o", "OPTIONS", localPath]);
      expect(stdout.split(",")).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
    } finally {
      await unmount(localPath);
    }
  });

  it("refused, that is said in its own words, and the program isn't run", async () => {
    await expect(mounted(join(base, "none"), false, "process.exit(0)")).rejects.toMatchObject({
      stdout: "",
      stderr: expect.stringMatching(/^fusermount3: .*No such file or directory\n$/),
    });
  });
});

describe.skipIf(process.platform !== "linux" || missing !== undefined)("a fusermount3 that doesn't do what it is to do", () => {
  let place: Place;
  beforeEach(async () => {
    place = await makePlace(mountFuse);
    vi.spyOn(process, "geteuid").mockReturnValue(1_000);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    expect(await runningFor(place.local)).toEqual([]);
    expect((await stat(place.local)).mode & 0o777).toBe(0o755);
    await place[Symbol.asyncDispose]();
  });
  /** This instead, but for taking off; the real one is `fusermount3` to it. */
  const instead = async (script: string, mode = 0o755): Promise<void> => {
    const programs = join(place.remote, "..", "programs");
    await mkdir(programs);
    const text = `#!/bin/sh\nPATH='${process.env["PATH"]}'\n[ "$1" = -u ] && exec fusermount3 "$@"\n${script}\n`;
    await writeFile(join(programs, "fusermount3"), text, { mode });
    vi.stubEnv("PATH", [programs, process.env["PATH"]].join(delimiter));
  };
  const failed = (message: unknown) => ({ code: "VOLUMES_MOUNT_FAILED", message });

  it("takes its time: an abort is heard at once, and nothing is mounted later", async () => {
    await instead('sleep 2; exec fusermount3 "$@"');
    const abort = new AbortController();
    const mounting = place.mount({ signal: abort.signal });
    mounting.catch(() => {});
    await vi.waitFor(async () => expect(await runningFor(place.local)).toContainEqual(expect.stringMatching(/^fusermount3 /)));
    const began = performance.now();
    abort.abort();
    await expect(mounting).rejects.toMatchObject({ name: "AbortError" });
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(await runningFor(place.local)).toEqual([]);
    await sleep(2_500);
    expect(await mountAt(place.local)).toBeUndefined();
  });

  it("has mounted and hands nothing over: that mount is taken off", async () => {
    const script = [
      "import os, socket, subprocess, sys, time",
      "ours, theirs = socket.socketpair()",
      'env = {**os.environ, "_FUSE_COMMFD": str(theirs.fileno())}',
      'subprocess.run(["fusermount3", *sys.argv[1:]], env=env, pass_fds=[theirs.fileno()])',
      "time.sleep(45)",
    ];
    await instead(`exec python3 -I -c '${script.join("\n")}' "$@"`);
    const abort = new AbortController();
    const mounting = place.mount({ signal: abort.signal });
    mounting.catch(() => {});
    await vi.waitFor(async () => expect(await mountAt(place.local)).toBeDefined(), { timeout: 5_000 });
    abort.abort();
    await expect(mounting).rejects.toMatchObject({ name: "AbortError" });
    expect(await mountAt(place.local)).toBeUndefined();
  });

  it("outlives who started it: that is said at once, and nothing is mounted later", async () => {
    await instead('sleep 2; exec fusermount3 "$@"');
    const mounting = place.mount();
    mounting.catch(() => {});
    const pid = await vi.waitFor(async () => {
      const found = (await runningFor(place.local)).find((each) => /^python3? .*socketpair/s.test(each));
      expect(await runningFor(place.local)).toContainEqual(expect.stringMatching(/^fusermount3 /));
      return Number(/ (\d+)$/.exec(found ?? "")?.[1]);
    });
    const began = performance.now();
    process.kill(pid, "SIGKILL");
    await expect(mounting).rejects.toMatchObject(failed(expect.stringContaining("its process ended (SIGKILL)")));
    expect(performance.now() - began).toBeLessThan(1_500);
    await sleep(2_500);
    expect(await mountAt(place.local)).toBeUndefined();
  });

  it("can't be run: why is said", async () => {
    await instead("exit 0", 0o644);
    // Where there is another in the path, that is taken.
    vi.stubEnv("PATH", await withPython(process.env["PATH"]!.split(delimiter)[0]!));
    await expect(place.mount()).rejects.toMatchObject(
      failed(expect.stringContaining("fusermount3 can't be run: Permission denied")),
    );
  });

  it("has nothing open but its streams and where it hands over", async () => {
    await instead(
      'n=0; for fd in /proc/$$/fd/*; do case "$(readlink $fd)" in socket:*) n=$((n+1));; esac; done; echo $n >&2; exit 1',
    );
    await expect(place.mount()).rejects.toMatchObject(failed(expect.stringMatching(/: 2$/)));
  });

  it("takes longer than anyone waits: that is said once, and nothing is mounted later", { timeout: 40_000 }, async () => {
    await instead('sleep 22; exec fusermount3 "$@"');
    const said: string[] = [];
    const log = (message: string): void => void said.push(message);
    const logger = { debug: () => {}, info: () => {}, warn: log, error: log, child: () => logger };
    const began = performance.now();
    await expect(place.mount({ logger })).rejects.toMatchObject(failed(expect.stringContaining("fusermount3 took more than 20 s")));
    expect(performance.now() - began).toBeLessThan(21_500);
    expect(said).toEqual([]);
    await sleep(3_000);
    expect(await mountAt(place.local)).toBeUndefined();
  });
});

/** Command lines, and process ids, of what was started for a mount at this path. */
async function runningFor(localPath: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = pids.map(async (pid) => {
    const argv = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    const name = (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim();
    return argv.some((each) => each.includes(localPath)) ? `${name} ${argv.join(" ")} ${pid}` : "";
  });
  return (await Promise.all(lines)).filter(Boolean);
}

/** A path to programs in which there is python3 besides. */
async function withPython(programs: string): Promise<string> {
  const { stdout } = await run("python3", ["-c", "import sys; print(sys.executable)"]);
  await writeFile(join(programs, "python3"), `#!/bin/sh\nexec ${stdout.trim()} "$@"\n`);
  await chmod(join(programs, "python3"), 0o755);
  return programs;
}
