import { execFile, execFileSync } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newUser, type User } from "./cli.harness.ts";

const SOMEBODY_ELSE = 65_533;
const asRoot = process.platform === "linux" && process.getuid?.() === 0;

let user: User;
beforeEach(async () => {
  user = await newUser();
});
afterEach(() => user[Symbol.asyncDispose]());

/** Local addresses of the sockets of a process that take connections or datagrams of the network. */
async function openPorts(pid: number): Promise<string[]> {
  const fds = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")));
  const inodes = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  const ports: string[] = [];
  for (const table of ["tcp", "tcp6", "udp", "udp6"]) {
    for (const line of (await readFile(`/proc/net/${table}`, "utf8")).trim().split("\n").slice(1)) {
      const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
      if (inodes.has(inode) && (state === "0A" || table.startsWith("udp"))) ports.push(`${table} ${local}`);
    }
  }
  return ports;
}

describe.runIf(asRoot)("a daemon", { timeout: 60_000 }, () => {
  test("is on no port that a web page could reach, and its socket is for its user alone; ps says what it is", async () => {
    const started = await user.run(["start", "--no-root", "--json"]);
    expect(started.code, started.stderr).toBe(0);
    const { pid } = JSON.parse(started.stdout) as { pid: number };
    try {
      expect(await openPorts(pid)).toEqual([]);
      expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).toMatch(/^shipside daemon\0*$/);

      const socket = join(user.home, "run", "shipside", "control.sock");
      execFileSync("chmod", ["755", user.home, join(user.home, "run")]);
      const connect = `require("node:net").connect(${JSON.stringify(socket)}).on("connect", () => console.log("in")).on("error", (e) => console.log(e.code)).on("connect", () => process.exit())`;
      const by = async (uid: number): Promise<string> =>
        (await promisify(execFile)(process.execPath, ["-e", connect], { uid, gid: uid, cwd: "/" })).stdout.trim();
      expect(await by(SOMEBODY_ELSE)).toBe("EACCES");
      // The same by the user shows that it can be reached.
      expect(await by(65_534)).toBe("in");
    } finally {
      expect((await user.run(["stop"])).code).toBe(0);
    }
  });
});

test("no file that is built, or that a start leaves, is set-UID or set-GID", async () => {
  const started = await user.run(["start", "--no-root", "--json"]);
  expect(started.code, started.stderr).toBe(0);
  try {
    const root = new URL("..", import.meta.url).pathname;
    const packages = (await readdir(join(root, "packages"))).map((name) => join(root, "packages", name, "dist"));
    const find = await promisify(execFile)("find", [...packages, user.home, "-type", "f", "-perm", "/6000"]).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    expect(find.stdout).toBe("");
  } finally {
    expect((await user.run(["stop"])).code).toBe(0);
  }
});
