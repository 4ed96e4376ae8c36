import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const launcher = fileURLToPath(new URL("launcher.ts", import.meta.url));
/** Of nobody that the user database knows. */
const ID = 54_321;
const root = process.getuid?.() === 0 && process.platform === "linux";

let dir: string;
let program: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-launcher-"));
  // Its user is another, who writes a log there.
  await chmod(dir, 0o777);
  program = join(dir, "program.cjs");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** As the helper starts it; `by` stands before it. */
function start({ by = [], uid = ID }: { by?: readonly string[]; uid?: number } = {}): ChildProcess {
  const [file, ...args] = [
    ...by,
    process.execPath,
    "--conditions=@shipside/source",
    launcher,
    "--uid",
    `${uid}`,
    "--gid",
    `${uid}`,
  ];
  return spawn(file!, args, { stdio: ["ipc", "ignore", "ignore"], env: {}, cwd: "/", serialization: "json" });
}

async function answerTo(request: unknown, options: Parameters<typeof start>[0] = {}): Promise<unknown> {
  const child = start(options);
  child.send(request as object);
  const [answer] = await once(child, "message");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return answer;
}

const request = (env: Record<string, string> = {}) => ({
  env,
  exec: [process.execPath, program, "an argument"],
  log: join(dir, "log"),
});

const failed = (message: RegExp) => ({
  error: expect.objectContaining({ code: "LAUNCH_FAILED", message: expect.stringMatching(message) }),
});

describe.skipIf(!root)("the launcher", () => {
  test("becomes a user whom no database knows, with that one group, and then the program, with its own environment", async () => {
    await writeFile(
      program,
      `const { argv, env, pid, title } = process;
       process.send({ pid, ids: [process.getuid(), process.geteuid(), process.getgid(), process.getegid()], groups: process.getgroups(), umask: process.umask(), arg: argv[2], env, title, cwd: process.cwd() }, () => process.disconnect());`,
    );
    const child = start();
    child.send(request({ HOME: "/home/x", NODE_OPTIONS: "--title=of-the-user" }));
    const [said] = await once(child, "message");
    expect(said).toEqual({
      pid: child.pid,
      ids: [ID, ID, ID, ID],
      groups: [ID],
      umask: 0o077,
      arg: "an argument",
      env: { HOME: "/home/x", NODE_OPTIONS: "--title=of-the-user" },
      title: "of-the-user",
      cwd: "/",
    });
    await once(child, "exit");
  });

  test("leaves the channel whole: messages and sockets go both ways after it; what is printed goes to the user's log", async () => {
    await writeFile(
      program,
      `process.on("message", (word, server) => {
         console.log("printed"); console.error("warned");
         process.send({ word, port: server.address().port }, () => { server.close(); process.disconnect(); });
       });
       process.send("here");`,
    );
    const child = start();
    child.send(request());
    await once(child, "message");
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    child.send("take it", server);
    expect((await once(child, "message"))[0]).toEqual({ word: "take it", port });
    await once(child, "exit");
    server.close();
    expect(await readFile(join(dir, "log"), "utf8")).toBe("printed\nwarned\n");
  });

  test("says why it can't, and ends", async () => {
    await writeFile(program, "");
    const nothing = "/nonexistent/node";
    expect(await answerTo({ ...request(), exec: [nothing] })).toEqual(failed(/ENOENT.*\/nonexistent\/node/));
    // The log is opened by the user, so root's files are safe from it.
    expect(await answerTo({ ...request(), log: "/etc/shipside-test.log" })).toEqual(failed(/EACCES/));
    expect(await answerTo({ env: {} })).toEqual(failed(/malformed/));
    expect(await answerTo(request(), { uid: 0 })).toEqual(failed(/uid 0 is none/));
  });

  test("starts nothing where it is not root, or would stay it in part", async () => {
    await writeFile(program, `process.send("started", () => process.exit())`);
    const nobody = ["setpriv", "--reuid=65534", "--clear-groups", "--regid=65534"];
    expect(await answerTo(request(), { by: nobody })).toEqual(failed(/could not become uid 54321/));
    const keeps = ["setpriv", "--securebits", "+no_setuid_fixup"];
    expect(await answerTo(request(), { by: keeps })).toEqual(
      failed(/the daemon would not be uid 54321 alone: setuid\(0\) is still allowed/),
    );
  });

  test("ends with the helper", async () => {
    const child = start();
    child.disconnect();
    expect(await once(child, "exit")).toEqual([1, null]);
  });
});
