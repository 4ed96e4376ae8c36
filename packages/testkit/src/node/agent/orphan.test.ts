import { spawn } from "node:child_process";
import { once } from "node:events";
import { identify, isRunning, pidOf } from "@shipside/core";
import { expect, test } from "vitest";
import { programPath } from "../program.ts";

/** Has the agent start a container and send it a connection, and is killed before it takes that. */
const NODE = `
import { spawn } from "node:child_process";
import { createServer } from "node:net";
const server = createServer().listen(0, "127.0.0.1", () => {
  const agent = spawn(process.execPath, process.argv.slice(1), { stdio: ["ignore", "ignore", "inherit", "ipc"], serialization: "advanced", detached: true });
  console.log(agent.pid);
  agent.on("message", ({ type, seq }) => {
    if (type === "ready") {
      const launch = { id: "one", argv: ["sleep", "98759"], env: process.env, cwd: "/", logFile: "/dev/null", maxLogBytes: 1e6 };
      agent.send({ seq: 1, op: "start", launch });
    } else if (seq === 1) {
      agent.send({ seq: 2, op: "dial", host: "127.0.0.1", port: server.address().port }, () => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
        process.kill(process.pid, "SIGKILL");
      });
    }
  });
});`;

test("an agent ends with its node, also where that is killed with a socket on its way to it", async () => {
  const agent = [...process.execArgv, "--conditions=@shipside/source", programPath("node/agent/pod-agent")];
  const node = spawn(process.execPath, ["--input-type=module", "-e", NODE, "--", ...agent], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = (await once(node.stdout, "data")) as [Buffer];
  const found = await identify(Number(said));
  try {
    await expect.poll(() => isRunning(found), { timeout: 10_000 }).toBe(false);
  } finally {
    if (await isRunning(found)) process.kill(pidOf(found), "SIGKILL");
  }
});
