import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
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

/** Has unshare(2) fail with EPERM, as a container's filter has it, and runs its arguments: by the numbers of prctl and unshare. */
const forbid = (prctl: number, unshare: number): string => `
  my $filter = pack("SCCL" x 4, 0x20, 0, 0, 0,  0x15, 0, 1, ${unshare},  0x06, 0, 0, 0x50001,  0x06, 0, 0, 0x7fff0000);
  syscall(${prctl}, 38, 1, 0, 0, 0) == 0 or die $!;
  syscall(${prctl}, 22, 2, pack("S x6 P", 4, $filter)) == 0 or die $!;
  exec @ARGV;`;
const FORBID_UNSHARE: Partial<Record<string, string>> = { x64: forbid(157, 272), arm64: forbid(167, 97) };

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

/** What `findObstacle` says in a process of its own that is started so. */
async function findAs(program: string, ...args: string[]): Promise<unknown> {
  const look = `const { findObstacle } = await import(process.argv[1]);
    const { code, details, message } = (await findObstacle()) ?? {};
    console.log(JSON.stringify({ code, rule: details?.rule, message }));`;
  const module = fileURLToPath(new URL("./obstacle.ts", import.meta.url));
  const node = [process.execPath, "--conditions=@shipside/source", "--input-type=module", "-e", look, module];
  const { stdout } = await promisify(execFile)(program, [...args, ...node]);
  return JSON.parse(stdout);
}

// A user namespace has limits of its own, and root in it may set them (namespaces(7)).
describe.runIf(process.platform === "linux" && (await findObstacle()) === undefined)("the kernel's own refusal", () => {
  it.each(["user", "net", "mnt", "pid", "uts"])("user.max_%s_namespaces = 0 is named", async (kind) => {
    const script = `echo 0 > /proc/sys/user/max_${kind}_namespaces; exec "$@"`;
    expect(await findAs("unshare", "-Ur", "sh", "-c", script, "sh")).toEqual({
      code: "ROOTLESS_FORBIDDEN",
      rule: `user.max_${kind}_namespaces`,
      message: `this machine lets you make no namespaces: user.max_${kind}_namespaces is 0`,
    });
  });

  it("so is a limit that is used up, though only the command's own would be above it", async () => {
    const script = `echo 1 > /proc/sys/user/max_user_namespaces; exec "$@"`;
    expect(await findAs("unshare", "-Ur", "sh", "-c", script, "sh")).toEqual({
      code: "ROOTLESS_FORBIDDEN",
      rule: "user.max_user_namespaces",
      message: "this machine lets you make no more namespaces: a limit is used up",
    });
  });

  it.runIf(existsSync("/usr/bin/perl") && process.arch in FORBID_UNSHARE)("so is a seccomp filter", async () => {
    expect(await findAs("perl", "-e", FORBID_UNSHARE[process.arch]!)).toMatchObject({
      ...{ code: "ROOTLESS_FORBIDDEN", rule: "seccomp" },
      message: "this machine lets you make no namespaces: a seccomp filter, such as a container's, forbids it",
    });
  });
});

it.runIf(process.platform === "linux")("a machine without unshare", async () => {
  expect(await findObstacle({ env: { PATH: "/nonexistent" }, proc: await proc({}) })).toMatchObject({
    code: "ROOTLESS_UNSUPPORTED",
    hint: "install util-linux",
  });
});
