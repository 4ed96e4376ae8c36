import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { identify, isRunning, pidOf } from "@shipside/core";
import { expect, it } from "vitest";

/** Has the agent run something and send it a connection, and is killed before it takes that. */
const MAKER = `
import { spawn } from "node:child_process";
import { createServer } from "node:net";
const server = createServer().listen(0, "127.0.0.1", () => {
  const env = { ...process.env, SHIPSIDE_UID: String(process.getuid()), SHIPSIDE_GID: String(process.getgid()) };
  const agent = spawn(process.execPath, process.argv.slice(1), { env, stdio: ["ignore", "ignore", "inherit", "ipc"], detached: true });
  console.log(agent.pid);
  agent.on("message", ({ ready, id }) => {
    if (ready) agent.send({ id: 1, op: "run", command: ["sleep", "12"], env: process.env, cwd: "/", stdout: "stderr" });
    else if (id === 1) {
      agent.send({ id: 2, op: "connect", address: "127.0.0.1", port: server.address().port }, () => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
        process.kill(process.pid, "SIGKILL");
      });
    }
  });
});`;

it("ends with who made it, also where that is killed with a socket on its way to it", async () => {
  const agent = [...process.execArgv, "--conditions=@shipside/source", fileURLToPath(new URL("./main.ts", import.meta.url))];
  const maker = spawn(process.execPath, ["--input-type=module", "-e", MAKER, "--", ...agent], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [said] = (await once(maker.stdout, "data")) as [Buffer];
  const found = await identify(Number(said));
  try {
    await expect.poll(() => isRunning(found), { timeout: 10_000 }).toBe(false);
  } finally {
    if (await isRunning(found)) process.kill(pidOf(found), "SIGKILL");
  }
});
