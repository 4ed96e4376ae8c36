import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { missingForMounts } from "../missing.ts";
import { mountAt } from "../mount-table.ts";
import { unmount } from "../unmount.ts";
import { FUSERMOUNT_PROGRAMS, withFusermount } from "./fusermount.ts";

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
