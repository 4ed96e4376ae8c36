// `pnpm bench NAME [options]` runs bench/NAME.ts; without a name it lists what there is.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const [name, ...options] = process.argv.slice(2);
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && file !== "run.ts" && !file.endsWith(".test.ts"))
  .map((file) => file.slice(0, -3));
if (name !== undefined && names.includes(name)) {
  // A process of its own: a benchmark prints only where it is the main module, so that tests may import it.
  const program = join(import.meta.dirname, `${name}.ts`);
  process.exitCode = spawnSync(process.execPath, [...process.execArgv, program, ...options], { stdio: "inherit" }).status ?? 1;
} else {
  console.error(`pnpm bench NAME, one of: ${names.join(", ")}`);
  process.exitCode = 2;
}
