import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { bin, newUser } from "./cli.harness.ts";

function median(args: readonly string[]): number {
  const times = Array.from({ length: 9 }, () => {
    const began = performance.now();
    execFileSync(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    return performance.now() - began;
  });
  return times.sort((a, b) => a - b)[4]!;
}

test("help and version start within 1.5 times a bare Node's start plus 60 ms", async () => {
  await using _user = await newUser();
  const bare = median(["-e", "0"]);
  // Twice that: other tests run on the same cores. `pnpm bench startup` measures it alone.
  for (const flag of ["--help", "--version"]) expect(median([bin, flag]), flag).toBeLessThan(2 * (1.5 * bare + 60));
});
