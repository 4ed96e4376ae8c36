import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { bin, NOBODY, newUser, untilSaid } from "./cli.harness.ts";
import { below, commandLine } from "./processes.ts";
import { canHaveUsualMachine, type UsualMachine, usualMachine } from "./rootless.machine.ts";

// A teleport's command where nobody has root and nobody has asked for namespaces; and the terminal, signals and debuggers of one that has them.

const NAMESPACE = "shop";
const SERVE = `require("node:http").createServer((q, s) => s.end("web")).listen(43191, process.env.POD_IP);`;
const labels = { app: "web" };
const OBJECTS = [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: NAMESPACE },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          ...{ hostname: "front", subdomain: "web" },
          dnsConfig: { searches: ["corp.example"], options: [{ name: "ndots", value: "2" }] },
          containers: [{ name: "web", image: "node:24", command: ["node", "-e", SERVE] }],
        },
      },
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: NAMESPACE },
    spec: { selector: labels, ports: [{ port: 80, targetPort: 43191 }] },
  },
];

describe.skipIf(!canHaveUsualMachine)("on a machine as most are", { timeout: 60_000 }, () => {
  let machine: UsualMachine;
  beforeAll(async () => {
    machine = await usualMachine(NAMESPACE, OBJECTS, 1);
  }, 150_000);
  afterAll(() => machine?.[Symbol.asyncDispose]());
  afterEach(async () => {
    expect(await machine.user.left()).toEqual([]);
  });
  const words = (verb: string, ...more: string[]): string[] => [verb, "deployment/web", ...machine.where(), ...more];
  const start = (...args: string[]): ChildProcess => {
    const child = machine.user.start(args);
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  };

  test("teleport -- command has namespaces of its own, and says so; --no-rootless declines; what is for others isn't inside", async () => {
    const address = ["--", "sh", "-c", "echo $WEB_SERVICE_HOST"];
    const { clusterIP } = machine.cluster.store.get("services", NAMESPACE, "web")!["spec"] as { clusterIP: string };
    const taken = await machine.user.run(words("teleport", ...address));
    expect(taken, taken.stderr).toMatchObject({ code: 0, stdout: `${clusterIP}\n` });
    expect(taken.stderr).toContain("no helper runs and you are not root: the command has namespaces of its own");
    expect(taken.stderr).toContain("the rest of the world by ");
    for (const option of [["--no-rootless"], ["-f", `${machine.user.home}/tmp/web.env`]]) {
      const not = await machine.user.run(words("teleport", ...option, ...address));
      expect(not, not.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(/^127\.7[2-5]\./) });
      expect(not.stderr).not.toContain("namespaces of its own");
    }
    const both = await machine.user.run(words("teleport", "--rootless", "--no-rootless", ...address));
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("both --rootless and --no-rootless") });
  });

  test("where something keeps it from that, it says what, and goes on in the next best way", async () => {
    await machine.allowTun(false);
    try {
      const ran = await machine.user.run(words("teleport", "--", "sh", "-c", "echo $WEB_SERVICE_HOST"));
      expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(/^127\.7[2-5]\./) });
      expect(ran.stderr).toMatch(/the command has no namespaces of its own, .*\/dev\/net\/tun, which this user may not open/);
      expect(ran.stderr).toContain("to change that: an administrator may allow it");
      const inside = await machine.user.run(words("teleport", "--host-port", "5432", "--", "true"));
      expect(inside).toMatchObject({ code: 2, stderr: expect.stringMatching(/--host-port: .*\n[\s\S]*\/dev\/net\/tun/) });
    } finally {
      await machine.allowTun(true);
    }
  });

  test("a machine that forbids namespaces: `run` says by which rule, a teleport's command goes on without", async () => {
    const forbid = `echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"`;
    const own = ["unshare", "--user", `--map-user=${NOBODY}`, `--map-group=${NOBODY}`, "--keep-caps"];
    await using user = await newUser({ enter: (line) => machine.enter([...own, "sh", "-c", forbid, "sh", ...line]) });
    const rule = "this machine lets you make no namespaces: user.max_user_namespaces is 0";
    const run = await user.run(words("run", "--", "echo", "started"));
    expect(run).toMatchObject({ code: 7, stdout: "", stderr: expect.stringContaining(`error[ROOTLESS_FORBIDDEN]: ${rule}`) });
    expect(run.stderr).toContain("because: unshare: unshare failed: No space left on device");
    expect(run.stderr).toContain("sudo sysctl user.max_user_namespaces=10000; or use `shipside start`");
    const look = `require("node:dns").lookup("web", (error, address) => console.log(address))`;
    const ran = await user.run(words("teleport", "--", process.execPath, "-e", look));
    expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(/^127\.7[2-5]\./) });
    expect(ran.stderr).toMatch(/the command has no namespaces of its own, .*user\.max_user_namespaces is 0/);
    expect(ran.stderr).toMatch(/programs of Node alone have the names.*\n.*`shipside start`/);
    expect(await user.left()).toEqual([]);
  });

  test("--hostname: the host name is the pods', in full too; DNS is asked as the workload says", async () => {
    const script = "hostname; hostname -f; echo $HOSTNAME; grep -v '^#' /etc/resolv.conf";
    const ran = await machine.user.run(words("run", "--hostname", "--", "sh", "-c", script));
    expect(ran.code, ran.stderr).toBe(0);
    const [name, fqdn, env, ...resolvConf] = ran.stdout.trim().split("\n");
    expect([name, fqdn, env]).toEqual(["front", `front.web.${NAMESPACE}.svc.cluster.local`, "front"]);
    expect(resolvConf).toEqual([
      expect.stringMatching(new RegExp(`^search ${NAMESPACE}.svc.cluster.local svc.cluster.local cluster.local .*corp.example$`)),
      "nameserver 127.0.0.53",
      expect.stringContaining("ndots:2"),
    ]);
    const none = await machine.user.run(["run", "namespace", NAMESPACE, "--hostname", ...machine.where().slice(2), "--", "true"]);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining("--hostname: a namespace as such has no pods") });
  });

  test("what carries its traffic is killed: that is said, and it is started anew", async () => {
    const child = start(...words("run", "--", "sh", "-c", "echo up; exec sleep 1000"));
    await untilSaid(child, /^up$/m);
    const carriers = (): number[] => below(child.pid!).filter((pid) => /^\S*(pasta|slirp4netns)/.test(commandLine(pid)));
    const [carrier, ...more] = carriers();
    expect([carrier, more]).toEqual([expect.any(Number), []]);
    const again = untilSaid(child, /ended by itself .*started anew[\s\S]*the rest of the world by \S+ again/);
    process.kill(carrier!, "SIGKILL");
    await again;
    // The one that was started makes another, and ends.
    await expect.poll(carriers, { timeout: 5_000 }).toEqual([expect.not.closeTo(carrier!, 0)]);
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    expect(await ended).toEqual([143, null]);
  });

  test("a debugger attaches from outside: node --inspect is on this machine's localhost", async () => {
    const program = "globalThis.secret = 6 * 7; setInterval(() => {}, 1000);";
    const child = start(...words("run", "--", process.execPath, "--inspect=9230", "-e", program));
    const said = await untilSaid(child, /port 9230 of the command is on 127\.0\.0\.1:\d+/);
    const [, place] = /port 9230 of the command is on (\S+)/.exec(said)!;
    const [target] = (await (await fetch(`http://${place}/json/list`)).json()) as [{ webSocketDebuggerUrl: string }];
    const socket = new WebSocket(target.webSocketDebuggerUrl.replace(/\/\/[^/]+/, `//${place}`));
    await once(socket, "open");
    socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression: "secret" } }));
    const [{ data }] = (await once(socket, "message")) as [MessageEvent];
    expect(JSON.parse(data)).toMatchObject({ id: 1, result: { result: { value: 42 } } });
    socket.close();
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  });

  test.runIf(existsSync("/usr/bin/gdb"))(
    "gdb attaches from outside, as the same user, and reads what is there; the command goes on",
    async () => {
      const child = start(...words("run", "--", "sh", "-c", "echo up; sleep 994; exit 3"));
      await untilSaid(child, /^up$/m);
      const sleeper = (): number | undefined => below(child.pid!).find((pid) => commandLine(pid) === "sleep 994 ");
      await expect.poll(sleeper, { timeout: 10_000 }).toBeDefined();
      const looks = ["info proc", "x/s **(char***)&environ", "detach"].flatMap((look) => ["-ex", look]);
      const [program = "", ...args] = machine.enter([
        ...["gdb", "--batch", "-iex", "set sysroot /", "-p", String(sleeper())],
        ...looks,
      ]);
      const { stdout } = await promisify(execFile)(program, args, { cwd: "/" });
      expect(stdout).toContain("cmdline = 'sleep 994'");
      expect(stdout).toMatch(/0x[0-9a-f]+:\s+"\w+=/);
      expect(stdout).toMatch(/\(process \d+\) detached/);
      expect(sleeper()).toBeDefined();
      const ended = once(child, "exit");
      process.kill(sleeper()!);
      expect(await ended).toEqual([3, null]);
    },
  );

  /** A terminal in which this command line runs; `type` what stands there, and wait for what it shows. */
  const terminal = (line: string) => {
    const [program = "", ...args] = machine.enter(["script", "-qefc", line, "/dev/null"]);
    const env = { ...process.env, NO_COLOR: "1", HOME: machine.user.home, PS1: "$ ", SHELL: "/bin/sh", TERM: "dumb" };
    const dirs = Object.fromEntries(
      ["XDG_STATE_HOME=state", "XDG_RUNTIME_DIR=run", "TMPDIR=tmp"].map((pair) => {
        const [name = "", dir] = pair.split("=");
        return [name, `${machine.user.home}/${dir}`];
      }),
    );
    const child = spawn(program, args, { env: { ...env, ...dirs }, cwd: "/", stdio: ["pipe", "pipe", "pipe"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    let shown = "";
    child.stdout.on("data", (chunk: Buffer) => (shown += chunk));
    return {
      pid: child.pid!,
      exited: once(child, "exit") as Promise<[number]>,
      type: (keys: string) => child.stdin.write(keys),
      async shows(pattern: RegExp): Promise<string[]> {
        await expect.poll(() => shown, { timeout: 30_000 }).toMatch(pattern);
        const found = pattern.exec(shown)!;
        shown = "";
        return found;
      },
    };
  };
  const shipside = (...command: string[]): string =>
    [process.execPath, bin, ...words("run", "--", ...command)].map((word) => `'${word}'`).join(" ");

  test("the terminal is the command's: Ctrl-C is its own to judge, and its exit code ours", async () => {
    const judge = `trap "echo caught; exit 9" INT; test -t 0 && test -t 1 && echo "on $(tty)"; while :; do sleep 0.1; done`;
    // A shell between would have a judgement of its own.
    const at = terminal(`exec ${shipside("sh", "-c", judge)}`);
    await at.shows(/on \/dev\/pts\/\d+/);
    at.type("\x03");
    await at.shows(/\^Ccaught/);
    expect(await at.exited).toEqual([9, null]);
  });

  test("the exit code is the command's where shipside hears of Ctrl-C no earlier than of what the command made of it", async () => {
    const judge = `trap "echo caught; exit 9" INT; echo up; while :; do sleep 0.1; done`;
    // `script` stops when its child does: the shell between doesn't, and minds no Ctrl-C.
    const at = terminal(`trap : INT; ${shipside("sh", "-c", judge)}; exit $?`);
    await at.shows(/\nup/);
    const find = (what: RegExp): number | undefined => below(at.pid).find((pid) => what.test(commandLine(pid)));
    const ours = find(/^shipside run/)!;
    process.kill(ours, "SIGSTOP");
    at.type("\x03");
    await at.shows(/\^Ccaught/);
    await expect.poll(() => find(/^sh -c trap "echo caught/)).toBeUndefined();
    process.kill(ours, "SIGCONT");
    expect(await at.exited).toEqual([9, null]);
    await at.shows(/everything is as it was/);
  });

  test("it has the terminal's size, and is told when that changes", async () => {
    const told = `trap "stty size" WINCH; stty size; echo on $(tty).; while :; do sleep 0.1; done`;
    const at = terminal(`stty rows 40 cols 100; exec ${shipside("sh", "-c", told)}`);
    const [, tty = ""] = await at.shows(/40 100\s+on (\/dev\/pts\/\d+)\./);
    const [program = "", ...args] = machine.enter(["stty", "-F", tty, "rows", "50", "cols", "120"]);
    await promisify(execFile)(program, args);
    await at.shows(/50 120/);
    at.type("\x03");
    expect(await at.exited).toEqual([130, null]);
  });

  test("Ctrl-Z stops it and fg goes on; a shell inside has jobs of its own", async () => {
    const at = terminal("bash --norc --noprofile -i");
    at.type(`${shipside("sh", "-c", "echo up; read line; echo got $line; exit 4")}\n`);
    await at.shows(/\nup/);
    at.type("\x1a");
    await at.shows(/Stopped/);
    at.type("fg\n");
    await at.shows(/run/);
    at.type("hello\n");
    await at.shows(/got hello/);
    at.type("echo code $?\n");
    await at.shows(/code 4/);

    at.type(`${shipside("bash", "--norc", "--noprofile", "-i")}\n`);
    await at.shows(/ready in/);
    at.type("echo $((40 + 2)) inside\n");
    await at.shows(/42 inside/);
    at.type("sh -c 'echo job; exec sleep 997'\n");
    await at.shows(/\njob/);
    at.type("\x1a");
    await at.shows(/Stopped\s+sh -c/);
    at.type("kill -KILL %1; wait; echo over\n");
    await at.shows(/\nover/);
    at.type("exit 6\n");
    await at.shows(/everything is as it was/);
    at.type("echo code $?; exit\n");
    await at.shows(/code 6/);
  });
});
