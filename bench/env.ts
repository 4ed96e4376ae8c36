// How long an environment takes. Run: node --conditions=@shipside/source bench/env.ts — prints one JSON row a line.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collectEnv, watchEnv } from "@shipside/envexport";
import { connectCluster } from "@shipside/kube";
import { startCluster } from "@shipside/testkit";

export interface BenchRow {
  bench: string;
  /** Milliseconds over the runs. */
  median: number;
  min: number;
  max: number;
  runs: number;
}

const OBJECTS = 20;
const KEYS = 10;

/** A workload with 200 keys from 20 objects: collected; and the time from a ConfigMap's change to the written file. */
export async function benchEnv(runs = 15): Promise<BenchRow[]> {
  const dir = await mkdtemp(join(tmpdir(), "shipside-bench-"));
  await using embedded = await startCluster({ node: false, controllers: false });
  await using cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
  const object = (kind: string, name: string, fields: object) => ({
    apiVersion: "v1",
    kind,
    metadata: { name, namespace: "default" },
    ...fields,
  });
  const data = (name: string, value: string) =>
    Object.fromEntries(Array.from({ length: KEYS }, (_, at) => [`${name}-${at}`, value]));
  const names = Array.from({ length: OBJECTS }, (_, at) => `part-${at}`);
  const isSecret = (at: number): boolean => at % 2 === 1;
  const envFrom = names.map((name, at) => (isSecret(at) ? { secretRef: { name } } : { configMapRef: { name } }));
  await embedded.apply([
    ...names.map((name, at) =>
      isSecret(at) ? object("Secret", name, { stringData: data(name, "x") }) : object("ConfigMap", name, { data: data(name, "x") }),
    ),
    object("Pod", "core", { spec: { nodeName: "elsewhere", containers: [{ name: "c", image: "node", envFrom }] } }),
  ]);
  const request = { workload: "pod/core", namespace: "default" };
  const path = join(dir, "core.json");
  // The first request loads the Kubernetes client, which is another bench's business.
  await collectEnv(cluster, request);
  const times: Record<string, number[]> = { "env collect": [], "env change to file": [] };
  try {
    for (let run = 0; run < runs; run++) {
      const began = performance.now();
      await collectEnv(cluster, request);
      times["env collect"]?.push(performance.now() - began);
    }
    let changed = (): void => {};
    await using _watch = await watchEnv(cluster, { ...request, file: { path }, onChange: () => changed() });
    for (let run = 0; run < runs; run++) {
      const written = new Promise<void>((resolve) => {
        changed = resolve;
      });
      const began = performance.now();
      await embedded.apply([object("ConfigMap", "part-0", { data: data("part-0", `run ${run}`) })]);
      await written;
      times["env change to file"]?.push(performance.now() - began);
      if (!(await readFile(path, "utf8")).includes(`run ${run}`)) throw new Error("the file is not current");
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return Object.entries(times).map(([bench, all]) => {
    const sorted = all.map((time) => Math.round(time * 100) / 100).sort((a, b) => a - b);
    const at = (index: number): number => sorted[index] ?? 0;
    return { bench, median: at(sorted.length >> 1), min: at(0), max: at(sorted.length - 1), runs };
  });
}

if (import.meta.main) for (const row of await benchEnv()) console.log(JSON.stringify(row));
