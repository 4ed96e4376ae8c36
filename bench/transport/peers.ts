import { type ChildProcess, spawn } from "node:child_process";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { PROGRAM_PORT } from "./program.ts";

/** A process that brings a pod's port to this machine. */
export interface Peer extends AsyncDisposable {
  readonly name: string;
  /** The program's port, on 127.0.0.1. */
  readonly port: number;
  /** The local ports of the other remote ports asked for. */
  readonly ports: Readonly<Record<number, number>>;
  readonly process: ChildProcess;
  /** What it wrote to stderr, the last 20 lines. */
  readonly log: readonly string[];
}

export interface PeerTarget {
  kubeconfig: string;
  namespace: string;
  pod: string;
  /** Of the pod, and for a relay. Default `node:24`. */
  image?: string;
  /** Remote ports besides the program's. */
  others?: readonly number[];
}

/** A relay's image may have to be pulled. */
const READY_MS = 140_000;

async function start(
  name: string,
  command: string,
  args: string[],
  ready: (line: string) => Record<string, number> | undefined,
): Promise<Peer> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const log: string[] = [];
  createInterface(child.stderr!).on("line", (line) => {
    log.push(line);
    if (log.length > 20) log.shift();
  });
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const hard = setTimeout(() => child.kill("SIGKILL"), 3_000);
    await gone;
    clearTimeout(hard);
  };
  try {
    const ports = await new Promise<Record<string, number>>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => reject(new Error(`${name} ended with ${code}: ${log.join("\n")}`)));
      setTimeout(() => reject(new Error(`${name} was not ready within ${READY_MS} ms: ${log.join("\n")}`)), READY_MS).unref();
      createInterface(child.stdout!).on("line", (line) => {
        const found = ready(line);
        if (found) resolve(found);
      });
    });
    return { name, port: ports[PROGRAM_PORT]!, ports, process: child, log, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const remotes = (target: PeerTarget): number[] => [PROGRAM_PORT, ...(target.others ?? [])];

/** `built`: what users get, from `dist`, instead of the sources. `viaRelay`: through a relay in the cluster instead of port-forward. */
export function startOurs(
  target: PeerTarget,
  { built = false, viaRelay = false }: { built?: boolean; viaRelay?: boolean } = {},
): Promise<Peer> {
  const forwarder = fileURLToPath(import.meta.resolve("./forwarder.js"));
  const args = [forwarder, target.kubeconfig, target.namespace, target.pod, ...remotes(target).map(String)];
  if (viaRelay) args.push(`--via-relay=${target.image ?? "node:24"}`);
  if (!built) args.unshift("--conditions=@shipside/source");
  args.unshift("--max-semi-space-size=2"); // as the daemon's process is started: `daemonCommand`
  return start("ours", process.execPath, args, (line) => (JSON.parse(line) as { ports: Record<string, number> }).ports);
}

export function startKubectl(target: PeerTarget, kubectl: string): Promise<Peer> {
  const wanted = remotes(target);
  const args = [
    "--kubeconfig",
    target.kubeconfig,
    "-n",
    target.namespace,
    "port-forward",
    `pod/${target.pod}`,
    ...wanted.map((port) => `:${port}`),
    "--address",
    "127.0.0.1",
  ];
  const ports: Record<string, number> = {};
  return start("kubectl", kubectl, args, (line) => {
    const match = /^Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)/.exec(line);
    if (match) ports[match[2]!] = Number(match[1]);
    return Object.keys(ports).length === wanted.length ? ports : undefined;
  });
}

/** `given`, else the one on PATH; undefined where there is none. */
export async function findKubectl(given?: string): Promise<string | undefined> {
  const candidates = given ? [given] : (process.env["PATH"] ?? "").split(delimiter).map((directory) => join(directory, "kubectl"));
  for (const path of candidates) {
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}
