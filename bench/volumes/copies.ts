import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connectCluster, isReady, NAMESPACES, PODS } from "@shipside/kube";
import { startProgram } from "./child.ts";
import type { WayOptions } from "./way.ts";

const namespace = "bench";
const pod = { namespace, name: "holder" };

/** What a volume has in it. */
export interface Contents {
  /** Of a directory. */
  name: string;
  figure: string;
  /** Fills the directory `$1` of the pod, of what comes as its input. */
  script: string;
  input?: () => Buffer;
  /** So many names at least. */
  names: number;
}

const MANY = `text=$(seq 500); i=0
while [ $i -lt 2000 ]; do d=$1/d$((i / 100)); [ -d $d ] || mkdir $d; echo "$i $text" > $d/$i; i=$((i + 1)); done`;
const LARGE = `head -c ${32 * 1024 * 1024} /dev/urandom > $1/bulk`;

export const CONTENTS: readonly Contents[] = [
  { name: "few", figure: "snapshot: 20 files of 2 KiB", script: "for i in $(seq 20); do seq 500 > $1/$i; done", names: 20 },
  { name: "many", figure: "snapshot: 2,000 files of 2 KiB", script: MANY, names: 2_000 },
  { name: "large", figure: "snapshot: a file of 32 MiB that doesn't compress", script: LARGE, names: 1 },
  { name: "both", figure: "snapshot: 2,000 files and one of 32 MiB", script: `${MANY}; ${LARGE}`, names: 2_001 },
  {
    name: "sources",
    figure: "snapshot: this repository's packages and docs, four times",
    script: "tar xf - -C $1; for i in 2 3 4; do mkdir $1/again$i; cp -r $1/packages $1/docs $1/again$i; done",
    input: () => execFileSync("git", ["archive", "HEAD", "packages", "docs"], { maxBuffer: 1024 ** 3 }),
    names: 1_000,
  },
];

/** A pod's volume, copied by our snapshot driver and by `kubectl cp`, in seconds. */
export interface Copies {
  readonly figure: string;
  ours(): Promise<number>;
  kubectl(): Promise<number>;
}

/** How far the cluster is. */
export interface Distance {
  rttMs: number;
  /** Of the way from it. */
  bytesPerSecond?: number;
}

export async function startCopies(
  stack: AsyncDisposableStack,
  kubectl: string,
  contents: readonly Contents[],
  distance: Distance,
): Promise<Copies[]> {
  const base = mkdtempSync(join(tmpdir(), "shipside-bench-copies-"));
  stack.defer(() => rmSync(base, { recursive: true, force: true }));
  const near = (await startProgram(stack, "cluster", {})).said;
  await using cluster = await connectCluster({ kubeconfig: near });
  await startPod(cluster);
  for (const { name, script, input } of contents) {
    const command = ["sh", "-ec", `mkdir $1; ${script}`, "sh", `/data/${name}`];
    const { exitCode, stderr } = await cluster.exec(pod, command, input && { stdin: input() });
    if (exitCode !== 0) throw new Error(`the volume could not be filled: ${stderr.toString()}`);
  }
  const kubeconfig = await fromAfar(stack, near, join(base, "kubeconfig"), distance);
  const copier = await startProgram(stack, "copier", { kubeconfig, pod });
  let count = 0;

  const timed = async (names: number, copy: (directory: string) => Promise<unknown>): Promise<number> => {
    const directory = join(base, String(count++));
    mkdirSync(directory);
    const began = performance.now();
    await copy(directory);
    const took = (performance.now() - began) / 1000;
    // Removed at the end: for some time ext4 passes over what was just removed, one by one, with each file that is made.
    const found = readdirSync(directory, { recursive: true }).length;
    if (found < names) throw new Error(`only ${found} names were copied`);
    return took;
  };
  return contents.map(({ name, figure, names }) => ({
    figure,
    ours: () =>
      timed(names, async (localPath) => {
        const done = once(copier.lines, "line");
        copier.child.stdin!.write(`${JSON.stringify({ remotePath: `/data/${name}`, localPath })}\n`);
        await done;
      }),
    kubectl: () =>
      timed(names, async (directory) => {
        const args = ["--kubeconfig", kubeconfig, "-n", namespace, "cp", `holder:/data/${name}`, directory];
        execFileSync(kubectl, args, { stdio: ["ignore", "ignore", "pipe"] });
      }),
  }));
}

async function startPod(cluster: Cluster): Promise<void> {
  await cluster.create(NAMESPACES, { metadata: { name: namespace } });
  await cluster.create(PODS, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: pod,
    spec: {
      volumes: [{ name: "data", emptyDir: {} }],
      containers: [
        {
          name: "main",
          image: "busybox",
          command: ["sleep", "98765"],
          volumeMounts: [{ name: "data", mountPath: "/data" }],
        },
      ],
    },
  } as never);
  while (!isReady(await cluster.get(PODS, pod))) await sleep(100);
}

/** The kubeconfig of the same cluster at a distance. */
async function fromAfar(
  stack: AsyncDisposableStack,
  near: string,
  path: string,
  { rttMs, bytesPerSecond }: Distance,
): Promise<string> {
  if (rttMs === 0 && bytesPerSecond === undefined) return near;
  const text = readFileSync(near, "utf8");
  const server = /https:\/\/127\.0\.0\.1:(\d+)/;
  const port = Number(server.exec(text)![1]);
  const options: WayOptions = { port, delayMs: rttMs / 2, ...(bytesPerSecond !== undefined && { bytesPerSecond }) };
  writeFileSync(path, text.replace(server, `https://127.0.0.1:${(await startProgram(stack, "way", options)).said}`));
  return path;
}
