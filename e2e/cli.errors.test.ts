import { once } from "node:events";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { teleport } from "@shipside/daemon";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newUser, type User, untilSaid } from "./cli.harness.ts";
import { coreWorkload } from "./core-workload.ts";

let cluster: EmbeddedCluster;
let user: User;

const namespaced = (namespace: string, port: number): object[] => [
  ...coreWorkload(namespace),
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "leaf", namespace },
    spec: { selector: { app: "leaf" }, ports: [{ port }] },
  },
];

beforeAll(async () => {
  cluster = await startCluster({ name: "errors", node: false, controllers: false });
  await cluster.apply(namespaced("sample", 43110));
});
afterAll(() => cluster.close());
beforeEach(async () => {
  user = await newUser();
});
afterEach(async () => {
  // Whatever went wrong: nothing is left behind.
  expect(await user.left()).toEqual([]);
  await user[Symbol.asyncDispose]();
});

/** A kubeconfig that the user may read. */
async function config(text: string, name = "kubeconfig"): Promise<string> {
  const path = join(user.home, name);
  await writeFile(path, text);
  await chmod(path, 0o644);
  return path;
}

/** An error as a person and as a program sees it. */
async function fails(
  args: readonly string[],
  expected: { code: string; exit: number; says: RegExp; hint?: RegExp },
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  const dash = args.indexOf("--");
  const asJson = dash < 0 ? [...args, "--json"] : [...args.slice(0, dash), "--json", ...args.slice(dash)];
  const { code, stdout, stderr } = await user.run(asJson, { env });
  expect(code, stderr).toBe(expected.exit);
  expect(JSON.parse(stdout)).toMatchObject({
    error: { code: expected.code, message: expect.any(String), hint: expect.any(String) },
  });
  expect(stderr).toContain(`error[${expected.code}]:`);
  expect(stderr).toMatch(expected.says);
  expect(stderr).toMatch(expected.hint ?? /^hint: /m);
  expect(stderr).not.toMatch(/^\s+at .*:\d+/m);
}

const core = ["teleport", "deployment/core", "-n", "sample"];

describe("the command line", () => {
  test.each([
    [["telport", "core"], /did you mean teleport/],
    [["teleport", "core", "--jsno"], /jsno/],
    [["teleport"], /too few words/],
    [["teleport", "core", "-m", "sh"], /no file/],
    [["completion", "tcsh"], /no completion for "tcsh"/],
    [["session", "close"], /which session/],
  ])("%j is exit code 2", async (args, says) => {
    await fails(args, { code: "USAGE", exit: 2, says });
  });

  test("without --json, nothing stands on stdout", async () => {
    const { code, stdout, stderr } = await user.run(["telport", "core"]);
    expect([code, stdout, stderr]).toEqual([2, "", expect.stringMatching(/^error\[USAGE\]: did you mean teleport\?\nhint: /)]);
  });

  test("no session of that id", async () => {
    await fails(["session", "close", "abcdef"], { code: "SESSION_UNKNOWN", exit: 6, says: /abcdef/ });
  });
});

describe("the kubeconfig", () => {
  test("there is none", async () => {
    await fails(core, { code: "KUBE_NO_CONFIG", exit: 3, says: /kubeconfig/i });
  });

  test("unknown context: near ones are named", async () => {
    const path = await config(cluster.kubeconfig());
    await fails([...core, "-k", path, "--context", "erors"], {
      code: "KUBE_CONTEXT_UNKNOWN",
      exit: 3,
      says: /"erors"/,
      hint: /hint: .*errors/,
    });
  });

  test("expired credentials", async () => {
    const path = await config(cluster.addUser({ name: "leaver", token: true }));
    cluster.expireUser("leaver");
    await fails(core, { code: "KUBE_UNAUTHORIZED", exit: 5, says: /credential/ }, { KUBECONFIG: path });
  });

  const withPlugin = (script: string): string =>
    cluster
      .kubeconfig()
      .replace(/^( *)(client-certificate-data|token): .*$/m, (_line: string, indent: string) =>
        [
          `${indent}exec:`,
          `${indent}  apiVersion: client.authentication.k8s.io/v1`,
          `${indent}  command: sh`,
          `${indent}  args: ["-c", ${JSON.stringify(script)}]`,
          `${indent}  interactiveMode: Never`,
        ].join("\n"),
      )
      .replace(/^ *client-key-data: .*\n/m, "");

  test("a credential plugin that fails", async () => {
    const path = await config(withPlugin("echo no ticket >&2; exit 3"));
    await fails([...core, "-k", path], { code: "KUBE_AUTH_PLUGIN_FAILED", exit: 5, says: /no ticket/ });
  });

  test("a credential plugin that hangs can be interrupted, and is ended too", async () => {
    const pidFile = join(user.home, "tmp", "plugin.pid");
    const path = await config(withPlugin(`echo $$ > ${pidFile}; exec sleep 1000`));
    const child = user.start([...core, "-k", path]);
    child.stdout!.resume();
    child.stderr!.resume();
    await expect.poll(() => readFile(pidFile, "utf8").catch(() => ""), { timeout: 10_000 }).not.toBe("");
    const pid = Number(await readFile(pidFile, "utf8"));
    child.kill("SIGINT");
    const [code] = await once(child, "exit");
    expect(code).toBe(130);
    await expect.poll(() => isRunning(pid), { timeout: 5_000 }).toBe(false);
    await rm(pidFile);
  });
});

describe("the cluster", () => {
  test("nobody answers", async () => {
    const path = await config(cluster.kubeconfig().replace(cluster.server, "https://127.0.0.1:9"));
    await fails([...core, "-k", path], { code: "KUBE_UNREACHABLE", exit: 4, says: /127\.0\.0\.1:9/ });
  });

  test("forbidden: verb, resource and the missing rule are named", async () => {
    const path = await config(cluster.addUser({ name: "guest" }));
    await fails([...core, "-k", path], {
      code: "KUBE_FORBIDDEN",
      exit: 5,
      says: /get.*deployments|deployments.*get/s,
      hint: /verbs.*get/s,
    });
  });

  test("unknown workload: what may have been meant", async () => {
    const path = await config(cluster.kubeconfig());
    await fails(["teleport", "deploy", "cor", "-n", "sample", "-k", path], {
      code: "KUBE_WORKLOAD_UNKNOWN",
      exit: 6,
      says: /deployment "cor"/,
      hint: /deployment\/core/,
    });
  });

  test("unknown kind, unknown namespace, unknown service", async () => {
    const path = await config(cluster.kubeconfig());
    await fails(["intercept", "nosuch", "--port", "80:3000", "--all", "-n", "sample", "-k", path], {
      ...{ code: "KUBE_NOT_FOUND", exit: 6, hint: /`kubectl get services -n sample` lists those there are/ },
      says: /could not get services "nosuch" in namespace sample: there is none of that name$/m,
    });
    await fails(["teleport", "deplomyent/core", "-k", path], { code: "KUBE_KIND_UNKNOWN", exit: 2, says: /deplomyent/ });
    await fails(["teleport", "namespace", "smaple", "-k", path], { code: "TUNNEL_NAMESPACE_UNKNOWN", exit: 6, says: /smaple/ });
  });

  test("the namespace vanishes under an open session", async () => {
    const path = await config(cluster.kubeconfig());
    await cluster.apply(namespaced("fleeting", 43111));
    const child = user.start(["teleport", "namespace", "fleeting", "-k", path]);
    await untilSaid(child, /ready in/);
    cluster.store.remove("namespaces", undefined, "fleeting");
    cluster.store.remove("services", "fleeting", "leaf");
    const [said, [code]] = await Promise.all([untilSaid(child, /hint: /), once(child, "exit")]);
    expect(said).toContain("error[NAMESPACE_GONE]");
    expect(code).toBe(6);
  });
});

describe("the machine", () => {
  test("the address pool is exhausted", async () => {
    const opening = teleport({
      kubeconfig: cluster.kubeconfigPath,
      namespace: "sample",
      hosts: false,
      pool: { cidr: "127.119.0.0/32", stateFile: false },
      stateDir: join(user.home, "state"),
    });
    await expect(opening).rejects.toMatchObject({ code: expect.stringMatching(/^POOL_/), hint: expect.any(String) });
  });

  test("the hosts file can't be written: said in one line, and the command has the names all the same", async () => {
    const path = await config(cluster.kubeconfig());
    const lookup = 'require("node:dns").lookup("leaf.sample.svc.cluster.local", (e, a) => console.log(e ? e.code : a))';
    const { code, stdout, stderr } = await user.run([...core, "--no-rootless", "-k", path, "--", process.execPath, "-e", lookup]);
    expect(stdout).toMatch(/^127\.7[2-5]\.\d+\.\d+\n$/);
    expect(stderr).toMatch(/^✓ 4 names for the command alone: .*hosts.*$/m);
    expect(code).toBe(0);
  });

  test("a port is taken: who has it is said, the rest goes on", async () => {
    const holder = createServer().listen(43112, "0.0.0.0");
    await once(holder, "listening");
    try {
      const path = await config(cluster.kubeconfig());
      await cluster.apply(namespaced("taken", 43112));
      const words = ["teleport", "deploy/core", "--no-rootless", "-n", "taken", "-k", path, "--", "true"];
      const { code, stderr } = await user.run(words);
      expect(stderr).toMatch(/! could not listen on 127\.\d+\.\d+\.\d+:43112: .*held by/);
      expect(code).toBe(0);
    } finally {
      holder.close();
    }
  });

  test("an env file that can't be written", async () => {
    const path = await config(cluster.kubeconfig());
    await fails([...core, "-k", path, "-f", "/proc/no/.env"], { code: "ENV_FILE_UNWRITABLE", exit: 7, says: /\/proc\/no\/\.env/ });
  });

  test("a command that doesn't exist is 127, one that may not be run 126", async () => {
    const path = await config(cluster.kubeconfig());
    await fails([...core, "-k", path, "--", "no-such-program"], { code: "COMMAND_NOT_FOUND", exit: 127, says: /no-such-program/ });
    const { code, stderr } = await user.run([...core, "-k", path, "--", path]);
    expect([code, stderr]).toEqual([126, expect.stringContaining("error[COMMAND_FAILED]")]);
  });

  test("no place for the journal: nothing is begun", async () => {
    const path = await config(cluster.kubeconfig());
    const { code, stderr } = await user.run([...core, "-k", path, "-f", join(user.home, "tmp", ".env")], {
      env: { XDG_STATE_HOME: "/etc/hostname/nowhere" },
    });
    expect([code, stderr]).toEqual([7, expect.stringContaining("error[JOURNAL_FAILED]")]);
  });
});

describe("signals", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)(
    "%s at any moment: exit code %i and nothing left",
    async (signal, expected) => {
      const path = await config(cluster.kubeconfig());
      const envFile = join(user.home, "tmp", ".env");
      const ready = await readyAfter([...core, "-k", path, "-f", envFile]);
      // From before the first line of ours runs to well after it is ready.
      for (const part of [0.05, 0.5, 0.75, 0.9, 1.1]) {
        const child = user.start([...core, "-k", path, "-f", envFile]);
        let said = "";
        child.stdout!.resume();
        child.stderr!.on("data", (chunk: Buffer) => {
          said += chunk;
        });
        await delay(ready * part);
        child.kill(signal);
        const [code, by] = await once(child, "exit");
        // Before Node has come as far as our handlers, a signal has its default effect, and nothing has been made.
        expect(code ?? by, `${signal} at ${part} of ${ready} ms:\n${said}`).toSatisfy(
          (end) => end === expected || (end === signal && said === ""),
        );
        expect(await user.left(), said).toEqual([]);
      }
    },
    60_000,
  );

  test("a second SIGINT doesn't break the clean-up", async () => {
    const path = await config(cluster.kubeconfig());
    const child = user.start([...core, "-k", path]);
    await untilSaid(child, /ready in/);
    child.kill("SIGINT");
    child.kill("SIGINT");
    const [code] = await once(child, "exit");
    expect(code).toBe(130);
  });

  /** Resolves to the file's path. */
  const killedWithEnvFile = async (): Promise<string> => {
    const path = await config(cluster.kubeconfig());
    const envFile = join(user.home, "tmp", ".env");
    const child = user.start([...core, "-k", path, "-f", envFile]);
    await untilSaid(child, /ready in/);
    child.kill("SIGKILL");
    await once(child, "exit");
    return envFile;
  };

  test("SIGKILL: the next command undoes what was left", async () => {
    const envFile = await killedWithEnvFile();
    expect(await user.left()).toContain(envFile);
    const status = await user.run(["status"]);
    expect([status.code, status.stdout]).toEqual([4, expect.stringContaining("shipside clean")]);
    const clean = await user.run(["session", "clean", "--json"]);
    const removed = [{ kind: "env-file", what: `env file ${envFile}` }];
    expect([clean.code, JSON.parse(clean.stdout)]).toMatchObject([0, { removed: expect.arrayContaining(removed), left: [] }]);
    const again = await user.run(["clean", "--json"]);
    expect([again.code, JSON.parse(again.stdout)]).toEqual([0, { removed: [], gone: [], forgotten: [], left: [] }]);
  });

  test("what has gone by itself by the time `clean` looks is not said to have been removed", async () => {
    const envFile = await killedWithEnvFile();
    await rm(envFile);
    const { code, stderr } = await user.run(["clean"]);
    expect([code, stderr]).toEqual([0, expect.stringContaining(`nothing was left of env file ${envFile}`)]);
    expect(stderr).not.toContain("removed env file");
  });

  test("signals reach the command, and its exit code is ours", async () => {
    const path = await config(cluster.kubeconfig());
    const trap = "trap 'echo got it; exit 42' TERM; echo up; while :; do sleep 0.05; done";
    const child = user.start([...core, "-k", path, "--", "sh", "-c", trap]);
    await untilSaid(child, /^up$/m);
    child.kill("SIGTERM");
    const [said, [code]] = await Promise.all([untilSaid(child, /got it/), once(child, "exit")]);
    expect([said.includes("got it"), code]).toEqual([true, 42]);
    for (const [script, exit] of [
      ["exit 7", 7],
      ["kill -9 $$", 137],
    ] as const) {
      expect((await user.run([...core, "-k", path, "-q", "--", "sh", "-c", script])).code).toBe(exit);
    }
  });
});

describe("closed output", () => {
  test.each([["--help"], ["session list"], ["env deploy/core -n sample -k KUBECONFIG"]])(
    "%s into a pipe that nobody reads",
    async (line) => {
      const path = await config(cluster.kubeconfig());
      const child = user.start(line.replace("KUBECONFIG", path).split(" "));
      child.stdout!.destroy();
      let complaints = "";
      child.stderr!.on("data", (chunk: Buffer) => {
        complaints += chunk;
      });
      const [code] = await once(child, "exit");
      expect(complaints).not.toMatch(/EPIPE|Error:|at .*:\d+/);
      expect(code).toBe(0);
    },
  );

  test("stdout and stderr closed under a running teleport: it runs on, and cleans up", async () => {
    const path = await config(cluster.kubeconfig());
    const child = user.start([...core, "-k", path]);
    await untilSaid(child, /ready in/);
    child.stdout!.destroy();
    child.stderr!.destroy();
    const list = await user.run(["session", "list", "--json"]);
    expect(JSON.parse(list.stdout)).toEqual([expect.objectContaining({ serviceCount: 1 })]);
    child.kill("SIGINT");
    const [code] = await once(child, "exit");
    expect(code).toBe(130);
  });
});

async function readyAfter(args: readonly string[]): Promise<number> {
  const began = performance.now();
  const child = user.start(args);
  await untilSaid(child, /ready in/);
  const took = performance.now() - began;
  child.kill("SIGINT");
  await once(child, "exit");
  return took;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
