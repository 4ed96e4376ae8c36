import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, copyFile, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CONFIG_MAPS, DEPLOYMENTS, type KubeObject, NAMESPACES, PODS, type ResourceType, SECRETS } from "@shipside/kube";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { parse, stringify } from "yaml";
import { newUser, type Ran, type User, untilSaid } from "./cli.harness.ts";
import { type E2eCluster, e2eCluster } from "./tunnel.fixture.ts";

let e2e: E2eCluster;
let user: User;
let kubeconfig: string;

/** The beginning of every secret value here. */
const PLANTED = "pl4nted";
const TOKEN = `${PLANTED}-token`;
const LINES = `${PLANTED}-first\n${PLANTED}-second`;

/** All that any command here has said, but for what was asked to tell secrets. */
const told: string[] = [];
const remember = ({ stdout, stderr }: Pick<Ran, "stdout" | "stderr">): void => void told.push(stdout, stderr);

const where = (): string[] => ["-k", kubeconfig, "-n", e2e.namespace];

/** A command line whose output is held against the planted secrets at the end. */
async function run(args: readonly string[], options?: Parameters<User["run"]>[1]): Promise<Ran> {
  const ran = await user.run(args, options);
  remember(ran);
  return ran;
}
function start(args: readonly string[]): ChildProcess {
  const child = user.start(args);
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (chunk: Buffer) => void told.push(String(chunk)));
  return child;
}
/** Values were asked for: not remembered. */
const reveal = (args: readonly string[]): Promise<Ran> => user.run(args);

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGINT");
  await exited;
}

const setGreeting = (GREETING: string): Promise<unknown> =>
  e2e.cluster.patch(CONFIG_MAPS, { namespace: e2e.namespace, name: "config" }, { data: { GREETING } }, { kind: "merge" });

beforeAll(async () => {
  e2e = await e2eCluster();
  const { cluster, namespace } = e2e;
  const object = (kind: string, name: string, fields: object, apiVersion = "v1"): never =>
    ({ apiVersion, kind, metadata: { name, namespace }, ...fields }) as KubeObject as never;
  await cluster.create(CONFIG_MAPS, object("ConfigMap", "config", { data: { GREETING: "hello", "odd.key": "odd" } }));
  await cluster.create(SECRETS, object("Secret", "secret", { stringData: { TOKEN, LINES } }));
  for (const [name, level] of [
    ["web", "info"],
    ["other", "debug"],
  ] as const) {
    const labels = { app: name };
    const container = {
      name: "main",
      image: "node:24",
      command: ["node", "-e", "setInterval(() => {}, 1e6)"],
      env: [
        { name: "LEVEL", value: level },
        { name: "URL", value: "db://$(TOKEN)@db" },
        { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      ],
      envFrom: [{ configMapRef: { name: "config" } }, { secretRef: { name: "secret" } }],
    };
    const template = {
      metadata: { labels },
      spec: { containers: [container], enableServiceLinks: false, terminationGracePeriodSeconds: 0 },
    };
    await cluster.create(
      DEPLOYMENTS,
      object("Deployment", name, { spec: { replicas: 1, selector: { matchLabels: labels }, template } }, "apps/v1"),
    );
  }
  const running = async (): Promise<number> =>
    (await cluster.list(PODS, { namespace })).filter(({ status }) => status?.phase === "Running").length;
  while ((await running()) < 2) await delay(100);
}, 120_000);
afterAll(() => e2e?.[Symbol.asyncDispose]());

beforeEach(async () => {
  user = await newUser();
  kubeconfig = join(user.home, "kubeconfig");
  await copyFile(e2e.kubeconfig, kubeconfig);
  await chmod(kubeconfig, 0o644);
});
afterEach(async () => {
  remember(await user.run(["stop", "-q"]));
  // Logs, journals, sockets' folders: whatever it wrote for itself.
  for (const entry of await readdir(user.home, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile() && !/node-compile-cache|kubeconfig$/.test(file)) told.push(await readFile(file, "utf8"));
  }
  await setGreeting("hello");
  expect(await user.left()).toEqual([]);
  await user[Symbol.asyncDispose]();
});

vi.setConfig({ testTimeout: 60_000 });

describe("--explain", () => {
  test("a table of names, values and origins, with secrets masked", async () => {
    const { code, stdout, stderr } = await run(["env", "deploy/web", ...where(), "--explain"]);
    expect(stdout).toMatch(/^NAME +VALUE +FROM$/m);
    expect(stdout).toMatch(/^GREETING +hello +ConfigMap config, key GREETING$/m);
    expect(stdout).toMatch(/^TOKEN +•+ +Secret secret, key TOKEN$/m);
    expect(stdout).toMatch(/^URL +•+ +spec of container main$/m);
    expect(stderr).toMatch(/deployment\/web, container main, pod web-\S+: \d+ variables/);
    expect(code).toBe(0);
  });

  test("as JSON: masked too, and with --reveal not", async () => {
    const args = ["env", "deploy/web", ...where(), "--explain", "--json"];
    const { variables, workload, pod } = JSON.parse((await run(args)).stdout);
    expect({ workload, pod }).toEqual({ workload: "deployment/web", pod: expect.stringMatching(/^web-/) });
    const token = { name: "TOKEN", sensitive: true, origin: { from: "secret", name: "secret", key: "TOKEN" } };
    expect(variables).toContainEqual({ ...token, value: "••••••" });
    expect(JSON.parse((await reveal([...args, "--reveal"])).stdout).variables).toContainEqual({ ...token, value: TOKEN });
  });

  test("--from running: what the container has, and what the spec says now", async () => {
    await setGreeting("newer");
    const { stdout } = await run(["env", "deploy/web", ...where(), "--explain", "--from", "running"]);
    expect(stdout).toMatch(/^GREETING +hello .*\n +≠ the spec says newer \(ConfigMap config, key GREETING\)$/m);
    expect(stdout).toMatch(/^PATH /m);
  });
});

test("--json has values of secrets only with --reveal; the formats have them always", async () => {
  const args = ["env", "deploy/web", ...where()];
  const valueIn = ({ stdout }: Ran): unknown => JSON.parse(stdout).env.find(({ name }: { name: string }) => name === "TOKEN").value;
  expect(valueIn(await run([...args, "--json"]))).toBe("••••••");
  expect(valueIn(await reveal([...args, "--json", "--reveal"]))).toBe(TOKEN);
  expect(JSON.parse((await reveal([...args, "-m", "json"])).stdout)).toMatchObject({ TOKEN, LINES });
});

test("selection: --only, --except, --no-secrets, --set", async () => {
  const names = async (...more: string[]): Promise<Record<string, string>> =>
    JSON.parse((await run(["env", "deploy/web", ...where(), "-m", "json", "--no-secrets", ...more])).stdout);
  expect(Object.keys(await names()).sort()).not.toContain("TOKEN");
  expect(await names("--only", "L*,GREETING")).toEqual({ LEVEL: "info", GREETING: "hello" });
  expect(Object.keys(await names("--except", "POD_*", "--except", "KUBERNETES_*")).sort()).toEqual([
    "GREETING",
    "LEVEL",
    "odd.key",
  ]);
  expect(await names("--only", "LEVEL", "--set", "LEVEL=a=b,c", "--set", "NEW=")).toEqual({ LEVEL: "a=b,c", NEW: "" });
  const print = "console.log(process.env.LEVEL, process.env.GREETING, process.env.TOKEN)";
  for (const command of ["env", "teleport"]) {
    const given = ["--only", "LEVEL", "--set", "GREETING=mine", "-q", "--", process.execPath, "-e", print];
    expect((await run([command, "deploy/web", ...where(), ...given])).stdout).toBe("info mine undefined\n");
  }
});

test.each([
  [["--set", `${PLANTED}-no-pair`], /NAME=VALUE/],
  [["--from", "nowhere"], /spec and running/],
  [["--restart-on-change"], /no command to restart/],
  [["--grace", "3", "--", "true"], /--restart-on-change/],
  [["--restart-on-change", "--grace", "soon", "--", "true"], /seconds/],
  [["--with", "x"], /env diff/],
  [["--explain", "-f", "x.env"], /--explain/],
  [["--watch", "--json"], /--watch/],
])("%j is a mistake of the command line", async (args, says) => {
  const { code, stderr } = await run(["env", "deploy/web", ...where(), ...args]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(says)]);
});

describe("env diff", () => {
  const diff = (...args: string[]): Promise<Ran> => run(["env", "diff", "deploy/web", ...where(), "--except", "POD_NAME", ...args]);

  test("with a file: 0 where it is the same, 1 where it differs", async () => {
    const file = join(user.home, "tmp", "web.json");
    const { stdout } = await reveal(["env", "deploy/web", ...where(), "-m", "json"]);
    await writeFile(file, stdout, { mode: 0o644 });
    expect(await diff("--with", file)).toMatchObject({ code: 0, stdout: "" });
    await writeFile(file, JSON.stringify({ ...JSON.parse(stdout), TOKEN: `${PLANTED}-other`, LEVEL: undefined, EXTRA: "1" }));
    const differs = await diff("--with", file);
    expect(differs.code).toBe(1);
    expect(differs.stdout).toMatch(/^\+ EXTRA=1 .*\n- LEVEL=info .*\n~ TOKEN=•+ \(another value\)/m);
    const { same, differences } = JSON.parse((await diff("--with", file, "--json")).stdout);
    expect({ same, names: differences.map(({ name }: { name: string }) => name) }).toEqual({
      same: false,
      names: ["EXTRA", "LEVEL", "TOKEN"],
    });
    expect((await reveal(["env", "diff", "deploy/web", ...where(), "--with", file, "--reveal"])).stdout).toContain(TOKEN);
    await rm(file);
  });

  test("with the shell: what it has besides is nobody's business", async () => {
    const { code, stdout } = await run(["env", "diff", "deploy/web", ...where(), "--shell", "--only", "L*,TOKEN,HOME"], {
      env: { LEVEL: "info", TOKEN, LINES },
    });
    expect([code, stdout]).toEqual([0, ""]);
    expect(await diff("--shell", "--only", "LEVEL")).toMatchObject({ code: 1, stdout: expect.stringMatching(/^- LEVEL=info/) });
  });

  test("with another workload, another namespace, another context", async () => {
    expect((await diff("--workload", "deploy/other")).stdout).toMatch(/^~ LEVEL=info → debug/);
    expect(await diff("--workload", "web")).toMatchObject({ code: 0 });
    const config = parse(await readFile(kubeconfig, "utf8"));
    const [first] = config.contexts;
    config.contexts.push({ ...first, name: "second", context: { ...first.context, namespace: e2e.namespace } });
    await writeFile(kubeconfig, stringify(config));
    expect(await diff("--other-context", "second")).toMatchObject({ code: 0 });
    const { cluster, namespace } = e2e;
    const two = `${namespace}-${randomBytes(3).toString("hex")}`;
    expect(await diff("--other-namespace", two)).toMatchObject({ code: 6 });
    await cluster.create(NAMESPACES, { apiVersion: "v1", kind: "Namespace", metadata: { name: two } });
    try {
      const labels = { app: "web" };
      const containers = [{ name: "main", image: "node:24", env: [{ name: "LEVEL", value: "warn" }] }];
      const template = { metadata: { labels }, spec: { containers } };
      const spec = { replicas: 0, selector: { matchLabels: labels }, template };
      const web = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace: two }, spec };
      await cluster.create(DEPLOYMENTS, web as KubeObject as never);
      expect((await diff("--other-namespace", two)).stdout).toMatch(/^~ LEVEL=info → warn /m);
    } finally {
      await cluster.delete(NAMESPACES, { name: two });
    }
  });

  test("trouble has another exit code than a difference", async () => {
    expect(await diff()).toMatchObject({ code: 2 });
    expect(await diff("--shell", "--with", "x")).toMatchObject({ code: 2 });
    expect(await diff("--with", join(user.home, "none.env"))).toMatchObject({ code: 7 });
    const broken = join(user.home, "tmp", "broken.json");
    await writeFile(broken, `{ "TOKEN": ${TOKEN} }`, { mode: 0o644 });
    expect(await diff("--with", broken)).toMatchObject({ code: 7, stderr: expect.stringContaining("ENV_FILE_UNREADABLE") });
    await rm(broken);
  });
});

test("a value that the format can't hold is an error that names the key; a teleport's file goes on without it", async () => {
  const asked = await run(["env", "deploy/web", ...where(), "-m", "sh"]);
  expect([asked.code, asked.stdout, asked.stderr]).toEqual([9, "", expect.stringMatching(/ENV_UNREPRESENTABLE.*odd\.key/)]);
  expect(await run(["env", "deploy/web", ...where(), "-m", "docker"])).toMatchObject({ code: 9, stdout: "" });
  const file = join(user.home, "tmp", "web.sh");
  const child = start(["teleport", "deploy/web", ...where(), "-f", file]);
  const said = await untilSaid(child, /ready in/);
  expect(said).toMatch(/! odd\.key: .*sh.* can't hold it/);
  const written = await readFile(file, "utf8");
  expect([written.includes("GREETING"), written.includes(TOKEN), written.includes("odd.key")]).toEqual([true, true, false]);
  await stop(child);
});

const rbac = (kind: string): ResourceType<KubeObject> => ({
  group: "rbac.authorization.k8s.io",
  version: "v1",
  plural: `${kind.toLowerCase()}s`,
  kind,
  namespaced: true,
  shortNames: [],
});

test("a Secret that may not be read is named with the rule; --skip-forbidden goes on without it", async () => {
  const { cluster, namespace } = e2e;
  const reader = `reader-${randomBytes(3).toString("hex")}`;
  const of = (kind: string, fields: object): never =>
    ({ apiVersion: "rbac.authorization.k8s.io/v1", kind, metadata: { name: reader, namespace }, ...fields }) as never;
  const resources = ["deployments", "pods", "configmaps", "services"];
  await cluster.create(rbac("Role"), of("Role", { rules: [{ apiGroups: ["", "apps"], resources, verbs: ["get", "list"] }] }));
  const role = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: reader };
  const subjects = [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: reader }];
  await cluster.create(rbac("RoleBinding"), of("RoleBinding", { roleRef: role, subjects }));
  const config = parse(await readFile(kubeconfig, "utf8"));
  for (const each of config.users) each.user.as = reader;
  await writeFile(kubeconfig, stringify(config));

  const refused = await run(["env", "deploy/web", ...where(), "--explain"]);
  expect([refused.code, refused.stdout]).toEqual([5, ""]);
  expect(refused.stderr).toMatch(/error\[KUBE_FORBIDDEN\]: .*secret/);
  expect(refused.stderr).toMatch(/verbs.*get/s);
  for (const more of [["--explain"], ["-m", "json"], ["--", "sh", "-c", 'echo "GREETING $GREETING, $TOKEN."']]) {
    const { code, stdout, stderr } = await run(["env", "deploy/web", ...where(), "--skip-forbidden", ...more]);
    expect([code, stdout, stderr]).toEqual([
      0,
      expect.stringMatching(/GREETING\W+hello/),
      expect.stringMatching(/^! .*[Ss]ecret/m),
    ]);
  }
});

describe("changes", () => {
  test("--watch prints them, masked", async () => {
    const child = start(["env", "deploy/web", ...where(), "--watch"]);
    await untilSaid(child, /Ctrl-C ends it/);
    const changed = untilSaid(child, /GREETING=hello → bye/);
    await setGreeting("bye");
    await changed;
    const { cluster, namespace } = e2e;
    const rotated = untilSaid(child, /~ TOKEN=•+ \(another value\)/);
    const set = (value: string): Promise<unknown> =>
      cluster.patch(SECRETS, { namespace, name: "secret" }, { data: { TOKEN: btoa(value) } }, { kind: "merge" });
    try {
      await set(`${PLANTED}-rotated`);
      await rotated;
    } finally {
      await set(TOKEN);
    }
    await stop(child);
  });

  test("of a file that is kept current are told", async () => {
    const file = join(user.home, "tmp", "web.json");
    const child = start(["env", "deploy/web", ...where(), file]);
    await untilSaid(child, /Ctrl-C undoes it all/);
    const said = untilSaid(child, /~ GREETING=hello → told/);
    await setGreeting("told");
    await said;
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ GREETING: "told", TOKEN });
    await stop(child);
  });

  test("a person's edit of such a file is kept aside, and that is said", async () => {
    const file = join(user.home, "tmp", "edited.json");
    const child = start(["env", "deploy/web", ...where(), file]);
    await untilSaid(child, /Ctrl-C undoes it all/);
    // Written by the user whose file it is, or by root for them: what counts is that it is another.
    await writeFile(file, "mine");
    const said = untilSaid(child, /edited\.json was edited.*\n.*kept as .*edited\.json\.kept$/m);
    await setGreeting("after the edit");
    await said;
    expect(await readFile(`${file}.kept`, "utf8")).toBe("mine");
    await writeFile(file, "mine again");
    const atTheEnd = untilSaid(child, /edited\.json\.kept-2$/m);
    await Promise.all([atTheEnd, stop(child)]);
    expect(await readFile(`${file}.kept-2`, "utf8")).toBe("mine again");
    for (const kept of [`${file}.kept`, `${file}.kept-2`]) await rm(kept);
  });

  // It says what it was started with, and does not go by SIGTERM.
  const stubborn =
    "process.on('SIGTERM', () => console.log('asked')); console.log('has ' + process.env.GREETING); setInterval(() => {}, 1e6)";

  test.each(["env", "teleport"])("%s --restart-on-change: SIGTERM, grace, SIGKILL, and with the new env", async (command) => {
    const args = [
      "--restart-on-change",
      "--grace",
      "0.3",
      "--set",
      `PASSWORD=${PLANTED}-set`,
      "--",
      process.execPath,
      "-e",
      stubborn,
    ];
    const child = start([command, "deploy/web", ...where(), ...args]);
    await untilSaid(child, /has hello/);
    if (process.platform === "linux") told.push(await readFile(`/proc/${child.pid}/cmdline`, "utf8"));
    const again = untilSaid(child, /has restarted/);
    await setGreeting("restarted");
    const said = await again;
    expect(said).toMatch(/asked\n/);
    expect(said).toMatch(/^GREETING changed: restarting /m);
    const exited = once(child, "exit");
    child.kill("SIGHUP");
    expect(await exited).toEqual([129, null]);
  });

  test("--restart-on-change where the daemon has the session", async () => {
    expect((await run(["start", "--no-root"])).code).toBe(0);
    const print = "console.log('has ' + process.env.GREETING); setInterval(() => {}, 1e6)";
    const child = start(["teleport", "deploy/web", ...where(), "--restart-on-change", "--", process.execPath, "-e", print]);
    await untilSaid(child, /has hello/);
    const again = untilSaid(child, /has by-daemon/);
    await setGreeting("by-daemon");
    expect(await again).toMatch(/~ GREETING=hello → by-daemon/);
    remember(await run(["session", "list", "--details", "--json"]));
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    expect(await exited).toEqual([143, null]);
  }, 40_000);
});

test("of all this no line, log, journal, error or title has a secret", () => {
  expect(told.length).toBeGreaterThan(50);
  const all = told.join("\n");
  expect(all).toContain("••••••");
  const forms = [PLANTED, btoa(TOKEN).slice(0, 10), encodeURIComponent(LINES)];
  for (const form of forms) expect(all.split("\n").filter((line) => line.includes(form))).toEqual([]);
});
