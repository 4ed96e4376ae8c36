#!/usr/bin/env node
import { main } from "./main.ts";

// What `ps`, and whoever is told who holds a port, sees.
process.title = ["shipside", ...process.argv.slice(2, 3)].join(" ");
const code = await main(process.argv.slice(2));
// Sockets that a library keeps warm must not hold the process; what was written is out (pipes are synchronous but on Windows).
process.stdout.write("", () => process.exit(code));
