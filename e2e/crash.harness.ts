import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseMountInfo } from "@shipside/core";
import {
  type Cluster,
  CONFIG_MAPS,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  type KubeObject,
  PODS,
  type ResourceType,
  SECRETS,
  SERVICES,
} from "@shipside/kube";
import { listeningSockets } from "@shipside/tunnel";
import { bin, buildOnce, type Ran, type RunOptions } from "./cli.harness.ts";
import { openMountNamespace } from "./mount-namespace.ts";
import { alive } from "./processes.ts";

/**
 * A machine of the test's own, as far as Shipside can see one: its own /etc, /var/lib, /var/log, home, temp and runtime folders and boot id,
 * in a mount namespace. Everything that runs there can be found, and killed.
 */
export interface Machine extends AsyncDisposable {
  /** The same path inside and outside, but for what is mounted over it inside. */
  readonly home: string;
  readonly dirs: { readonly state: string; readonly run: string; readonly tmp: string };
  /** A path of the machine's as it is reached from outside. */
  inside(path: string): string;
  start(args: readonly string[], options?: MachineRunOptions): ChildProcess;
  run(args: readonly string[], options?: MachineRunOptions): Promise<Ran>;
  /** The command line as a shell takes it. */
  commandLine(args: readonly string[]): string;
  /** Any program. */
  spawn(command: readonly string[], options?: MachineRunOptions): ChildProcess;
  shell(script: string, options?: MachineRunOptions): Promise<Ran>;
  /** What runs there. */
  processes(): Promise<number[]>;
  /** SIGKILL of everything at once. */
  killAll(): Promise<void>;
  /** All processes gone, temp and runtime folders empty, another boot id; home and state are kept. */
  reboot(): Promise<void>;
  state(): Promise<MachineState>;
}

export interface MachineState {
  /** Path to kind, mode and content's digest, for everything below /etc, /var/lib, home, state, temp and runtime folders. */
  files: Record<string, string>;
  /** Made since the machine is there. */
  mounts: string[];
  /** Of the addresses that its sessions have had. */
  listeners: string[];
  /** Command lines. */
  processes: string[];
}

/** What programs need to know users and names, and the time. */
const ETC = [
  "passwd",
  "group",
  "shadow",
  "nsswitch.conf",
  "resolv.conf",
  "host.conf",
  "ld.so.cache",
  "ld.so.conf",
  "localtime",
  "ssl",
  "alternatives",
];

/** As it is shipped; from its sources where somebody else builds at the same time. */
const fromSource = process.env["SHIPSIDE_E2E_FROM_SOURCE"] === "1";
const cli = fromSource
  ? ["--conditions=@shipside/source", fileURLToPath(new URL("../packages/cli/src/bin.ts", import.meta.url))]
  : [bin];

const USER = 4242;

export interface MachineOptions {
  /** Who uses it is not root: `run` and `start` are that user's, unless they ask for root. Only where the tests run as root. */
  user?: boolean;
}

/** Root as sudo makes it for the user. */
export interface MachineRunOptions extends RunOptions {
  asRoot?: boolean;
}

export async function newMachine({ user = false }: MachineOptions = {}): Promise<Machine> {
  if (!fromSource) await buildOnce();
  const dir = await mkdtemp(join(tmpdir(), "shipside-crash-"));
  const id = randomBytes(6).toString("hex");
  const [home, etc, lib, log] = ["home", "etc", "lib", "log"].map((name) => join(dir, name)) as [string, string, string, string];
  // A user's daemon that root starts has the folders that the user database and the login manager say.
  const dirs = user
    ? { state: join(home, ".local", "state"), run: `/run/user/${USER}`, tmp: join(dir, "tmp") }
    : { state: join(dir, "state"), run: join(dir, "run"), tmp: join(dir, "tmp") };
  for (const each of [home, etc, lib, log, dirs.state, dirs.tmp]) await mkdir(each, { recursive: true, mode: 0o700 });
  if (user) await mkdir(join(dir, "root"));
  else await mkdir(dirs.run, { mode: 0o700 });
  for (const each of [dir, etc, lib, log]) execFileSync("chmod", ["755", each]);
  const bootId = join(dir, "boot_id");
  const newBoot = (): Promise<void> => writeFile(bootId, `${randomBytes(16).toString("hex")}\n`);
  await newBoot();
  const setup = [
    `for each in ${ETC.join(" ")}; do cp -a /etc/$each ${etc}/ 2>/dev/null || true; done`,
    `printf '127.0.0.1 localhost\\n# a person wrote this\\n10.0.0.1 printer' > ${etc}/hosts`,
    ...(user
      ? [
          `echo 'dev:x:${USER}:${USER}::${home}:/bin/sh' >> ${etc}/passwd`,
          `chown -R ${USER}:${USER} ${home} ${dirs.tmp}`,
          `mount -t tmpfs -o mode=755 none /run`,
          `install -d -m 700 -o ${USER} -g ${USER} ${dirs.run}`,
        ]
      : []),
    `mount --bind ${etc} /etc`,
    `mount --bind ${lib} /var/lib`,
    `mount --bind ${log} /var/log`,
    `mount --bind ${bootId} /proc/sys/kernel/random/boot_id`,
  ].join("\n");
  const holder = await openMountNamespace(setup);
  const namespace = await readlink(`/proc/${holder.pid}/ns/mnt`);
  const mountPoints = async (): Promise<string[]> =>
    parseMountInfo(await readFile(`/proc/${holder.pid}/mountinfo`, "utf8")).map(({ path }) => path);
  // Of the machine that the tests run on; they can go while somebody else works there.
  const others = new Set(await mountPoints());

  const machine: Machine = {
    home,
    dirs,
    inside: (path) => `/proc/${holder.pid}/root${path}`,
    spawn(command, { env = {}, asRoot: root = !user } = {}) {
      const {
        KUBECONFIG: _kubeconfig,
        SUDO_UID: _uid,
        SUDO_GID: _gid,
        SUDO_USER: _user,
        XDG_STATE_HOME: _state,
        XDG_RUNTIME_DIR: _run,
        ...inherited
      } = process.env;
      const become = root ? [] : [`--setuid=${USER}`, `--setgid=${USER}`];
      const sudo = { SUDO_UID: `${USER}`, SUDO_GID: `${USER}`, HOME: join(dir, "root") };
      const [program, ...args] = holder.command(command, become);
      const child = spawn(program, args, {
        env: {
          ...inherited,
          NO_COLOR: "1",
          TMPDIR: dirs.tmp,
          // sudo gives root its own home.
          ...(user && root ? sudo : { HOME: home, XDG_STATE_HOME: dirs.state, XDG_RUNTIME_DIR: dirs.run }),
          SHIPSIDE_E2E_MACHINE: id,
          ...env,
        },
        cwd: "/",
        stdio: ["ignore", "pipe", "pipe"],
      });
      child.on("error", () => {});
      return child;
    },
    start: (args, options) => machine.spawn([process.execPath, ...cli, ...args], options),
    commandLine: (args) => [process.execPath, ...cli, ...args].map((word) => `'${word}'`).join(" "),
    run: (args, options) => ran(machine.start(args, options)),
    shell: (script, options) => ran(machine.spawn(["sh", "-c", script], options)),
    async processes() {
      const found: number[] = [];
      for (const name of await readdir("/proc")) {
        const pid = Number(name);
        if (!Number.isInteger(pid) || pid === holder.pid) continue;
        const here = (await readlink(`/proc/${pid}/ns/mnt`).catch(() => "")) === namespace;
        const marked = (await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "")).includes(`SHIPSIDE_E2E_MACHINE=${id}\0`);
        if ((here || marked) && (await alive(pid))) found.push(pid);
      }
      return found;
    },
    async killAll() {
      for (let pids = await machine.processes(); pids.length > 0; pids = await machine.processes()) {
        for (const pid of pids) kill(pid);
        await delay(20);
      }
    },
    async reboot() {
      await machine.killAll();
      for (const each of [dirs.run, dirs.tmp].map(machine.inside))
        for (const name of await readdir(each)) await rm(join(each, name), { recursive: true, force: true });
      await newBoot();
    },
    async state() {
      const files: Record<string, string> = {};
      for (const each of ["/etc", "/var/lib", home, ...Object.values(dirs)]) await describeTree(machine.inside(each), each, files);
      const commands = (await machine.processes()).map((pid) => readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => ""));
      return {
        files,
        mounts: (await mountPoints()).filter((path) => !others.has(path)).sort(),
        listeners: await listenersOn(machine.inside(join(dirs.state, "shipside", "addresses.json"))),
        processes: (await Promise.all(commands)).map((command) => command.replaceAll("\0", " ").trim()).sort(),
      };
    },
    async [Symbol.asyncDispose]() {
      await machine.killAll();
      await holder[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
  return machine;
}

export function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function ran(child: ChildProcess): Promise<Ran> {
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, "exit")]);
  return { code: code as number | null, stdout, stderr };
}

/** What is meant to stay: the address map, logs, the copies of the hosts file, Node's cache of compiled code, the empty lock of fusermount3. */
const STAYS =
  /\/etc\/mtab\.fuselock$|addresses\.json|daemon\.(log|stderr)|\/hosts\.original$|\/hosts\.shipside-backup$|node-compile-cache|\/\.kube\/cache/;

async function describeTree(real: string, shown: string, into: Record<string, string>): Promise<void> {
  for (const name of await readdir(real)) {
    const [path, as] = [join(real, name), join(shown, name)];
    const stat = await lstat(path).catch(() => undefined);
    if (!stat || STAYS.test(as)) continue;
    const mode = (stat.mode & 0o7777).toString(8);
    const owner = `${stat.uid}:${stat.gid}`;
    if (stat.isSymbolicLink()) into[as] = `link to ${await readlink(path)}`;
    else if (stat.isFile())
      into[as] = `${mode} ${owner} ${createHash("sha256")
        .update(await readFile(path))
        .digest("hex")}`;
    else if (!stat.isDirectory()) into[as] = "socket or other";
    else await describeTree(path, as, into);
  }
}

/** `address:port` of what listens on any address that the map names. */
async function listenersOn(map: string): Promise<string[]> {
  const ours = new Set((await readFile(map, "utf8").catch(() => "")).match(/127\.\d+\.\d+\.\d+/g));
  const table = await readFile("/proc/net/tcp", "utf8");
  return listeningSockets(table).flatMap(({ address, port }) => (ours.has(address) ? [`${address}:${port}`] : []));
}

const rbac = (plural: string, kind: string, group = "rbac.authorization.k8s.io"): ResourceType => ({
  ...{ group, version: "v1", plural, kind, namespaced: true, shortNames: [] },
});
const KINDS: readonly ResourceType[] = [
  ...[CONFIG_MAPS, SECRETS, SERVICES, DEPLOYMENTS, PODS, ENDPOINT_SLICES],
  ...[rbac("roles", "Role"), rbac("rolebindings", "RoleBinding"), rbac("serviceaccounts", "ServiceAccount", "")],
  rbac("poddisruptionbudgets", "PodDisruptionBudget", "policy"),
];

/** Every object of a namespace, but for what changes with each write and with time. */
export async function clusterState(cluster: Cluster, namespace: string): Promise<Record<string, unknown>> {
  const objects: Record<string, unknown> = {};
  for (const type of KINDS) {
    for (const object of await cluster.list(type, { namespace })) {
      const { metadata, status: _status, ...rest } = object as KubeObject & { status?: unknown };
      const { resourceVersion: _version, generation: _generation, ...kept } = metadata;
      const { managedFields: _fields, ...meta } = kept as typeof kept & { managedFields?: unknown };
      objects[`${type.plural}/${metadata.name}`] = { ...rest, metadata: meta };
    }
  }
  return objects;
}
