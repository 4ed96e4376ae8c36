import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { version } from "../../version.ts";
import type { Check } from "../check.ts";
import type { DoctorOptions } from "../context.ts";
import { type DoctorLine, runDoctor } from "../run.ts";
import { fileLimit } from "./file-limit.ts";
import { fuse } from "./fuse.ts";
import { hostsFile } from "./hosts-file.ts";
import { names } from "./names.ts";
import { outsideWorld } from "./outside-world.ts";
import { pool } from "./pool.ts";
import { processes } from "./processes.ts";
import { proxies } from "./proxies.ts";
import { residue } from "./residue.ts";
import { routes } from "./routes.ts";
import { userNamespaces } from "./user-namespaces.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-doctor-"));
});
afterEach(() => rm(dir, { recursive: true }));

async function put(path: string, text: string): Promise<string> {
  const file = join(dir, path);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, text);
  return file;
}

async function look(check: Check, options: DoctorOptions = {}): Promise<DoctorLine[]> {
  const places = { stateDir: join(dir, "state"), runtimeDir: join(dir, "run"), kubeconfig: join(dir, "none") };
  return (await runDoctor({ ...places, ...options }, [check])).lines;
}

const texts = (lines: readonly DoctorLine[]): string[] => lines.map(({ level, text }) => `${level}: ${text}`);

describe("hosts file", () => {
  test("ours, a line that contradicts it, and a localhost that is elsewhere", async () => {
    const hostsPath = await put(
      "hosts",
      [
        "::1 localhost",
        "10.0.0.1 Leaf.shop other # by hand",
        "# >>> shipside:one >>>",
        "127.72.1.1 leaf leaf.shop # shipside:one",
        "# <<< shipside:one <<<",
        "",
      ].join("\n"),
    );
    expect(texts(await look(hostsFile, { hostsPath }))).toEqual([
      `ok: ${hostsPath} can be written`,
      "ok: 1 line of ours (one)",
      "warning: leaf.shop is 10.0.0.1 by line 2 and 127.72.1.1 by ours",
      "warning: localhost is ::1 and not 127.0.0.1",
    ]);
  });

  test("none, one that is a folder, a very large one", async () => {
    const hostsPath = join(dir, "gone");
    expect(texts(await look(hostsFile, { hostsPath }))).toEqual([`problem: ${hostsPath} does not exist`]);
    expect(texts(await look(hostsFile, { hostsPath: dir }))[0]).toMatch(/^problem: .* can't be read: EISDIR/);
    const large = await put("large", `127.0.0.1 localhost\n${"0.0.0.0 ads.example.com\n".repeat(60_000)}`);
    expect(texts(await look(hostsFile, { hostsPath: large })).at(-1)).toMatch(/^warning: it has 1\d{3} KiB/);
  });

  test("one that this user may not write", async () => {
    await put("hosts", "127.0.0.1 localhost\n");
    await chmod(dir, 0o755);
    const lines = await asUser(hostsFile, { hostsPath: join(dir, "hosts") }, { uid: 65534, gid: 65534 });
    expect(texts(lines)[0]).toMatch(/^warning: .* can't be written by this user/);
  });
});

/** What a check says in a process of another user, or within other limits. */
async function asUser(
  check: Check,
  options: DoctorOptions,
  { before = "", ...user }: { uid?: number; gid?: number; before?: string },
): Promise<DoctorLine[]> {
  const here = pathToFileURL(fileURLToPath(new URL("..", import.meta.url))).href;
  const program = `
    const { runDoctor } = await import(${JSON.stringify(`${here}run.ts`)});
    const { CHECKS } = await import(${JSON.stringify(`${here}checks.ts`)});
    const wanted = CHECKS.filter(({ id }) => id === ${JSON.stringify(check.id)});
    console.log(JSON.stringify(await runDoctor(${JSON.stringify({ kubeconfig: "/nonexistent", stateDir: "/nonexistent", ...options })}, wanted)));`;
  const args = ["--conditions=@shipside/source", "--input-type=module", "-e", program];
  const root = process.getuid?.() === 0 ? user : {};
  const { stdout } = await promisify(execFile)("/bin/sh", ["-c", `${before} exec "$@"`, "sh", process.execPath, ...args], {
    ...root,
    cwd: "/",
    env: { PATH: process.env["PATH"], HOME: "/nonexistent" },
  });
  return (JSON.parse(stdout) as { lines: DoctorLine[] }).lines;
}

describe("open files", () => {
  test.each([
    [200, "problem"],
    [600, "warning"],
    [4_000, "ok"],
  ])("under ulimit -n %i", async (limit, level) => {
    const lines = await asUser(fileLimit, {}, { before: `ulimit -n ${limit};` });
    expect(lines).toMatchObject([{ level, details: { limit } }]);
  });
});

describe("name resolution", () => {
  test("a name that stands in the hosts file and programs don't find", async () => {
    const hostsPath = await put("hosts", "127.72.1.1 only-here.shipside-test.invalid # shipside:x\n");
    expect(texts(await look(names, { hostsPath }))).toContainEqual(
      expect.stringMatching(/^problem: only-here.* stands in .* and programs don't find it/),
    );
  });

  test("a name that programs find elsewhere", async () => {
    const hostsPath = await put("hosts", "127.72.1.1 localhost\n");
    expect(texts(await look(names, { hostsPath }))).toContainEqual(
      expect.stringMatching(/^problem: localhost is 127\.0\.0\.1 to programs/),
    );
  });

  test.each([
    ["hosts: dns files", /^warning: .* asks dns before the hosts file/],
    ["hosts: mymachines resolve [!UNAVAIL=return] files dns", /^warning: .* asks resolve before/],
    ["passwd: files\nhosts: dns # files", /^problem: .* doesn't name the hosts file/],
  ])("nsswitch.conf with %j", async (text, says) => {
    await put("etc/nsswitch.conf", `${text}\n`);
    const lines = await look(names, { root: dir, platform: "linux" });
    expect(texts(lines)[0]).toMatch(says);
  });

  test("files first is well", async () => {
    await put("etc/nsswitch.conf", "hosts: files mdns4_minimal [NOTFOUND=return] dns\n");
    expect((await look(names, { root: dir, platform: "linux" })).filter(({ level }) => level !== "ok")).toEqual([]);
  });
});

describe("address pool", () => {
  let stranger: ChildProcess | undefined;
  afterEach(async () => {
    if (!stranger) return;
    stranger.kill();
    await once(stranger, "exit");
    stranger = undefined;
  });

  test("its addresses carry bytes, and the state file says how many are taken", async () => {
    await put(
      "state/addresses.json",
      JSON.stringify({ version: 1, addresses: { "127.99.0.0/16 a": "127.99.0.1", "other b": "1.1.1.1" } }),
    );
    expect(texts(await look(pool, { cidr: "127.99.0.0/16" }))[0]).toBe("ok: 127.99.0.0/16: 1 address of 65024 belong to services");
  });

  test("addresses that this machine hasn't", async () => {
    const [line] = await look(pool, { cidr: "192.0.2.0/24" });
    expect(line).toMatchObject({ level: "problem", details: { code: "EADDRNOTAVAIL" } });
  });

  test("nearly used up", async () => {
    const addresses = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`127.99.0.16/28 ${i}`, `127.99.0.${16 + i}`]));
    await put("state/addresses.json", JSON.stringify({ version: 1, addresses }));
    await put(
      "state/addresses.json",
      JSON.stringify({ version: 1, addresses: { ...addresses, "127.99.0.16/28 x": "127.99.0.30" } }),
    );
    expect(texts(await look(pool, { cidr: "127.99.0.16/28" }))).toContain("warning: few addresses are left");
  });

  test("who else listens on one", async () => {
    const program = "require('net').createServer().listen(0, '127.98.3.4', function () { console.log(this.address().port) })";
    stranger = spawn(process.execPath, ["-e", program], { cwd: "/", stdio: ["ignore", "pipe", "inherit"] });
    const [port] = await once(stranger.stdout!, "data");
    expect(await look(pool, { cidr: "127.98.0.0/16" })).toContainEqual(
      expect.objectContaining({
        level: "warning",
        text: expect.stringContaining(`(pid ${stranger.pid}) listens on 127.98.3.4:${String(port).trim()}`),
      }),
    );
  });

  test("a range that is none", async () => {
    expect(await look(pool, { cidr: "127.0.0.1/99" })).toMatchObject([{ level: "problem", details: { code: "POOL_INVALID" } }]);
  });
});

describe("routes", () => {
  const header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
  test.each([
    // 127.72.0.0/16, 127.0.0.0/8, 127.72.5.0/24 over a VPN; then the default route, another network, and loopback's own.
    ["tun0\t0000487F\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0", "127.72.0.0/16"],
    ["wg0\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0", "127.0.0.0/8"],
    ["wg0\t0005487F\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0", "127.72.5.0/24"],
    ["eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0", undefined],
    ["eth0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0", undefined],
    ["lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0", undefined],
  ])("%j", async (row, covers) => {
    await put("proc/net/route", `${header}${row}\n`);
    const lines = await look(routes, { root: dir, platform: "linux" });
    expect(lines).toMatchObject([covers ? { level: "warning", details: { destination: covers } } : { level: "ok" }]);
  });
});

describe("proxies", () => {
  test("one that would take the services' requests, its password unsaid", async () => {
    const lines = await look(proxies, { env: { HTTP_PROXY: "http://me:hunter2@proxy:3128", NO_PROXY: "localhost" } });
    expect(lines).toMatchObject([
      { level: "warning", hint: "add to NO_PROXY: 127.0.0.0/8,.svc,.cluster.local and the services' short names" },
    ]);
    expect(JSON.stringify(lines)).not.toContain("hunter2");
  });

  test.each([
    {},
    { https_proxy: "http://p:1", no_proxy: "*" },
    { HTTP_PROXY: "p:1", NO_PROXY: "127.0.0.0/8,localhost,.svc,*.cluster.local" },
  ])("well: %j", async (env) => {
    expect((await look(proxies, { env })).map(({ level }) => level)).toEqual(["ok"]);
  });
});

describe("FUSE", () => {
  const user = { uid: 65534, gid: 65534 };
  const where = (path: string): DoctorOptions => ({ root: dir, platform: "linux", env: { PATH: path } });
  const programs = async (...names: string[]): Promise<void> => {
    await chmod(await put("dev/fuse", ""), 0o666);
    for (const name of names) await chmod(await put(`bin/${name}`, ""), 0o755);
    for (const folder of [dir, join(dir, "dev"), join(dir, "bin")]) await chmod(folder, 0o755);
  };

  test("no device, no programs", async () => {
    await chmod(dir, 0o755);
    expect(texts(await asUser(fuse, where("/nonexistent"), user))).toEqual([
      expect.stringMatching(/no \/dev\/fuse/),
      expect.stringMatching(/fusermount3 is not in PATH/),
      expect.stringMatching(/neither python3 nor sshfs is in PATH/),
    ]);
  });

  test.each(["sshfs", "python3"])("all there, with %s; and no word on another system", async (program) => {
    await programs("fusermount3", program);
    const found = texts(await asUser(fuse, where(join(dir, "bin")), user));
    expect(found).toEqual([`ok: /dev/fuse, ${join(dir, "bin/fusermount3")} and ${join(dir, "bin", program)}`]);
    expect(await look(fuse, { platform: "darwin" })).toEqual([]);
  });

  test.skipIf(process.getuid!() !== 0)("root needs neither", async () => {
    await programs("mount");
    expect(texts(await look(fuse, where(join(dir, "bin"))))).toEqual([`ok: /dev/fuse and ${join(dir, "bin/mount")}`]);
    expect(texts(await look(fuse, where("/nonexistent")))).toEqual([expect.stringMatching(/^warning: mount is not in PATH/)]);
  });
});

describe("user namespaces", () => {
  test("forbidden, and by which switch", async () => {
    await chmod(await put("bin/unshare", "#!/bin/sh\nexit 1\n"), 0o755);
    await put("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    const lines = await look(userNamespaces, { root: dir, platform: "linux", env: { PATH: `${join(dir, "bin")}:/bin:/usr/bin` } });
    expect(lines).toMatchObject([
      {
        level: "warning",
        text: expect.stringContaining("kernel.apparmor_restrict_unprivileged_userns is 1"),
        hint: expect.stringMatching(/sysctl/),
      },
    ]);
  });

  test("unshare isn't there", async () => {
    expect(await look(userNamespaces, { platform: "linux", env: { PATH: "/nonexistent" } })).toMatchObject([
      { level: "warning", hint: "install util-linux" },
    ]);
  });
});

describe("the outside world", () => {
  const on = (): DoctorOptions => ({ root: dir, platform: "linux", env: { PATH: `${join(dir, "bin")}:/nonexistent` } });

  test("nothing carries it, and which package would", async () => {
    expect(await look(outsideWorld, on())).toMatchObject([
      {
        level: "warning",
        text: expect.stringMatching(/through an HTTP proxy alone: pasta is not installed; slirp4netns is not installed$/),
        hint: expect.stringContaining("apt install passt"),
      },
    ]);
  });

  test("what is installed lacks its device; and has it", async () => {
    await chmod(await put("bin/slirp4netns", "#!/bin/sh\n"), 0o755);
    expect(await look(outsideWorld, on())).toMatchObject([
      { level: "warning", text: expect.stringContaining("slirp4netns needs"), hint: expect.stringContaining("/dev/net/tun") },
    ]);
    await put("dev/net/tun", "");
    expect(texts(await look(outsideWorld, on()))).toEqual([expect.stringMatching(/^ok: slirp4netns is there/)]);
    expect(await look(outsideWorld, { platform: "darwin" })).toEqual([]);
  });
});

describe("daemon", () => {
  async function answering(hello: object, answers: Record<string, unknown> = {}): Promise<AsyncDisposable> {
    await mkdir(join(dir, "run"), { mode: 0o700, recursive: true });
    const server = createServer((socket) => {
      socket.on("error", () => {}).write(`${JSON.stringify({ shipside: { protocol: 1, pid: 4711, kind: "daemon", ...hello } })}\n`);
      socket.on("data", (data) => {
        const { id, method } = JSON.parse(String(data)) as { id: number; method: string };
        socket.write(`${JSON.stringify({ id, result: answers[method] ?? (method === "helper" ? null : []) })}\n`);
      });
    }).listen(join(dir, "run", "control.sock"));
    await once(server, "listening");
    return {
      async [Symbol.asyncDispose]() {
        server.close();
      },
    };
  }

  test("of this version, of another one, of another protocol", async () => {
    for (const [hello, says] of [
      [{ version }, /^ok: the daemon \(pid 4711, .*\) answers: 0 sessions/],
      [{ version: "0.0.1-other" }, /^warning: .* is version 0\.0\.1-other, this is/],
      [{ version: "9", protocol: 99 }, /^problem: the daemon that runs .* newer protocol 99/],
    ] as const) {
      await using _server = await answering(hello);
      expect(texts(await look(processes))[0]).toMatch(says);
    }
  });

  test("its helper: there, of another version, and gone", async () => {
    for (const [helper, says] of [
      [{ pid: 12, running: true }, /^ok: its helper .* runs as root \(pid 12\)/],
      [{ pid: 12, running: true, version }, /^ok: its helper .* runs as root \(pid 12, 0\.\S+\)/],
      [{ pid: 12, running: true, version: "0.0.0-old" }, /^warning: its helper .*0\.0\.0-old\), and the daemon is version 0/],
      [{ pid: 12, running: false }, /^problem: its helper \(pid 12\) has ended/],
    ] as const) {
      await using _server = await answering({ version }, { helper });
      expect(texts(await look(processes))[1]).toMatch(says);
    }
  });

  test("something else that listens there", async () => {
    await mkdir(join(dir, "run"), { mode: 0o700 });
    const server = createServer((socket) => void socket.on("error", () => {}).end("HTTP/1.1 400\r\n\r\n")).listen(
      join(dir, "run", "control.sock"),
    );
    await once(server, "listening");
    expect((await look(processes))[0]).toMatchObject({ level: "problem", details: { code: "DAEMON_PROTOCOL" } });
    server.close();
  });
});

describe("residue", () => {
  test("what a process that is gone has left", async () => {
    const left = await put("shipside-run-aaaa-x/behind", "");
    // As a process wrote it that was killed, before this machine was started.
    const lines = [
      { run: "aaaa", process: "another-boot.0.4711.1" },
      { op: "make", id: "1", kind: "directory", data: { path: dirname(left) } },
    ];
    await put("state/journal/gone.jsonl", lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const [line] = await look(residue);
    expect(line).toMatchObject({ level: "warning", hint: expect.stringMatching(/shipside clean/) });
    expect(await readFile(left, "utf8")).toBe("");
  });

  test("nothing", async () => {
    expect(texts(await look(residue))).toEqual(["ok: nothing was left behind"]);
  });
});
