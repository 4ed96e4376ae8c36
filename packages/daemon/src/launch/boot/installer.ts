/**
 * Run as root by `shipside start --install` and `--uninstall`: `installer --uid N --gid N install|uninstall`. Reads one line of JSON and
 * answers with one. What root will run at boot is copied from beside this file to a folder that is root's alone.
 */
import { createInterface } from "node:readline";
import { errorToJson } from "@shipside/core";
import { parseIds } from "../request.ts";
import { type InstallRequest, install, uninstall } from "./install.ts";

process.umask(0o022);
process.chdir("/");
for (const name of Object.keys(process.env)) delete process.env[name];
process.env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin";

const answer = (word: unknown): void => void process.stdout.write(`${JSON.stringify(word)}\n`, () => process.exit(0));

createInterface({ input: process.stdin }).once("line", async (line) => {
  try {
    const ids = parseIds(process.argv);
    const request = JSON.parse(line) as InstallRequest;
    if (process.argv.at(-1) === "install") answer({ installed: await install(ids, request) });
    else answer({ uninstalled: await uninstall(ids) });
  } catch (error) {
    answer({ error: errorToJson(error) });
  }
});
