import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectCluster, isReady, NAMESPACES, PODS } from "@shipside/kube";
import { startProgram } from "./child.ts";

const namespace = "bench";
const pod = { namespace, name: "holder" };
const FILES = 2_000;
const BULK_MIB = 32;

/** A pod's volume of many small files and a large one that doesn't compress, copied by our snapshot driver and by `kubectl cp`, in seconds. */
export interface Copies {
  readonly what: string;
  ours(): Promise<number>;
  kubectl(): Promise<number>;
}

export async function startCopies(stack: AsyncDisposableStack, kubectl: string): Promise<Copies> {
  const kubeconfig = (await startProgram(stack, "cluster", {})).said;
  const cluster = stack.use(await connectCluster({ kubeconfig }));
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
  const script = `cd /data; text=$(seq 500); i=0
while [ $i -lt ${FILES} ]; do d=d$((i / 100)); [ -d $d ] || mkdir $d; echo "$i $text" > $d/$i; i=$((i + 1)); done
head -c ${BULK_MIB * 1024 * 1024} /dev/urandom > bulk`;
  const { exitCode, stderr } = await cluster.exec(pod, ["sh", "-ec", script]);
  if (exitCode !== 0) throw new Error(`the volume could not be filled: ${stderr.toString()}`);
  const copier = await startProgram(stack, "copier", { kubeconfig, pod, remotePath: "/data" });
  const base = mkdtempSync(join(tmpdir(), "shipside-bench-copies-"));
  stack.defer(() => rmSync(base, { recursive: true, force: true }));
  let count = 0;

  const timed = async (copy: (directory: string) => Promise<unknown>): Promise<number> => {
    const directory = join(base, String(count++));
    mkdirSync(directory);
    const began = performance.now();
    await copy(directory);
    const took = (performance.now() - began) / 1000;
    // Removed at the end: for some time ext4 passes over what was just removed, one by one, with each file that is made.
    const found = readdirSync(directory, { recursive: true }).length;
    if (found < FILES) throw new Error(`only ${found} names were copied`);
    return took;
  };
  return {
    what: `a volume of ${FILES} files and ${BULK_MIB} MiB, copied once`,
    ours: () =>
      timed(async (directory) => {
        const done = once(copier.lines, "line");
        copier.child.stdin!.write(`${directory}\n`);
        await done;
      }),
    kubectl: () =>
      timed(async (directory) => {
        const args = ["--kubeconfig", kubeconfig, "-n", namespace, "cp", "holder:/data", directory];
        execFileSync(kubectl, args, { stdio: ["ignore", "ignore", "pipe"] });
      }),
  };
}
