// How long the hosts file takes. Run: node --conditions=@shipside/source bench/hosts.ts — prints one JSON row a line.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHosts } from "@shipside/hosts";

export interface BenchRow {
  bench: string;
  names: number;
  /** Milliseconds over the runs. */
  median: number;
  min: number;
  max: number;
  runs: number;
}

/** Applies and restores `names` names in a file of its own, syncs to disk included. */
export async function benchHosts(names = 10_000, runs = 15): Promise<BenchRow[]> {
  const dir = await mkdtemp(join(tmpdir(), "shipside-bench-"));
  try {
    const path = join(dir, "hosts");
    await writeFile(path, "127.0.0.1 localhost\n::1 localhost ip6-localhost\n");
    const entries = Array.from({ length: Math.ceil(names / 4) }, (_, at) => {
      const name = `service-${at}`;
      const all = [name, `${name}.bench`, `${name}.bench.svc`, `${name}.bench.svc.cluster.local`];
      return { address: `127.72.${at >> 8}.${at & 255}`, names: all };
    });
    await using hosts = await openHosts({ path, owner: "bench" });
    const times: Record<"plan" | "apply" | "restore", number[]> = { plan: [], apply: [], restore: [] };
    for (let run = 0; run < runs; run++) {
      for (const step of ["plan", "apply", "restore"] as const) {
        const began = performance.now();
        await hosts[step](entries);
        times[step].push(performance.now() - began);
      }
    }
    return Object.entries(times).map(([step, all]) => {
      const sorted = all.map((time) => Math.round(time * 100) / 100).sort((a, b) => a - b);
      const at = (index: number): number => sorted[index] ?? 0;
      return { bench: `hosts ${step}`, names, median: at(sorted.length >> 1), min: at(0), max: at(sorted.length - 1), runs };
    });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

if (import.meta.main) for (const row of await benchHosts()) console.log(JSON.stringify(row));
