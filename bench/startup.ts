// How long the command line takes to say its help and its version, beside a bare Node. Prints one JSON row a line.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface StartupRow {
  figure: string;
  /** Milliseconds, median of the interleaved rounds. */
  ours: number;
  /** A bare `node -e 0`. */
  peer: number;
  /** What `ours` must not exceed: 1.5 × peer + 60. */
  limit: number;
  unit: "ms";
  rounds: number;
}

const bin = fileURLToPath(new URL("../packages/cli/dist/bin.js", import.meta.url));

/** Rounds are interleaved, so that a busy moment of the machine is everybody's. */
export function benchStartup(rounds = 21): StartupRow[] {
  if (!existsSync(bin)) throw new Error("build first: pnpm build");
  const runs: Record<string, string[]> = {
    node: ["-e", "0"],
    "--help": [bin, "--help"],
    "--version": [bin, "--version"],
    "help teleport": [bin, "help", "teleport"],
    "session list": [bin, "session", "list", "-q"],
  };
  const times = Object.fromEntries(Object.keys(runs).map((figure) => [figure, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [figure, args] of Object.entries(runs)) {
      const began = performance.now();
      execFileSync(process.execPath, args, { stdio: "ignore" });
      times[figure]!.push(performance.now() - began);
    }
  }
  const median = (figure: string): number => Math.round(times[figure]!.sort((a, b) => a - b)[rounds >> 1]! * 10) / 10;
  const peer = median("node");
  return Object.keys(runs)
    .filter((figure) => figure !== "node")
    .map((figure) => ({ figure, ours: median(figure), peer, limit: Math.round(1.5 * peer + 60), unit: "ms", rounds }));
}

if (import.meta.main) for (const row of benchStartup()) console.log(JSON.stringify(row));
