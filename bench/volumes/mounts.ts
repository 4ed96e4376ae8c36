import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, rmdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { PROGRAM_COMMAND, programText, type RelayConfig } from "@shipside/relay";
import { startProgram, stop } from "./child.ts";
import type { MounterOptions } from "./mounter.ts";
import type { WayOptions } from "./way.ts";

/** A directory, and where it is mounted. */
export interface Mounted {
  name: "ours" | "openssh";
  local: string;
  remote: string;
}

export interface MountOptions {
  /** Empty: everything of the mount is in it. */
  base: string;
  /** There and back, in ms. */
  rttMs: number;
  /** Of our link: it is encrypted, as the way through an API server is. */
  tls: boolean;
  /** Of ours. */
  driver: MounterOptions["driver"];
}

/** An address that no other program on the machine listens on. */
const RELAY_HOST = `127.88.${process.pid & 255}.${(process.pid >> 8) & 255 || 2}`;
const CONTROL_PORT = 28600;

/** Our driver's mount over a link to the program that a relay's pod runs. */
export async function mountOurs(stack: AsyncDisposableStack, { base, rttMs, tls, driver }: MountOptions): Promise<Mounted> {
  const { local, remote } = await places(base);
  const directory = join(base, "relay");
  await mkdir(directory);
  const secret = randomBytes(16).toString("hex");
  const config: RelayConfig = { name: "bench", namespace: "bench", graceSeconds: 3600, accept: [], files: [remote] };
  await writeFile(join(directory, "relay.mjs"), await programText());
  await writeFile(join(directory, "config.json"), JSON.stringify(config));
  await writeFile(join(directory, "secret"), secret);
  const relay = spawn(process.execPath, PROGRAM_COMMAND.slice(1), {
    ...{ cwd: directory, env: { ...process.env, POD_IP: RELAY_HOST }, stdio: ["ignore", "pipe", "inherit"] },
  });
  stack.defer(() => stop(relay, () => relay.kill("SIGKILL")));
  for await (const line of createInterface(relay.stdout!)) if (line.includes('"ready"')) break;
  relay.stdout!.resume();
  let at = { host: RELAY_HOST, port: CONTROL_PORT };
  if (tls || rttMs > 0) {
    const [cert, key] = [join(base, "cert.pem"), join(base, "key.pem")];
    if (tls) makeCertificate(cert, key);
    const options: WayOptions = { ...at, delayMs: rttMs / 2, ...(tls && { cert, key }) };
    at = { host: "127.0.0.1", port: Number((await startProgram(stack, "way", options)).said) };
  }
  await startProgram(stack, "mounter", {
    ...at,
    tls,
    driver,
    secret,
    remotePath: remote,
    localPath: local,
  } satisfies MounterOptions);
  return { name: "ours", local, remote };
}

/** `sshfs` as anybody runs it, to an `sshd` of its own with a key of its own. */
export async function mountOpenSsh(stack: AsyncDisposableStack, { base, rttMs }: MountOptions): Promise<Mounted> {
  const { local, remote } = await places(base);
  const file = (name: string): string => join(base, name);
  const keygen = (name: string): Buffer =>
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", file(name)]);
  keygen("host");
  keygen("user");
  execFileSync("cp", [file("user.pub"), file("authorized")]);
  await chmod(file("authorized"), 0o600);
  const serverPort = await freePort();
  await writeFile(
    file("sshd_config"),
    `ListenAddress 127.0.0.1\nPort ${serverPort}\nHostKey ${file("host")}\nAuthorizedKeysFile ${file("authorized")}\nPidFile none
StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp /usr/lib/openssh/sftp-server\n`,
  );
  await writeFile(file("ssh_config"), "");
  if (process.getuid?.() === 0) await privilegeSeparation(stack);
  const server = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", file("sshd_config")], { stdio: ["ignore", "ignore", "pipe"] });
  stack.defer(() => stop(server, () => server.kill("SIGTERM")));
  const lines: string[] = [];
  for await (const line of createInterface(server.stderr!)) if (lines.push(line) && line.includes("listening")) break;
  if (!lines.at(-1)?.includes("listening")) throw new Error(`sshd ended: ${lines.join("; ")}`);
  server.stderr!.resume();
  const options: WayOptions = { port: serverPort, delayMs: rttMs / 2 };
  const port = rttMs > 0 ? Number((await startProgram(stack, "way", options)).said) : serverPort;
  const ssh = [
    "LogLevel=ERROR",
    `Port=${port}`,
    `IdentityFile=${file("user")}`,
    "StrictHostKeyChecking=no",
    `UserKnownHostsFile=${file("known")}`,
  ];
  const target = `${userInfo().username}@127.0.0.1:${remote}`;
  const args = ["-f", "-F", file("ssh_config"), target, local, ...ssh.flatMap((each) => ["-o", each])];
  const sshfs = spawn("sshfs", args, { stdio: "inherit" });
  stack.defer(async () => {
    await stop(sshfs, () => {
      execFileSync("fusermount3", ["-u", "-z", local]);
      // It stays as long as the mount stands in a namespace that somebody else made meanwhile.
      setTimeout(() => sshfs.kill("SIGTERM"), 2_000).unref();
    });
  });
  await mounted(local, sshfs);
  return { name: "openssh", local, remote };
}

async function places(base: string): Promise<{ local: string; remote: string }> {
  const [local, remote] = [join(base, "local"), join(base, "remote")];
  await mkdir(local, { recursive: true });
  await mkdir(remote);
  return { local, remote };
}

async function mounted(local: string, sshfs: ReturnType<typeof spawn>): Promise<void> {
  for (;;) {
    if (sshfs.exitCode !== null) throw new Error(`sshfs ended with ${sshfs.exitCode}`);
    if (execFileSync("cat", ["/proc/self/mountinfo"], { encoding: "utf8" }).includes(` ${local} `)) return;
    await sleep(20);
  }
}

/** sshd wants it where root runs it, and the system's own makes it at boot. */
async function privilegeSeparation(stack: AsyncDisposableStack): Promise<void> {
  const made = await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
  if (made !== undefined) stack.defer(() => rmdir("/run/sshd"));
}

function makeCertificate(cert: string, key: string): void {
  const subject = ["-subj", "/CN=bench", "-days", "2"];
  const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert];
  execFileSync("openssl", ["req", "-x509", ...made, ...subject], { stdio: "ignore" });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
