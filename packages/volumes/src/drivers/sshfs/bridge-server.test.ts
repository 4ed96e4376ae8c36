import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
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

test("a bridge whose server goes bit by bit, as one does that is killed, removes what belonged to it all the same", async () => {
  const directory = await mkdtemp(join(tmpdir(), "shipside-sshfs-"));
  const path = join(directory, "socket");
  // The kernel closes what a killed process had open one by one: here the first connection long before what listens.
  const dying = `let count = 0;
    require("net").createServer((socket) => ++count === 1 ? socket.destroy() : process.kill(process.pid, "SIGKILL"))
      .listen(${JSON.stringify(path)}, () => console.log("listening"))`;
  const server = spawn(process.execPath, ["-e", dying], { stdio: ["ignore", "pipe", "ignore"] });
  await once(server.stdout, "data");
  const program = fileURLToPath(new URL("./bridge.ts", import.meta.url));
  const bridge = spawn(process.execPath, [program, path], { stdio: ["pipe", "ignore", "inherit"] });
  await once(bridge, "exit");
  expect(existsSync(directory)).toBe(false);
});
