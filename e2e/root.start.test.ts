import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseProcessStat } from "@shipside/core";
import { afterEach, describe, expect, test } from "vitest";
import { bin } from "./cli.harness.ts";
import { alive } from "./processes.ts";
import { canHaveMachine, has, inspect, type Machine, newMachine, until } from "./root.harness.ts";

let machine: Machine;
afterEach(async () => {
  await machine.run(["stop"]);
  await machine[Symbol.asyncDispose]();
});

const started = (stdout: string) =>
  JSON.parse(stdout) as { pid: number; helper: number | null; started: boolean; missing: string[] };

async function start(options?: Parameters<Machine["run"]>[1]): Promise<{ pid: number; helper: number }> {
  const { code, stdout, stderr } = await machine.run(["start", "--json"], options);
  expect(stderr).toContain("runs as root");
  expect(code).toBe(0);
  const { pid, helper } = started(stdout);
  return { pid, helper: helper! };
}

/** Writes the uid of each Node process that reads the user's NODE_OPTIONS, and how many certificates it has of the user's. */
async function spyOn(home: string): Promise<{ env: NodeJS.ProcessEnv; seen(): Promise<Set<string>> }> {
  const log = join(home, "seen");
  const spy = join(home, "spy.cjs");
  await writeFile(log, "");
  await machine.sh(`chmod 666 ${log}`);
  await writeFile(
    spy,
    `require("node:fs").appendFileSync(${JSON.stringify(log)}, process.getuid() + " " + require("node:tls").getCACertificates("extra").length + "\\n");`,
  );
  const certificate = join(home, "ca.pem");
  await machine.sh(
    `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null -subj /CN=test -out ${certificate} 2>&1`,
  );
  return {
    env: { NODE_OPTIONS: `--require=${spy}`, NODE_EXTRA_CA_CERTS: certificate },
    seen: async () => new Set((await readFile(log, "utf8")).trim().split("\n")),
  };
}

const OF_THE_USER = {
  KUBECONFIG: "/home/me/clusters:/etc/kube",
  HTTPS_PROXY: "http://proxy.example:3128",
  no_proxy: "10.0.0.0/8",
  AWS_PROFILE: "work",
  AWS_SESSION_TOKEN: "of my own",
  GOOGLE_APPLICATION_CREDENTIALS: "/home/me/key.json",
};

async function expectIsTheUsers(pid: number): Promise<Record<string, string>> {
  const { status, env } = await inspect(pid);
  const { uid, gid, groups } = machine;
  expect(status["Uid"]).toBe(Array(4).fill(uid).join("\t"));
  expect(status["Gid"]).toBe(Array(4).fill(gid).join("\t"));
  expect(status["Groups"]!.trim().split(" ").map(Number)).toEqual(groups);
  expect(groups.length).toBeGreaterThan(2);
  expect([status["CapPrm"], status["CapEff"], status["CapAmb"]]).toEqual(Array(3).fill("0".repeat(16)));
  expect(status["Umask"]).toBe("0077");
  return env;
}

describe.skipIf(!canHaveMachine)("root once", { timeout: 60_000 }, () => {
  test.skipIf(!has("sudo"))(
    "by sudo: the helper is root's with nothing of the user's, the daemon the user's with nothing of root's",
    async () => {
      machine = await newMachine({ sudo: true });
      const hosts = await machine.sh("md5sum /etc/hosts");
      const spy = await spyOn(machine.home);
      const { pid, helper } = await start({ env: { ...OF_THE_USER, ...spy.env } });

      const env = await expectIsTheUsers(pid);
      expect(env).toMatchObject({ ...OF_THE_USER, ...spy.env, HOME: machine.home });
      expect(Object.keys(env).filter((name) => /^SUDO_|ROOT/.test(name))).toEqual([]);
      // The user's NODE_OPTIONS and certificates: for every process of the user's, for none of root's.
      expect(await spy.seen()).toEqual(new Set([`${machine.uid} 1`]));

      const root = await inspect(helper);
      expect(root.status["Uid"]).toBe("0\t0\t0\t0");
      expect(root.title).toBe(`shipside helper for ${machine.name}`);
      expect(root.env).toEqual({});
      expect((await inspect(pid)).status["PPid"]).toBe(String(helper));

      const again = await machine.run(["start", "--json"]);
      expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining(`runs already (pid ${pid}`) });
      expect(started(again.stdout)).toEqual({ pid, helper, started: false, missing: [] });

      expect(await machine.run(["stop"])).toMatchObject({ code: 0, stderr: expect.stringContaining("everything is as it was") });
      expect([await alive(pid), await alive(helper)]).toEqual([false, false]);
      expect(await machine.sh("md5sum /etc/hosts")).toBe(hosts);
      expect(await machine.sh("ls /var/lib/shipside")).toBe("");
      expect(await machine.sh(`ls ${machine.home}/run ${machine.home}/state/shipside`)).not.toMatch(/sock|helper/);
      expect(await machine.run(["stop"])).toMatchObject({ code: 0, stderr: expect.stringContaining("no daemon runs") });
    },
  );

  test.skipIf(!has("doas"))("by doas, even where it keeps the caller's environment", async () => {
    machine = await newMachine({ doas: true });
    const spy = await spyOn(machine.home);
    const { pid, helper } = await start({ env: { ...OF_THE_USER, ...spy.env } });
    expect(await expectIsTheUsers(pid)).toMatchObject({ ...OF_THE_USER, ...spy.env });
    expect(await spy.seen()).toEqual(new Set([`${machine.uid} 1`]));
    expect((await inspect(helper)).status["Uid"]).toBe("0\t0\t0\t0");
  });

  test("by who is root already through sudo: the daemon is the user's, and what is root's stays root's", async () => {
    machine = await newMachine();
    const spy = await spyOn(machine.home);
    const bySudo = { SUDO_UID: String(machine.uid), SUDO_GID: String(machine.gid), SUDO_USER: machine.name };
    const { NODE_EXTRA_CA_CERTS: _certificates, ...options } = spy.env;
    const { pid } = await start({
      as: "root",
      env: {
        ...bySudo,
        ...options,
        KUBECONFIG: "/home/me/config",
        ROOTS_OWN: "secret",
        XDG_STATE_HOME: join(machine.home, "roots"),
      },
    });
    const env = await expectIsTheUsers(pid);
    expect(
      Object.keys(env)
        .filter((name) => !/^NODE_CHANNEL/.test(name))
        .sort(),
    ).toEqual(["HOME", "KUBECONFIG", "LOGNAME", "PATH", "SHELL", "USER"]);
    expect(env).toMatchObject({ HOME: machine.home, USER: machine.name, SHELL: "/bin/sh", KUBECONFIG: "/home/me/config" });
    // Only the command line itself, which root ran.
    expect(await spy.seen()).toEqual(new Set(["0 0"]));
    expect(await machine.run(["start"], { as: "root", env: bySudo })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`runs already`),
    });
    // Where the user's own command line finds it.
    const own = { XDG_STATE_HOME: "", XDG_RUNTIME_DIR: "" };
    expect(JSON.parse((await machine.run(["start", "--json"], { env: own })).stdout)).toMatchObject({ pid, started: false });
    expect(await machine.run(["stop"], { as: "root", env: bySudo })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`(pid ${pid})`),
    });
  });

  test("neither sudo nor doas: what it says to run, run by root to the letter, does it", async () => {
    machine = await newMachine();
    const failed = await machine.run(["start", "--json"], { env: { KUBECONFIG: "/home/me/a config" } });
    expect(failed.code).toBe(7);
    const { code, hint } = (JSON.parse(failed.stdout) as { error: { code: string; hint: string } }).error;
    expect(code).toBe("ROOT_UNAVAILABLE");
    const command = hint.split("\n").find((line) => line.startsWith("su root -c"))!;
    expect(command).toContain(bin);
    const said = await machine.sh(`${command} 2>&1`);
    const pid = Number(/daemon runs as shipside-\d+ in the background \(pid (\d+)\)/.exec(said)?.[1]);
    expect(await expectIsTheUsers(pid)).toMatchObject({ KUBECONFIG: "/home/me/a config" });
    const own = { XDG_STATE_HOME: "", XDG_RUNTIME_DIR: "" };
    expect(await machine.run(["stop"], { env: own })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("everything is as it was"),
    });
  });

  test.skipIf(!has("sudo"))("a password that nobody can be asked for is an error that says so", async () => {
    machine = await newMachine({ sudo: "asks" });
    const failed = await machine.run(["start", "--json"]);
    expect(failed.code).toBe(7);
    expect(JSON.parse(failed.stdout)).toMatchObject({
      error: {
        code: "ROOT_REFUSED",
        message: expect.stringMatching(/sudo gave no root: .*password/),
        hint: expect.stringContaining("in a terminal"),
      },
    });
    expect(await machine.sh(`ls ${machine.home}/run`)).toBe("");
  });

  test.skipIf(!has("sudo"))("asks on the terminal, and outlives it", async () => {
    machine = await newMachine({ sudo: "asks" });
    const child = machine.start([], {
      program: ["script", "--quiet", "--return", "--command", `${process.execPath} ${bin} start`, "/dev/null"],
    });
    let said = "";
    await new Promise<void>((resolve) => {
      child.stdout!.on("data", (chunk: Buffer) => {
        const asked = said.includes("password for");
        said += chunk;
        if (!asked && said.includes("password for")) child.stdin!.write(`${machine.password}\n`);
      });
      child.once("close", () => resolve());
    });
    expect(said).toMatch(/root is needed once, for .*hosts file.*: sudo may ask for your password/);
    const [helper, pid] = [...said.matchAll(/\(pid (\d+)\)/g)].map(([, number]) => Number(number));
    // Neither has a terminal, nor is it in a session that ends with one.
    for (const each of [pid!, helper!]) {
      const stat = parseProcessStat(await readFile(`/proc/${each}/stat`, "latin1"));
      expect(stat).toMatchObject({ session: helper, terminal: 0 });
    }
    expect(await machine.run(["stop"])).toMatchObject({ code: 0 });
  });

  test("--no-root: the daemon alone, and what is missing", async () => {
    machine = await newMachine({ sudo: true });
    const { code, stdout, stderr } = await machine.run(["start", "--no-root", "--json"]);
    expect(code).toBe(0);
    const { pid, helper, missing } = started(stdout);
    expect(helper).toBeNull();
    expect(missing.join()).toMatch(/hosts file.*ports below 1024/);
    expect(stderr).toContain("without root: no names in the hosts file");
    expect((await inspect(pid)).status["Uid"]).toContain(String(machine.uid));
    expect(await machine.run(["stop"])).toMatchObject({ code: 0 });
  });

  test("root itself needs no helper", async () => {
    machine = await newMachine();
    const env = { XDG_STATE_HOME: join(machine.home, "root-state"), XDG_RUNTIME_DIR: join(machine.home, "root-run") };
    const { stdout } = await machine.run(["start", "--json"], { as: "root", env });
    const { pid, helper, missing } = started(stdout);
    expect([helper, missing]).toEqual([null, []]);
    expect((await inspect(pid)).status["Uid"]).toContain("0");
    expect(await machine.run(["stop"], { as: "root", env })).toMatchObject({ code: 0 });
    expect(await alive(pid)).toBe(false);
  });

  test.skipIf(!has("sudo"))("whichever of the two is killed: the other ends or is ended, and the next start works", async () => {
    machine = await newMachine({ sudo: true });
    const first = await start();
    process.kill(first.pid, "SIGKILL");
    await until(async () => !(await alive(first.helper)));
    expect(await machine.run(["stop"])).toMatchObject({ code: 0, stderr: expect.stringContaining("no daemon runs") });

    const second = await start();
    process.kill(second.helper, "SIGKILL");
    await until(async () => !(await alive(second.helper)));
    const told = await machine.run(["start", "--json"]);
    expect(told).toMatchObject({ code: 0, stderr: expect.stringContaining("without root: no names in the hosts file") });
    expect(started(told.stdout)).toMatchObject({ pid: second.pid, helper: null, started: false });
    expect(await machine.run(["stop"])).toMatchObject({ code: 0, stderr: expect.stringContaining("everything is as it was") });
    expect(await alive(second.pid)).toBe(false);

    const third = await start();
    process.kill(third.helper, "SIGKILL");
    process.kill(third.pid, "SIGKILL");
    const fourth = await start();
    expect(await alive(fourth.helper)).toBe(true);
  });

  test.skipIf(!has("sudo"))("a helper that stands still without its daemon is not taken for one that serves", async () => {
    machine = await newMachine({ sudo: true });
    const { pid, helper } = await start();
    process.kill(helper, "SIGSTOP");
    process.kill(pid, "SIGKILL");
    const failed = await machine.run(["start", "--json"]);
    expect([failed.code, JSON.parse(failed.stdout).error.code]).toEqual([8, "HELPER_RUNNING"]);
    process.kill(helper, "SIGCONT");
    await until(async () => !(await alive(helper)));
    await start();
  });

  test.skipIf(!has("sudo"))("taken back by Ctrl-C while the daemon comes up: nothing runs afterwards", async () => {
    machine = await newMachine({ sudo: true });
    const slow = join(machine.home, "slow.cjs");
    await writeFile(
      slow,
      `if (process.argv.includes("--helper")) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);`,
    );
    const child = machine.start(["start"], { env: { NODE_OPTIONS: `--require=${slow}` } });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    await until(async () => (await machine.sh("cat /var/log/shipside-helper.log 2>/dev/null || true")).includes('"start"'));
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    const running = `ps -eo user:20,stat,args | grep -E '^${machine.name}|[s]hipside helper for ${machine.name}' | grep -v ' Z' || true`;
    await until(async () => (await machine.sh(running)) === "");
  });
});
