// `pnpm bench NAME [options]` runs bench/NAME.ts; without a name it lists what there is.
import { readdirSync } from "node:fs";

const name = process.argv[2];
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && file !== "run.ts" && !file.endsWith(".test.ts"))
  .map((file) => file.slice(0, -3));
if (name !== undefined && names.includes(name)) {
  process.argv.splice(2, 1);
  await import(`./${name}.ts`);
} else {
  console.error(`pnpm bench NAME, one of: ${names.join(", ")}`);
  process.exitCode = 2;
}
