import { copyFile, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { startCluster } from "@shipside/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { bin } from "./cli.harness.ts";
import { alive } from "./processes.ts";
import { canHaveMachine, has, inspect, type Machine, newMachine, until } from "./root.harness.ts";

let machine: Machine;
afterEach(() => machine[Symbol.asyncDispose]());

/** As a login has it. */
let env: { XDG_RUNTIME_DIR: string } & NodeJS.ProcessEnv;
let folder: string;
let service: string;
let unit: string;

async function boot(): Promise<void> {
  machine = await newMachine({ sudo: true, systemd: true });
  const { uid } = machine;
  env = { XDG_RUNTIME_DIR: `/run/user/${uid}`, AWS_PROFILE: "work", AWS_SECRET_ACCESS_KEY: "of mine" };
  folder = `/usr/local/lib/shipside/${uid}`;
  service = `shipside-${uid}.service`;
  unit = `/etc/systemd/system/${service}`;
}

/** Where programs and settings of the machine are, with their rights and content. */
const snapshot = (): Promise<string> =>
  machine.sh("find /etc /usr/local -printf '%p %M %u %g %l\\n' | sort; find /etc /usr/local -type f -exec md5sum {} + | sort");

const pidOf = async (): Promise<number> => Number(await machine.sh("cat /mnt/main.pid"));

async function daemonOf(helper: number): Promise<number> {
  let pid = 0;
  await until(async () => {
    pid = Number(await machine.sh(`ps -o pid= --ppid ${helper} || true`));
    return pid > 0 && (await inspect(pid)).title === "shipside daemon" && (await machine.run(["stop", "--help"])).code === 0;
  });
  await until(async () => (await machine.run(["start", "--json"], { env })).stdout.includes(`"pid": ${pid}`));
  return pid;
}

describe.skipIf(!canHaveMachine || !has("sudo"))("at boot", { timeout: 60_000 }, () => {
  test("--install: root runs nothing at boot that anybody else could change; --uninstall leaves nothing", async () => {
    await boot();
    const before = await snapshot();
    // A Node of the user's own, as version managers install it.
    const own = `${machine.home}/node`;
    await machine.sh(`cp ${process.execPath} ${own} && chown ${machine.uid} ${own}`);
    const program = [own, bin];

    const installed = await machine.run(["start", "--install", "--json"], { env, program });
    expect(installed.stderr).toContain("not kept for the boot, as they look like secrets: AWS_SECRET_ACCESS_KEY");
    expect(installed.code).toBe(0);
    const { pid, ...said } = JSON.parse(installed.stdout);
    expect(said).toEqual({
      folder,
      definition: unit,
      name: service,
      nodeCopied: true,
      leftOut: ["AWS_SECRET_ACCESS_KEY"],
    });
    const calls = (await machine.sh("cat /mnt/calls")).split("\n");
    expect(calls.filter((call) => !call.includes("show-user"))).toEqual([
      `loginctl enable-linger ${machine.uid}`,
      "systemctl daemon-reload",
      `systemctl enable ${service}`,
      `systemctl start ${service}`,
    ]);

    const helper = await pidOf();
    expect((await inspect(helper)).status["Uid"]).toBe("0\t0\t0\t0");
    expect(await machine.sh(`readlink /proc/${helper}/exe`)).toBe(`${folder}/node`);
    const daemon = await inspect(pid);
    expect(daemon.status["PPid"]).toBe(String(helper));
    expect(daemon.status["Uid"]).toBe(Array(4).fill(machine.uid).join("\t"));
    expect(daemon.status["Groups"]!.trim().split(" ").map(Number)).toEqual(machine.groups);
    expect(daemon.env).toMatchObject({ HOME: machine.home, AWS_PROFILE: "work", XDG_RUNTIME_DIR: env.XDG_RUNTIME_DIR });
    expect(JSON.stringify(daemon.env)).not.toContain("of mine");

    expect(await machine.sh(`find ${unit} /usr/local/lib '(' ! -user root -o -perm /022 ')' -printf '%p %M\\n'`)).toBe("");
    expect(await machine.sh(`stat -c %a ${folder}/start.json; cat ${folder}/start.json`)).toMatch(/^600\n(?!.*of mine)/);
    expect(await machine.sh(`find /etc /usr/local /var/lib /run ${machine.home} -type f -perm /6000`)).toBe("");
    // Nothing of it looks anything up elsewhere.
    expect(await machine.sh(`grep -hoE 'from "[^"]+"' ${folder}/*/*.js | grep -vE '"(node:)?[a-z_]+(/promises)?"' || true`)).toBe(
      "",
    );

    expect(await machine.run(["start", "--install", "--json"], { env, program })).toMatchObject({ code: 0 });
    expect(await machine.run(["start", "--uninstall", "--json"], { env, program })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"uninstalled": true'),
    });
    expect([await alive(helper), await alive(pid)]).toEqual([false, false]);
    expect(await snapshot()).toBe(before);
    expect((await machine.sh("cat /mnt/calls")).split("\n").slice(-3)).toEqual([
      `systemctl disable --now ${service}`,
      "systemctl daemon-reload",
      `loginctl disable-linger ${machine.uid}`,
    ]);
    expect(await machine.run(["start", "--uninstall"], { env })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("was not set up to start at boot"),
    });
  });

  test("a boot starts it, `stop` ends it, and a daemon that crashes ends the service as failed", async () => {
    await boot();
    expect(await machine.run(["start", "--install"], { env })).toMatchObject({ code: 0 });
    // Root's own Node is used where it lies, if nobody else could put another there.
    expect(/^node$/m.test(await machine.sh(`ls ${folder}`))).toBe(await othersCouldChange(await realpath(process.execPath)));
    expect(await machine.run(["stop"], { env })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("everything is as it was"),
    });

    // All that a boot takes away.
    await machine.sh(`rm -rf /run/user/${machine.uid}/* && systemctl start ${service}`);
    const helper = await pidOf();
    const pid = await daemonOf(helper);
    const status = await machine.run(["status", "--json"], { env });
    expect(JSON.parse(status.stdout).processes[0]).toMatchObject({ pid, kind: "daemon" });
    expect(await machine.run(["start", "--json"], { env })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`"helper": ${helper}`),
    });
    process.kill(helper, "SIGTERM");
    await until(async () => !(await alive(helper)) && !(await alive(pid)));

    const run = `$(sed -n 's/^ExecStart=//p' ${unit}) < ${folder}/start.json > /dev/null`;
    const crashed = machine.sh(`${run}; echo $?`);
    await until(async () => (await machine.run(["start", "--json"], { env })).stdout.includes('"started": false'));
    const { pid: victim } = JSON.parse((await machine.run(["start", "--json"], { env })).stdout);
    process.kill(victim, "SIGKILL");
    expect(await crashed).not.toBe("0");
  });

  test("a reboot: the boot undoes what the one before has left, the session's files and names too", async () => {
    await boot();
    await machine.sh("echo 01234567-0000 > /mnt/boot && mount --bind /mnt/boot /proc/sys/kernel/random/boot_id");
    const { uid, home } = machine;
    await using cluster = await startCluster({ node: false, controllers: false });
    await cluster.apply([
      { apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "default" }, spec: { ports: [{ port: 43_191 }] } },
      {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "web", namespace: "default" },
        spec: {
          selector: { matchLabels: { app: "web" } },
          template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "node" }] } },
        },
      },
    ]);
    await copyFile(cluster.kubeconfigPath, `${home}/kubeconfig`);
    await machine.sh(`chown ${uid} ${home}/kubeconfig`);
    expect(await machine.run(["start", "--install"], { env })).toMatchObject({ code: 0 });
    const hosts = await machine.sh("md5sum < /etc/hosts");
    const opened = await machine.run(["teleport", "deploy/web", "-k", `${home}/kubeconfig`, "-f", `${home}/web.env`], { env });
    expect(opened.code, opened.stderr).toBe(0);
    expect(await machine.sh("cat /etc/hosts")).toMatch(/127\.\S+ web /);
    expect(await machine.sh(`ls ${home}`)).toContain("web.env");

    const before = await pidOf();
    const daemon = await daemonOf(before);
    for (const pid of [before, daemon]) process.kill(pid, "SIGKILL");
    await until(async () => !(await alive(before)) && !(await alive(daemon)));
    expect(await machine.sh("md5sum < /etc/hosts")).not.toBe(hosts);
    await machine.sh(`rm -rf /run/user/${uid}/*; echo 89abcdef-0000 > /mnt/boot; systemctl start ${service}`);
    await daemonOf(await pidOf());
    await until(
      async () => (await machine.sh("md5sum < /etc/hosts")) === hosts && !(await machine.sh(`ls ${home}`)).includes("web.env"),
    );
    expect(await machine.run(["clean"], { env })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("nothing was left behind"),
    });
    expect(await machine.run(["start", "--uninstall"], { env })).toMatchObject({ code: 0 });
  });

  test("where it can't be, it says why and changes nothing", async () => {
    await boot();
    await machine.sh("rm -r /run/systemd");
    const before = await snapshot();
    const unsupported = await machine.run(["start", "--install", "--json"], { env });
    expect([unsupported.code, JSON.parse(unsupported.stdout).error.code]).toEqual([7, "INSTALL_UNSUPPORTED"]);
    // No password is asked for in vain.
    expect(unsupported.stderr).not.toContain("root");
    await machine.sh(`mkdir -p /run/systemd/system /usr/local/lib/shipside && chown ${machine.uid} /usr/local/lib`);
    const unsafe = await machine.run(["start", "--install", "--json"], { env });
    expect([unsafe.code, JSON.parse(unsafe.stdout).error]).toEqual([
      7,
      expect.objectContaining({
        code: "INSTALL_UNSAFE",
        message: expect.stringContaining(`/usr/local/lib belongs to uid ${machine.uid}`),
      }),
    ]);
    await machine.sh("chown 0 /usr/local/lib && rmdir /usr/local/lib/shipside");
    expect(await snapshot()).toBe(before);
    expect((await machine.run(["start", "--install", "--no-root"], { env })).code).toBe(2);
  });
});

async function othersCouldChange(path: string): Promise<boolean> {
  const { uid, mode } = await stat(path);
  if (uid !== 0 || (mode & 0o022) !== 0) return true;
  return path !== "/" && othersCouldChange(dirname(path));
}
