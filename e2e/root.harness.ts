import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { bin, buildOnce, type Ran } from "./cli.harness.ts";
import { canMount, openMountNamespace } from "./mount-namespace.ts";

/** These tests need root, to make a machine of their own, and the real programs that give it. */
export const canHaveMachine = canMount && process.getuid?.() === 0;
export const has = (program: "sudo" | "doas"): boolean => existsSync(`/usr/bin/${program}`);

/** One that no other test file has: they run side by side. */
const UID = 20_000 + (process.pid % 20_000);
const NAME = `shipside-${UID}`;
const PASSWORD = "correct horse";
const GROUP = "shipside-extra";

export interface MachineRun {
  env?: NodeJS.ProcessEnv;
  /** Default: the user. */
  as?: "user" | "root";
  /** Instead of the built command line. */
  program?: readonly string[];
}

/**
 * What a machine is to the helper, in a mount namespace: its own /etc with a user in it who has supplementary groups, its own /var/lib and
 * /var/log. Processes, network and the rest of the disk are those of the real one.
 */
export interface Machine extends AsyncDisposable {
  /** The user's. */
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Of the user, lowest first, as `id -G` says. */
  readonly groups: readonly number[];
  readonly home: string;
  readonly password: string;
  start(args: readonly string[], options?: MachineRun): ChildProcess;
  run(args: readonly string[], options?: MachineRun): Promise<Ran>;
  /** A shell script by root, in the namespace. */
  sh(script: string): Promise<string>;
}

export interface MachineOptions {
  /** Whether it is there, and whether it wants a password. */
  sudo?: boolean | "asks";
  doas?: boolean;
  /** Booted by a stand-in for systemd: it notes what it is asked (`/mnt/calls`), starts units as they say, and ends them. */
  systemd?: boolean;
}

export async function newMachine({ sudo = false, doas = false, systemd = false }: MachineOptions = {}): Promise<Machine> {
  await buildOnce();
  const dir = await mkdtemp(join(tmpdir(), "shipside-machine-"));
  await chmod(dir, 0o755);
  const home = join(dir, "home");
  const namespace = await openMountNamespace(`
    mount -t tmpfs -o mode=755 tmpfs /mnt
    cp -a /etc /mnt/etc
    mkdir -p /mnt/lib /mnt/log /mnt/sudo
    mount --bind /mnt/etc /etc
    mount --bind /mnt/lib /var/lib
    mount --bind /mnt/log /var/log
    groupadd -g ${UID + 20_000} ${GROUP}
    useradd -u ${UID} -U -G ${GROUP},games -m -d ${home} -s /bin/sh ${NAME}
    mkdir -p /etc/sudoers.d
    echo '${NAME}:${PASSWORD}' | chpasswd
    ${sudo ? `echo '${NAME} ALL=(root) ${sudo === "asks" ? "" : "NOPASSWD:"} ALL' > /etc/sudoers.d/test` : hide("sudo")}
    ${doas ? `echo 'permit nopass keepenv ${NAME} as root' > /etc/doas.conf` : hide("doas")}
    ${systemd ? SYSTEMD : ""}
  `);

  const sh = (commands: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const [program, ...args] = namespace.command(["sh", "-c", commands]);
      execFile(program, args, (error, stdout, stderr) => {
        if (error) reject(new Error(`${commands}: ${stderr || error.message}`, { cause: error }));
        else resolve(stdout.trim());
      });
    });
  const groups = (await sh(`id -G ${NAME}`)).split(" ").map(Number);
  const dirs = { XDG_STATE_HOME: join(home, "state"), XDG_RUNTIME_DIR: join(home, "run") };
  for (const each of Object.values(dirs)) await mkdir(each, { mode: 0o700 });
  await sh(`chown -R ${UID}:${groups[0]} ${home}`);

  const start: Machine["start"] = (args, { env = {}, as = "user", program = [process.execPath, bin] } = {}) => {
    const becomes = as === "user" ? ["setpriv", `--reuid=${UID}`, `--regid=${groups[0]}`, "--init-groups", "--"] : [];
    const own = as === "user" ? { HOME: home, USER: NAME, ...dirs } : { HOME: "/root", USER: "root" };
    const [enter, ...words] = namespace.command([...becomes, ...program, ...args]);
    const child = spawn(enter, words, {
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NO_COLOR: "1", ...own, ...env },
      cwd: "/",
      stdio: ["pipe", "pipe", "pipe"],
      // No controlling terminal: sudo must not ask the person who runs the tests.
      detached: true,
    });
    child.on("error", () => {});
    child.stdin.on("error", () => {});
    return child;
  };

  return {
    name: NAME,
    uid: UID,
    gid: groups[0]!,
    groups: groups.toSorted((a, b) => a - b),
    home,
    password: PASSWORD,
    start,
    async run(args, options) {
      const child = start(args, options);
      const [stdout, stderr, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, "exit")]);
      return { code: code as number | null, stdout, stderr };
    },
    sh,
    async [Symbol.asyncDispose]() {
      // Whatever a test that failed has left; a helper ends with its daemon.
      await sh(`pkill -KILL -u ${UID} || true`);
      await namespace[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const SYSTEMD = `
    mkdir /mnt/bin /mnt/usr-local
    cat > /mnt/bin/systemctl <<'END'
#!/bin/sh
echo "systemctl $*" >> /mnt/calls
for unit; do :; done
unit=/etc/systemd/system/$unit
case "$1" in
  start)
    input=$(sed -n 's/^StandardInput=file://p' "$unit")
    setsid sh -c "exec env -i $(sed -n 's/^ExecStart=//p' "$unit") < $input" >> /mnt/journal 2>&1 &
    echo $! > /mnt/main.pid ;;
  disable)
    pid=$(cat /mnt/main.pid) && kill "$pid"
    while kill -0 "$pid" && ! grep -q '^State:.Z' "/proc/$pid/status"; do sleep 0.05; done ;;
esac 2> /dev/null
exit 0
END
    cat > /mnt/bin/loginctl <<'END'
#!/bin/sh
echo "loginctl $*" >> /mnt/calls
[ "$1" != show-user ] || echo no
END
    chmod 755 /mnt/bin/*
    mount -t overlay overlay -o lowerdir=/mnt/bin:/usr/bin /usr/bin
    mount --bind /mnt/usr-local /usr/local
    mkdir -p /usr/local/lib
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /run/systemd/system /run/user/${UID}
    chown ${UID}:${UID} /run/user/${UID}
`;

/** What can't be executed isn't found. */
const hide = (program: "sudo" | "doas"): string => (has(program) ? `mount --bind /dev/null /usr/bin/${program}` : ":");

/** A process as the kernel has it. */
export async function inspect(
  pid: number,
): Promise<{ status: Record<string, string>; env: Record<string, string>; title: string }> {
  const [status, environ, cmdline] = await Promise.all(
    ["status", "environ", "cmdline"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8")),
  );
  const pairs = environ!
    .split("\0")
    .flatMap((line) => (line.includes("=") ? [[line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]] : []));
  return {
    status: Object.fromEntries(status!.split("\n").flatMap((line) => (line.includes(":\t") ? [line.split(":\t")] : []))),
    env: Object.fromEntries(pairs),
    title: cmdline!.replaceAll("\0", " ").trim(),
  };
}

export async function until(holds: () => Promise<boolean>, ms = 10_000): Promise<void> {
  for (const deadline = Date.now() + ms; !(await holds()); await delay(25)) {
    if (Date.now() > deadline) throw new Error(`not so within ${ms} ms: ${holds}`);
  }
}
