import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { findObstacle, whyNot } from "./obstacle.ts";

async function proc(files: Record<string, string>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "rootless-proc-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
  return dir;
}

const SAID = "unshare: unshare failed: Operation not permitted\n";
const failed = new Error("ended with 1");

it.each([
  ["kernel.unprivileged_userns_clone", "0", SAID],
  ["user.max_user_namespaces", "0", "unshare: unshare failed: No space left on device"],
  ["user.max_net_namespaces", "0", "unshare: unshare failed: No space left on device"],
  ["kernel.apparmor_restrict_unprivileged_userns", "1", "mount: /tmp: permission denied."],
])("%s = %s is named, with what allows it", async (rule, value, said) => {
  const dir = await proc({ [`sys/${rule.replace(".", "/")}`]: `${value}\n`, "self/status": "Seccomp:\t2\n" });
  expect(await whyNot(said, failed, dir)).toMatchObject({
    code: "ROOTLESS_FORBIDDEN",
    message: `this machine lets you make no namespaces: ${rule} is ${value}`,
    hint: expect.stringContaining(`sudo sysctl ${rule}=`),
    details: { rule, value },
    cause: failed,
  });
});

it("a seccomp filter is named where no rule forbids it", async () => {
  const filtered = await proc({ "sys/user/max_user_namespaces": "100\n", "self/status": "Seccomp:\t2\n" });
  expect(await whyNot(SAID, failed, filtered)).toMatchObject({ code: "ROOTLESS_FORBIDDEN", details: { rule: "seccomp" } });
  const free = await proc({ "self/status": "Seccomp:\t0\n" });
  expect(await whyNot(SAID, failed, free)).toMatchObject({
    code: "ROOTLESS_FORBIDDEN",
    message: expect.stringContaining("unshare failed: Operation not permitted"),
  });
});

it("a program that is missing, and anything else, is said as it is", async () => {
  const dir = await proc({});
  expect(await whyNot("sh: 3: ip: not found\n", failed, dir)).toMatchObject({
    code: "ROOTLESS_UNSUPPORTED",
    message: expect.stringContaining("no program ip"),
    hint: "install iproute2",
  });
  expect(await whyNot("the disk is on fire\n", failed, dir)).toMatchObject({
    code: "ROOTLESS_FAILED",
    message: expect.stringContaining("the disk is on fire"),
  });
});

it.runIf(process.platform === "linux")("a machine without unshare", async () => {
  expect(await findObstacle({ env: { PATH: "/nonexistent" }, proc: await proc({}) })).toMatchObject({
    code: "ROOTLESS_UNSUPPORTED",
    hint: "install util-linux",
  });
});
