import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findProgram } from "./program.ts";

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "shipside-program-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  return dir;
}

test("one that isn't installed is named with its package", async () => {
  const dir = await folder();
  await expect(findProgram("pasta", { path: `${dir}:relative` })).rejects.toMatchObject({
    code: "ROOTLESS_OUTSIDE_MISSING",
    message: "pasta is not installed",
    hint: expect.stringContaining("sudo apt install passt"),
  });
});

test("without the device, the error says so and what to do", async () => {
  const dir = await folder();
  const file = join(dir, "slirp4netns");
  await writeFile(file, "#!/bin/sh\necho '--cidr=CIDR' >&2; exit 1\n");
  // Not executable yet: not a program.
  await expect(findProgram("slirp4netns", { path: dir })).rejects.toMatchObject({ code: "ROOTLESS_OUTSIDE_MISSING" });
  await chmod(file, 0o755);
  await expect(findProgram("slirp4netns", { path: dir, tun: join(dir, "tun") })).rejects.toMatchObject({
    code: "ROOTLESS_OUTSIDE_FORBIDDEN",
    message: expect.stringMatching(/needs .*tun, which is not there/),
    hint: expect.stringContaining("--device /dev/net/tun"),
    cause: { code: "ENOENT" },
  });
  expect(await findProgram("slirp4netns", { path: dir, tun: file })).toEqual({ path: file, help: "--cidr=CIDR\n" });
});
