import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, duplexPair } from "node:stream";
import { silentLogger } from "@shipside/core";
import { openRootless, whyNotRootless } from "@shipside/daemon/rootless";
import { serveFiles } from "@shipside/relay";
import { mountFuse } from "@shipside/volumes";
import { describe, expect, onTestFinished, test, vi } from "vitest";

// A drive that is mounted inside, and what is done to the command's file system after that.

const canHaveDrive =
  (await whyNotRootless()) === undefined &&
  (await access("/dev/fuse", constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  ));

describe.runIf(canHaveDrive)("a drive in a command's namespaces", () => {
  test("its streams are found again when they were cut, though the command has another root by then, and another /tmp", async () => {
    const base = await mkdtemp(join(tmpdir(), "shipside-drive-"));
    onTestFinished(() => rm(base, { recursive: true }));
    const remotePath = join(base, "volume");
    const localPath = join(base, "root/no-such-top/data");
    const work = join(base, "root/tmp");
    for (const each of [remotePath, localPath, join(work, "settings")]) await mkdir(each, { recursive: true });
    await writeFile(join(work, "settings/level"), "debug\n");
    await writeFile(join(remotePath, "row"), "there\n");
    const streams: Duplex[] = [];
    const open = async (): Promise<Duplex> => {
      const [near, far] = duplexPair();
      void serveFiles(far, { roots: [remotePath] });
      streams.push(near);
      return near;
    };
    await using rootless = await openRootless();
    await using _drive = await mountFuse({
      ...{
        name: "shop/data",
        localPath,
        remotePath,
        readOnly: false,
        open,
        signal: AbortSignal.timeout(60_000),
        logger: silentLogger,
      },
      enter: rootless.hostOptions.mountInside!,
    });
    const about = { kind: "persistentVolumeClaim", readOnly: false, by: "fuse", updates: "live" as const, since: "" };
    const volumes = [
      { ...about, volume: "work", localPath: work, mountPath: "/tmp" },
      { ...about, volume: "data", localPath, mountPath: "/no-such-top/data" },
      { ...about, volume: "settings", localPath: join(work, "settings"), mountPath: "/tmp/settings", readOnly: true },
    ];
    expect(await rootless.show({ dir: join(base, "root"), container: "main", drivers: [], volumes, obstacles: [] })).toEqual([]);
    const run = async (script: string): Promise<number> => {
      const command = await rootless.run({ command: ["sh", "-c", script], env: process.env, cwd: "/" });
      return command.exited;
    };
    expect(await run("cp /no-such-top/data/row /tmp/row && echo here > /no-such-top/data/row")).toBe(0);
    expect(await readFile(join(work, "row"), "utf8")).toBe("there\n");
    expect(await run("grep -q debug /tmp/settings/level && ! touch /tmp/settings/level && echo own > /tmp/own")).toBe(0);
    expect(await readFile(join(work, "own"), "utf8")).toBe("own\n");
    expect(streams).toHaveLength(1);
    streams[0]!.destroy();
    await vi.waitFor(async () => expect(await run("echo again > /no-such-top/data/row")).toBe(0), {
      timeout: 10_000,
      interval: 100,
    });
    expect(await readFile(join(remotePath, "row"), "utf8")).toBe("again\n");
    expect(streams).toHaveLength(2);
  }, 30_000);
});
