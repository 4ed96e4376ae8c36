import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type Cluster, CONFIG_MAPS, connectCluster, PODS } from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { newUser, type User, untilSaid } from "./cli.harness.ts";
import { canMount } from "./mount-namespace.ts";

const NAMESPACE = "shop";
const RBAC = "rbac.authorization.k8s.io";
const object = (apiVersion: string, kind: string, name: string, fields: object = {}) => ({
  apiVersion,
  kind,
  metadata: { name, namespace: NAMESPACE },
  ...fields,
});

/** A workload with a volume of every kind that has one of its own. */
const manifests = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
  object("v1", "ConfigMap", "settings", { data: { "app.json": '{"n":1}', mode: "first" } }),
  object("v1", "Secret", "keys", { stringData: { password: "s3cret" } }),
  object("v1", "ServiceAccount", "app"),
  object(`${RBAC}/v1`, "Role", "app", { rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: ["get"] }] }),
  object(`${RBAC}/v1`, "RoleBinding", "app", {
    roleRef: { apiGroup: RBAC, kind: "Role", name: "app" },
    subjects: [{ kind: "ServiceAccount", name: "app", namespace: NAMESPACE }],
  }),
  object("v1", "PersistentVolumeClaim", "data", {
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
  }),
  object("v1", "PersistentVolumeClaim", "disk", {
    spec: { accessModes: ["ReadWriteOnce"], volumeMode: "Block", resources: { requests: { storage: "1Mi" } } },
  }),
  object("apps/v1", "Deployment", "app", {
    spec: {
      selector: { matchLabels: { app: "app" } },
      template: {
        metadata: { labels: { app: "app" } },
        spec: {
          serviceAccountName: "app",
          terminationGracePeriodSeconds: 0,
          volumes: [
            { name: "settings", configMap: { name: "settings" } },
            { name: "keys", secret: { secretName: "keys", defaultMode: 0o400 } },
            { name: "about", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
            { name: "vault", projected: { sources: [{ serviceAccountToken: { path: "token", audience: "vault" } }] } },
            { name: "work", emptyDir: {} },
            { name: "data", persistentVolumeClaim: { claimName: "data" } },
            { name: "disk", persistentVolumeClaim: { claimName: "disk" } },
            { name: "host", hostPath: { path: "/tmp" } },
          ],
          containers: [
            {
              name: "app",
              image: "busybox",
              command: ["sh", "-c", "echo row > /data/row; echo warm > /work/cache; exec sleep 98761"],
              volumeMounts: [
                { name: "settings", mountPath: "/etc/app" },
                { name: "keys", mountPath: "/etc/keys" },
                { name: "about", mountPath: "/etc/about" },
                { name: "vault", mountPath: "/var/run/vault" },
                { name: "work", mountPath: "/work" },
                { name: "data", mountPath: "/data" },
                { name: "host", mountPath: "/host" },
              ],
            },
            {
              ...{ name: "bare", image: "busybox", command: ["sleep", "98762"] },
              volumeDevices: [{ name: "disk", devicePath: "/dev/xvda" }],
            },
          ],
        },
      },
    },
  }),
  object("apps/v1", "Deployment", "bare", {
    spec: {
      selector: { matchLabels: { app: "bare" } },
      template: {
        metadata: { labels: { app: "bare" } },
        spec: {
          automountServiceAccountToken: false,
          containers: [{ name: "bare", image: "busybox", command: ["sleep", "98763"] }],
        },
      },
    },
  }),
];

const canBeServed = process.platform === "linux" && process.getuid!() === 0 && canMount && existsSync("/dev/fuse");

let embedded: EmbeddedCluster;
let cluster: Cluster;
let user: User;
let where: string[];
const children: ChildProcess[] = [];
/** Ended with the test. */
const start: User["start"] = (args, options) => {
  const child = user.start(args, options);
  children.push(child);
  return child;
};

beforeAll(async () => {
  embedded = await startCluster();
  await embedded.apply(manifests);
  cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath, namespace: NAMESPACE });
  const running = async () => {
    const pods = await cluster.list(PODS, { namespace: NAMESPACE });
    return pods.filter(({ status }) => status?.phase === "Running").length;
  };
  await vi.waitFor(async () => expect(await running()).toBe(2), { timeout: 30_000 });
}, 150_000);
afterAll(async () => {
  await cluster?.close();
  await embedded?.close();
});
beforeEach(async () => {
  user = await newUser();
  const kubeconfig = join(user.home, "kubeconfig");
  await copyFile(embedded.kubeconfigPath, kubeconfig);
  await chmod(kubeconfig, 0o644);
  where = ["-k", kubeconfig, "-n", NAMESPACE];
}, 120_000);
afterEach(async () => {
  try {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await user.run(["stop", "-q"]);
    expect(await user.left()).toEqual([]);
  } finally {
    await user[Symbol.asyncDispose]();
  }
}, 40_000);

const at = (...path: string[]): string => join(user.home, ...path);
const read = (...path: string[]): Promise<string> => readFile(at(...path), "utf8").catch(() => "");
const names = async (path: string): Promise<string[]> => (await readdir(at(path)).catch(() => [])).sort();
const setMode = (mode: string) => cluster.patch(CONFIG_MAPS, { name: "settings" }, { data: { mode } }, { kind: "merge" });

/** Who the API server takes the bearer of a token for, asked as a program in a pod asks. */
function whoAsks(folder: string, ca: string, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const url = new URL(`/api/v1/namespaces/${NAMESPACE}/pods`, embedded.server);
    const asked = request(url, { ca, agent: false, headers: { authorization: `Bearer ${token}` } }, async (answer) => {
      resolve(String(JSON.parse(await text(answer)).message));
    });
    asked.on("error", (cause) => reject(new Error(`with what is in ${folder}`, { cause })));
    asked.end();
  });
}

test("every kind of volume is where the container has it, and follows the cluster; after Ctrl-C all is gone", async () => {
  await setMode("first");
  const child = start(["mount", "deploy", "app", "root", "--driver", "snapshot", "--from", "running", ...where], {
    cwd: user.home,
  });
  const said = await untilSaid(child, /ready in/);
  expect(said).toContain(`7 volumes in ${at("root")}`);
  expect(said).toContain("/etc/app  configMap settings, kept current");
  expect(said).toMatch(/\/data {2}persistentVolumeClaim data, a copy by snapshot, of 2/);
  expect(said).toContain("driver snapshot: ");
  expect(said).toMatch(/not mounted: \/host \(host\): a hostPath is the file system of the cluster's node/);

  expect([await read("root/etc/app/app.json"), await read("root/etc/keys/password")]).toEqual(['{"n":1}', "s3cret"]);
  expect(await read("root/etc/about/labels")).toContain('app="app"');
  expect([await read("root/data/row"), await read("root/work/cache")]).toEqual(["row\n", "warm\n"]);
  const claims = JSON.parse(Buffer.from((await read("root/var/run/vault/token")).split(".")[1]!, "base64url").toString());
  expect([claims.aud, claims.sub]).toEqual([["vault"], `system:serviceaccount:${NAMESPACE}:app`]);
  const account = "root/var/run/secrets/kubernetes.io/serviceaccount";
  expect(await names(account)).toEqual(expect.arrayContaining(["ca.crt", "namespace", "token"]));
  expect(await whoAsks(account, await read(account, "ca.crt"), await read(account, "token"))).toContain(
    `"system:serviceaccount:${NAMESPACE}:app" cannot list`,
  );

  await setMode("second");
  await expect.poll(() => read("root/etc/app/mode"), { interval: 20 }).toBe("second");
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([130, null]);
  expect(await names(".")).not.toContain("root");
}, 60_000);

// Another user has sshfs: `mount.drive.test.ts`.
test.skipIf(!canBeServed)(
  "root has a claim as a drive with nothing installed, by our own FUSE server",
  async () => {
    await using root = await newUser({ asSelf: true });
    const [pod] = await cluster.list(PODS, { labelSelector: "app=app" });
    const there = async (...command: string[]): Promise<string> =>
      (await cluster.exec({ namespace: NAMESPACE, name: pod!.metadata.name }, command, { container: "app" })).stdout.toString();
    const dir = join(root.home, "root");
    const child = root.start(["mount", "app", dir, "--container", "app", "--only", "/data", ...where]);
    children.push(child);
    const said = await untilSaid(child, /ready in/);
    expect(said).toContain("driver fuse: it works on this machine\n");
    expect(said).toContain("/data  persistentVolumeClaim data, by fuse\n");
    expect(await readFile(join(dir, "data/row"), "utf8")).toBe("row\n");
    await writeFile(join(dir, "data/mine"), "from here");
    expect(await there("cat", "/data/mine")).toBe("from here");
    await there("rm", "/data/mine");
    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([130, null]);
    await root.run(["stop", "-q"]);
    expect([await root.left(), await readdir(root.home)]).toEqual([[], ["run", "state", "tmp"]]);
  },
  60_000,
);

test("a command has its volumes by SHIPSIDE_ROOT, and a file of its env has that too", async () => {
  const program = `const { readFileSync: read, readdirSync, writeFileSync } = require("fs"); const root = process.env.SHIPSIDE_ROOT; console.log(JSON.stringify([root, read(root + "/etc/app/app.json", "utf8"), read(".env", "utf8"), readdirSync(root + "/work"), writeFileSync(root + "/work/own", "x")]))`;
  const command = ["--", process.execPath, "-e", program];
  const ran = await user.run(["teleport", "app", "--container", "app", "--mount", "root", "-f", ".env", ...where, ...command], {
    cwd: user.home,
  });
  expect(ran.code, ran.stderr).toBe(0);
  const [root, settings, env, work] = JSON.parse(ran.stdout);
  // An emptyDir is one's own.
  expect(work).toEqual([]);
  expect([root, settings]).toEqual([at("root"), '{"n":1}']);
  expect(env).toContain(`SHIPSIDE_ROOT=${at("root")}`);
  expect(await names(".")).not.toContain("root");
}, 60_000);

test("a block device can't be had as files: a teleport says so, and goes on without", async () => {
  const options = ["--container", "bare", "--mount", "root", "--mount-only", "disk"];
  const ran = await user.run(["teleport", "app", ...options, ...where, "--", "true"], { cwd: user.home });
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.stderr).toContain("! not mounted: /dev/xvda (disk): the container has it as a block device, which has no files\n");
  expect(await names(".")).not.toContain("root");
}, 60_000);

test.each([
  ["directly", []],
  ["through a relay", ["--via", "relay"]],
])(
  "a client as it is in a pod finds the API server %s, and is the workload's service account",
  async (_how, via) => {
    const program = `
    import { CoreV1Api, KubeConfig } from ${JSON.stringify(import.meta.resolve("@kubernetes/client-node"))};
    const config = new KubeConfig();
    config.loadFromCluster(process.env.SHIPSIDE_ROOT);
    const api = config.makeApiClient(CoreV1Api);
    const { data } = await api.readNamespacedConfigMap({ name: "settings", namespace: "${NAMESPACE}" });
    const refused = await api.listNamespacedPod({ namespace: "${NAMESPACE}" }).catch(({ body }) => JSON.parse(body).message);
    console.log(JSON.stringify([config.getCurrentCluster().server, data["app.json"], refused]));`;
    const command = ["--", process.execPath, "--input-type=module", "-e", program];
    const ran = await user.run([
      "teleport",
      "deploy/app",
      "--mount",
      at("root"),
      "--driver",
      "snapshot",
      ...via,
      ...where,
      ...command,
    ]);
    expect(ran.code, ran.stderr).toBe(0);
    expect(JSON.parse(ran.stdout)).toEqual([
      expect.stringMatching(/^https:\/\/kubernetes\.default\.svc:(443|6443)$/),
      '{"n":1}',
      expect.stringContaining(`"system:serviceaccount:${NAMESPACE}:app" cannot list`),
    ]);
  },
  60_000,
);

test("kept by the daemon: shown with how current it is, joined by the same wish, refused to another, closed", async () => {
  expect((await user.run(["start", "--no-root"])).code).toBe(0);
  await mkdir(at("real"), { mode: 0o777 });
  await chmod(at("real"), 0o777);
  await symlink(at("real"), at("link"));
  const opened = await user.run([
    "mount",
    "app",
    at("link"),
    "--only",
    "settings,/data",
    "--read-only",
    "--driver",
    "snapshot",
    ...where,
    "--json",
  ]);
  expect(opened.code, opened.stderr).toBe(0);
  const { session } = JSON.parse(opened.stdout);
  expect(session.mount).toMatchObject({
    dir: at("link"),
    container: "app",
    drivers: [{ name: "snapshot", why: expect.stringContaining("it was asked for") }],
    volumes: [
      { volume: "data", mountPath: "/data", by: "snapshot", updates: "never", readOnly: true },
      { volume: "settings", mountPath: "/etc/app", by: "api", updates: "followed" },
    ],
    obstacles: [],
  });
  const again = await user.run([
    "mount",
    "app",
    at("link"),
    "--only",
    "/data,settings",
    "--read-only",
    "--driver",
    "snapshot",
    ...where,
  ]);
  expect([again.code, again.stderr]).toEqual([0, expect.stringContaining(`session ${session.id} is open already`)]);
  const other = await user.run(["mount", "app", at("real"), ...where]);
  expect([other.code, other.stderr]).toEqual([7, expect.stringContaining("VOLUMES_DIR_BUSY")]);
  const listed = await user.run(["session", "list", "--details"]);
  expect(listed.stdout).toContain(`2 volumes in ${at("link")}`);
  expect(listed.stdout).toContain("/etc/app  configMap settings, kept current");
  const status = await user.run(["status"]);
  expect([status.code, status.stdout]).toEqual([0, expect.stringContaining("/etc/app  configMap settings, kept current")]);
  const closed = await user.run(["mount", "app", at("link"), "--clean", ...where]);
  expect([closed.code, closed.stderr]).toEqual([0, expect.stringContaining(`closed ${session.id}`)]);
  expect(await names("real")).toEqual([]);
}, 60_000);

test("everything is killed: `clean` removes what was there, and nothing of somebody's own", async () => {
  expect((await user.run(["start", "--no-root"])).code).toBe(0);
  const kept = await user.run(["mount", "app", at("one"), ...where, "--json"]);
  expect(kept.code, kept.stderr).toBe(0);
  const child = start(["teleport", "app", "--mount", at("two"), "--driver", "snapshot", "--foreground", ...where]);
  await untilSaid(child, /ready in/);
  const list = JSON.parse((await user.run(["session", "list", "--json"])).stdout) as Array<{ pid: number }>;
  for (const { pid } of list) process.kill(pid, "SIGKILL");
  await once(child, "exit");
  expect([await read("one/etc/app/app.json"), await read("two/data/row")]).toEqual(['{"n":1}', "row\n"]);
  await writeFile(at("two/etc/app/notes"), "mine");
  const clean = await user.run(["clean", "--yes"]);
  expect(clean.code, clean.stderr).toBe(0);
  expect(await names(".")).not.toContain("one");
  expect(await readdir(at("two"), { recursive: true })).toEqual(["etc", "etc/app", "etc/app/notes"]);
}, 60_000);

test("`up` opens mounts, again leaves them as they are, and `down` closes them", async () => {
  expect((await user.run(["start", "--no-root"])).code).toBe(0);
  const file = at("shipside.yaml");
  await writeFile(
    file,
    `mounts:\n  - { name: files, workload: deployment/app, path: ./root, only: [settings, /data], driver: snapshot }\n`,
  );
  const up = () => user.run(["up", "-f", file, ...where, "--json"]);
  const first = await up();
  expect(first.code, first.stderr).toBe(0);
  expect([await read("root/etc/app/app.json"), await read("root/data/row")]).toEqual(['{"n":1}', "row\n"]);
  expect(JSON.parse((await up()).stdout).kept).toHaveLength(1);
  expect((await user.run(["down", "-f", file])).code).toBe(0);
  expect(await names(".")).not.toContain("root");
}, 60_000);

describe("rights", () => {
  test("it works with exactly what --print-rbac says; without one, that volume alone is missing, and why is said", async () => {
    const printed = await user.run(["mount", "deployment/app", "root", "--driver", "snapshot", "--print-rbac", "--json", ...where]);
    const [{ roles }] = JSON.parse(printed.stdout).needs;
    const subjects = [{ kind: "User", name: "limited", apiGroup: RBAC }];
    const bind = async (given: Array<{ rules: Array<{ resources: string[] }> }>): Promise<void> => {
      for (const role of given) {
        const { apiVersion, kind, metadata } = role as unknown as { apiVersion: string; kind: string; metadata: { name: string } };
        const roleRef = { apiGroup: RBAC, kind, name: metadata.name };
        await embedded.apply([role as never, { apiVersion, kind: `${kind}Binding`, metadata, roleRef, subjects } as never]);
      }
    };
    await writeFile(at("limited"), embedded.addUser({ name: "limited" }), { mode: 0o644 });
    const mount = async () => {
      const child = start([
        "mount",
        "deployment/app",
        at("root"),
        "--driver",
        "snapshot",
        "--json",
        "-k",
        at("limited"),
        "-n",
        NAMESPACE,
      ]);
      const out = await untilSaid(child, /"readyMs".*\n/s);
      child.kill("SIGINT");
      await once(child, "exit");
      return JSON.parse(out.slice(out.indexOf("{"), out.lastIndexOf("}") + 1)).session.mount;
    };
    await bind(roles);
    const whole = await mount();
    expect(whole.obstacles).toEqual([expect.objectContaining({ volume: "host" })]);
    const without = roles.map((role: { rules: Array<{ resources: string[] }> }) => ({
      ...role,
      rules: role.rules.filter(({ resources }) => !resources.includes("secrets")),
    }));
    await bind(without);
    const partly = await mount();
    expect(partly.obstacles).toContainEqual(
      expect.objectContaining({ code: "KUBE_FORBIDDEN", volume: "keys", hint: expect.stringContaining("secrets") }),
    );
    expect(partly.volumes).toHaveLength(whole.volumes.length - 1);
  }, 60_000);
});

test("what can't be is refused, with its reason and its exit code", async () => {
  await mkdir(at("full"));
  await writeFile(at("full/mine"), "x");
  await writeFile(at("file"), "x");
  await mkdir(at("locked"), { mode: 0o700 });
  const refusals: Array<[args: string[], code: number, said: string]> = [
    // As root there is nothing that may not be written.
    ...(process.getuid?.() === 0 ? [[["mount", "app", at("locked")], 7, "EACCES"] as [string[], number, string]] : []),
    [["mount", "app", at("full")], 7, "is not empty: mine"],
    [["mount", "app", at("file")], 7, "it is no directory"],
    [["mount", "app", at("x"), "--driver", "pigeon"], 2, "there are fuse, sshfs, sync, snapshot, and auto"],
    [["mount", "app", at("x"), "--driver", "sshfs", "--ignore", "*.tmp"], 2, "--ignore is for the copies that --driver sync keeps"],
    [["mount", "app", at("x"), "--only", "nope"], 6, "it mounts settings at /etc/app"],
    [["mount", "app", at("x"), "--container", "nope"], 6, "it has app, bare"],
    [["mount", "nope", at("x")], 6, "nope"],
    [["mount", "bare", at("x")], 14, "mounts no volume"],
    [["mount", "app", at("x"), "--only", "host"], 14, "a hostPath is the file system"],
    [["mount", "app", at("x"), "--container", "bare", "--only", "disk"], 14, "as a block device, which has no files"],
    [["mount", "app", at("x"), "--from", "there"], 2, "there is spec and running"],
    [["mount", "deployment/app", "x", at("x")], 2, "one workload and one directory"],
    [["teleport", "namespace", NAMESPACE, "--mount", at("x")], 2, "a namespace as such has no volumes"],
  ];
  for (const [args, code, said] of refusals) {
    const ran = await user.run([...args, ...(args.includes("namespace") ? where.slice(0, 2) : where)]);
    expect([args, ran.code, ran.stderr]).toEqual([args, code, expect.stringContaining(said)]);
  }
  expect(await names(".")).not.toContain("x");
  expect(await names("full")).toEqual(["mine"]);
}, 120_000);
