import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { silentLogger } from "@shipside/core";
import { expect, test } from "vitest";
import { serveBridges, sweepBridges } from "./bridge-server.ts";

test("what a killed process left for its bridges is swept, and nothing of one that lives or has just begun", async () => {
  const directory = await mkdtemp(join(tmpdir(), "shipside-sshfs-"));
  const socket = join(directory, "socket");
  const listen = `require("net").createServer().listen(${JSON.stringify(socket)}, () => console.log("listening"))`;
  const dead = spawn(process.execPath, ["-e", listen], { stdio: ["ignore", "pipe", "ignore"] });
  await once(dead.stdout, "data");
  dead.kill("SIGKILL");
  await once(dead, "exit");
  await using server = await serveBridges({ open: () => Promise.reject(new Error("none")), logger: silentLogger });
  const live = server.command.split(" ").at(-1)!;
  await utimes(live, 0, 0);

  await utimes(socket, new Date(), new Date());
  await sweepBridges();
  expect([existsSync(directory), existsSync(live)]).toEqual([true, true]);
  await utimes(socket, 0, 0);
  await sweepBridges();
  expect([existsSync(directory), existsSync(dirname(live))]).toEqual([false, true]);
});
