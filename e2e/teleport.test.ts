import { once } from "node:events";
import { chmod, copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CONFIG_MAPS, DEPLOYMENTS, ENDPOINT_SLICES, type KubeObject, SECRETS, SERVICES } from "@shipside/kube";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { newUser, type User, untilSaid } from "./cli.harness.ts";
import { type E2eCluster, e2eCluster } from "./tunnel.fixture.ts";

let e2e: E2eCluster;
let user: User;
let kubeconfig: string;

const PORT = 43120;
const labels = { app: "web" };
// POD_IP is set by an embedded node whose pods have no network namespace: then a pod has only that address.
const serve = `require("node:http").createServer((q, s) => s.end(process.env.POD_NAME)).listen(${PORT}, process.env.POD_IP)`;
const field = (name: string, fieldPath: string): object => ({ name, valueFrom: { fieldRef: { fieldPath } } });

beforeAll(async () => {
  e2e = await e2eCluster();
  const { cluster, namespace } = e2e;
  const meta = (name: string) => ({ name, namespace });
  await cluster.create(CONFIG_MAPS, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: meta("config"),
    // A PATH would be more to the point, but a real container would then not find its own program.
    data: { GREETING: "hello", HOME: "/no" },
  });
  await cluster.create(SECRETS, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: meta("secret"),
    data: { TOKEN: btoa("a $b 'c'\nd") },
  });
  await cluster.create(SERVICES, {
    apiVersion: "v1",
    kind: "Service",
    metadata: meta("web"),
    spec: { selector: labels, ports: [{ port: PORT }] },
  });
  await cluster.create(DEPLOYMENTS, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta("web"),
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: "web",
              image: "node:24",
              command: ["node", "-e", serve],
              env: [field("POD_NAME", "metadata.name")],
              envFrom: [{ configMapRef: { name: "config" } }, { secretRef: { name: "secret" } }],
              readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  } as KubeObject as never);
  const ready = async (): Promise<boolean> =>
    (await cluster.list(ENDPOINT_SLICES, { namespace })).some(({ endpoints }) =>
      endpoints?.some((endpoint) => endpoint.conditions?.ready),
    );
  while (!(await ready())) await delay(100);
}, 150_000);
afterAll(() => e2e[Symbol.asyncDispose]());

beforeEach(async () => {
  user = await newUser();
  kubeconfig = join(user.home, "kubeconfig");
  await copyFile(e2e.kubeconfig, kubeconfig);
  await chmod(kubeconfig, 0o644);
});
afterEach(async () => {
  await user.run(["stop", "-q"]);
  expect(await user.left()).toEqual([]);
  await user[Symbol.asyncDispose]();
});

const where = (): string[] => ["-k", kubeconfig, "-n", e2e.namespace];
/** Prints who answers on each name, each over a connection of its own. */
const ask = (...names: string[]): string[] => [
  process.execPath,
  "-e",
  `(async () => { for (const name of ${JSON.stringify(names)}) console.log(await (await fetch("http://" + name + ":${PORT}", { headers: { connection: "close" } })).text()); })().catch((e) => { console.log("failed: " + e.cause?.message); process.exit(1); })`,
];

test("a command has the workload's env and its neighbours by all their names", async () => {
  const { namespace } = e2e;
  const names = ["web", `web.${namespace}`, `web.${namespace}.svc`, `web.${namespace}.svc.cluster.local`];
  const called = await user.run(["teleport", "deploy", "web", ...where(), "-q", "--", ...ask(...names)]);
  expect(called).toMatchObject({ code: 0, stdout: expect.stringMatching(/^(web-\S+\n)\1\1\1$/) });
  const print = "console.log(JSON.stringify([process.env.GREETING, process.env.TOKEN, process.env.HOME]))";
  const env = await user.run(["teleport", "deployment/web", ...where(), "-q", "--", process.execPath, "-e", print]);
  expect(JSON.parse(env.stdout)).toEqual(["hello", "a $b 'c'\nd", user.home]);
});

test("it says where before it does anything", async () => {
  const { stderr } = await user.run(["teleport", "deployment/web", ...where(), "--", "true"]);
  const { context, server } = e2e.cluster.info;
  expect(stderr.split("\n")[0]).toBe(`context ${context}, namespace ${e2e.namespace}, server ${server}`);
});

test("--json with a command: the document alone on stdout, the command's output on stderr", async () => {
  const { stdout, stderr, code } = await user.run([
    "teleport",
    "deployment/web",
    ...where(),
    "--no-rootless",
    "--json",
    "--",
    "sh",
    "-c",
    "echo spoken; exit 3",
  ]);
  expect(JSON.parse(stdout)).toMatchObject({ exitCode: 3, session: { workload: "deployment/web", names: { count: 4 } } });
  expect([stderr.includes("spoken"), code]).toEqual([true, 3]);
});

test("env on stdout: in each form, and nothing else", async () => {
  const env = await user.run(["env", "deploy/web", ...where(), "-m", "json"]);
  expect(JSON.parse(env.stdout)).toMatchObject({ GREETING: "hello", TOKEN: "a $b 'c'\nd" });
  const wrong = await user.run(["env", "deploy/web", ...where(), "-m", "toml"]);
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("ENV_FORMAT_UNKNOWN")]);
});

test("env in a command: no tunnel, no name", async () => {
  const { code, stdout, stderr } = await user.run(["env", "deploy/web", ...where(), "--", "sh", "-c", 'echo "$GREETING"; exit 5']);
  expect([code, stdout]).toEqual([5, "hello\n"]);
  expect(stderr).not.toMatch(/services|hosts file|for the command/);
});

test("an env file follows the ConfigMap, and goes", async () => {
  const file = join(user.home, "tmp", "web.json");
  const child = user.start(["teleport", "deploy/web", ...where(), "-f", file]);
  await untilSaid(child, /ready in/);
  expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ GREETING: "hello" });
  const { cluster, namespace } = e2e;
  const greet = (GREETING: string) =>
    cluster.patch(CONFIG_MAPS, { namespace, name: "config" }, { data: { GREETING } }, { kind: "merge" });
  try {
    await greet("changed");
    await expect.poll(async () => JSON.parse(await readFile(file, "utf8")).GREETING).toBe("changed");
  } finally {
    await greet("hello");
  }
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([130, null]);
});

test("a session in the foreground is seen and closed from another terminal", async () => {
  const child = user.start(["teleport", "namespace", e2e.namespace, "-k", kubeconfig]);
  await untilSaid(child, /ready in/);
  const listed = JSON.parse((await user.run(["session", "list", "--json"])).stdout);
  expect(listed).toMatchObject([{ kind: "teleport", namespace: e2e.namespace, pid: child.pid, daemon: false, serviceCount: 1 }]);
  const details = await user.run(["session", "list", "--details"]);
  expect(details.stdout).toMatch(new RegExp(`web\\.${e2e.namespace} +127\\.7[2-5]\\.\\d+\\.\\d+ +${PORT}/TCP +1 pod ready`));
  const status = await user.run(["status"]);
  expect([status.code, status.stdout]).toEqual([0, expect.stringMatching(/the API server answers in \d+ ms/)]);
  const [closed, [code]] = await Promise.all([user.run(["session", "close", listed[0].id]), once(child, "exit")]);
  expect([closed.code, code]).toEqual([0, 0]);
});

test("a session whose process hangs is seen as such, and ended with --force", async () => {
  const child = user.start(["teleport", "deploy/web", ...where(), "-f", join(user.home, "tmp", ".env")]);
  await untilSaid(child, /ready in/);
  child.kill("SIGSTOP");
  const status = await user.run(["status"]);
  expect([status.code, status.stdout]).toEqual([4, expect.stringContaining("said nothing within")]);
  const exited = once(child, "exit");
  const forced = await user.run(["session", "close", "--all", "--force"]);
  expect([forced.code, forced.stderr]).toEqual([0, expect.stringContaining(`shipside ${child.pid} does not answer`)]);
  expect(await exited).toEqual([143, null]);
}, 40_000);

test("two in the foreground at once: the second takes over when the first ends", async () => {
  const first = user.start(["teleport", "deploy/web", ...where()]);
  await untilSaid(first, /ready in/);
  const loop = `(async () => { for (;;) { const said = await fetch("http://web:${PORT}", { headers: { connection: "close" } }).then((r) => r.text(), () => "gap"); console.log(said); await new Promise((r) => setTimeout(r, 100)); } })()`;
  const second = user.start(["teleport", "deploy/web", "--no-rootless", ...where(), "--", process.execPath, "-e", loop]);
  const said = await untilSaid(second, /^web-/m);
  expect(said).toContain(`shipside ${first.pid} has open`);
  expect(said).not.toContain("could not listen");
  first.kill("SIGINT");
  await once(first, "exit");
  await untilSaid(second, /^web-/m);
  second.kill("SIGTERM");
  expect(await once(second, "exit")).toEqual([143, null]);
}, 40_000);

test("the daemon: sessions outlive the command, are shared, listed, closed", async () => {
  expect((await user.run(["start", "--no-root"])).code).toBe(0);
  expect(await user.run(["start", "--no-root", "--json"])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('"started": false'),
  });
  const open = async (): Promise<string> =>
    JSON.parse((await user.run(["teleport", "deploy/web", ...where(), "--json"])).stdout).session.id as string;
  const id = await open();
  expect(await open()).toBe(id);
  const [session, ...others] = JSON.parse((await user.run(["session", "list", "--json"])).stdout);
  expect([session.id, session.daemon, others]).toEqual([id, true, []]);

  // A command in the daemon's session has its env and names, and ends only its own hold.
  const called = await user.run(["teleport", "deployment/web", ...where(), "-q", "--", ...ask("web")]);
  expect(called).toMatchObject({ code: 0, stdout: expect.stringMatching(/^web-/) });
  expect(JSON.parse((await user.run(["session", "list", "--json"])).stdout)).toHaveLength(1);

  // What differs is another session, which shares the tunnels.
  const namespace = JSON.parse(
    (await user.run(["teleport", "namespace", e2e.namespace, "-k", kubeconfig, "--json"])).stdout,
  ).session;
  expect(namespace.id).not.toBe(id);
  expect(namespace.services[0].ports[0].state).toBe("listening");
  const clean = await user.run(["teleport", "deploy", "web", ...where(), "--clean", "--json"]);
  expect(JSON.parse(clean.stdout)).toEqual({ closed: [id], residue: [] });
  const closed = await user.run(["session", "close", "--all", "--json"]);
  expect(JSON.parse(closed.stdout)).toEqual({ closed: [namespace.id], residue: [] });
  expect((await user.run(["stop"])).code).toBe(0);
  expect(await user.run(["stop"])).toMatchObject({ code: 0, stderr: expect.stringContaining("no daemon runs") });
}, 60_000);

test("an error in the daemon is told as if it were here", async () => {
  await user.run(["start", "--no-root"]);
  const { code, stdout } = await user.run(["teleport", "deploy/wbe", ...where(), "--json"]);
  expect(code).toBe(6);
  expect(JSON.parse(stdout).error).toMatchObject({
    code: "KUBE_WORKLOAD_UNKNOWN",
    hint: expect.stringContaining("deployment/web"),
  });
});

test("the daemon's own kubeconfig is never taken for the caller's", async () => {
  await user.run(["start", "--no-root"], { env: { KUBECONFIG: kubeconfig } });
  const { code, stdout } = await user.run(["teleport", "deploy/web", "-n", e2e.namespace, "--json"]);
  expect([code, JSON.parse(stdout).error.code]).toEqual([3, "KUBE_NO_CONFIG"]);
});

test("the daemon is killed: its journal is undone by the next one", async () => {
  const { pid } = JSON.parse((await user.run(["start", "--no-root", "--json"])).stdout);
  const file = join(user.home, "tmp", ".env");
  await user.run(["teleport", "deploy/web", ...where(), "-f", file]);
  expect(await readFile(file, "utf8")).toContain("GREETING");
  process.kill(pid, "SIGKILL");
  await expect.poll(async () => (await user.run(["status"])).stdout).toContain("shipside clean");
  const again = await user.run(["start", "--no-root"]);
  expect([again.code, again.stderr]).toEqual([0, expect.stringMatching(/undid 1 thing/)]);
  await expect(readFile(file)).rejects.toMatchObject({ code: "ENOENT" });
});
