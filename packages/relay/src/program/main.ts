import { once } from "node:events";
import { start } from "./start.ts";

// The bundle's entry: everything else can be imported without anything happening.
const stopped = Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
start({ directory: import.meta.dirname, env: process.env, stopped, write: (line) => process.stdout.write(line) })
  .then(() => process.exit(0))
  .catch((error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  });
