import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { identifySelf, ShipsideError } from "@shipside/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectControl, tryConnectControl } from "./client.ts";
import { PROTOCOL } from "./protocol.ts";
import { type Methods, serveControl } from "./server.ts";

let root: string;
let dir: string;
let path: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "shipside-control-"));
  dir = join(root, "run");
  await mkdir(dir, { mode: 0o700 });
  path = join(dir, "control.sock");
});
afterEach(() => rm(root, { recursive: true, force: true }));

const serve = (methods: Methods = {}) => serveControl({ path, hello: { version: "1.2.3", kind: "daemon" }, methods });

/** Something that answers on the socket and isn't our server. */
async function stranger(says: string): Promise<AsyncDisposable> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(says);
  });
  server.listen(path);
  await once(server, "listening");
  return { [Symbol.asyncDispose]: async () => void (await new Promise((resolve) => server.close(resolve))) };
}

test("calls, events and errors go through with code, hint, details and cause", async () => {
  await using _server = await serve({
    add: async (params) => (params as number[]).reduce((a, b) => a + b),
    count: async (_params, { emit }) => {
      for (const n of [1, 2, 3]) emit({ n });
      return "done";
    },
    fail: async () => {
      throw new ShipsideError("SOME_CODE", "it failed", { hint: "do this", details: { a: 1 }, cause: new Error("why") });
    },
  });
  await using client = await connectControl({ path });
  expect(client.hello).toEqual({
    protocol: PROTOCOL,
    version: "1.2.3",
    pid: process.pid,
    kind: "daemon",
    identity: await identifySelf(),
  });
  expect(await client.call("add", [1, 2])).toBe(3);
  const events: unknown[] = [];
  expect(await client.call("count", {}, { onEvent: (event) => events.push(event) })).toBe("done");
  expect(events).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  await expect(client.call("fail")).rejects.toMatchObject({
    code: "SOME_CODE",
    message: "it failed",
    hint: "do this",
    details: { a: 1 },
    cause: { message: "why" },
  });
  await expect(client.call("toString")).rejects.toMatchObject({ code: "DAEMON_PROTOCOL" });
});

test("the socket is the user's alone", async () => {
  await using _server = await serve();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(dir)).mode & 0o777).toBe(0o700);
});

test("a call that is taken back aborts at the server, and so does one whose client went", async () => {
  const reasons: string[] = [];
  await using _server = await serve({
    wait: (params, { signal, gone }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          reasons.push(`${params} ${gone.aborted ? "gone" : "cancelled"}`);
          reject(new ShipsideError("ABORTED", "stopped"));
        });
      }),
  });
  const client = await connectControl({ path });
  const cancel = new AbortController();
  const first = client.call("wait", "first", { signal: cancel.signal });
  const second = client.call("wait", "second");
  second.catch(() => {});
  cancel.abort();
  await expect(first).rejects.toMatchObject({ code: "ABORTED" });
  await client.close();
  await expect(second).rejects.toMatchObject({ code: "DAEMON_GONE" });
  await expect.poll(() => reasons).toEqual(["first cancelled", "second gone"]);
});

test("nobody there: DAEMON_UNREACHABLE, or undefined for who only asks", async () => {
  await expect(connectControl({ path })).rejects.toMatchObject({ code: "DAEMON_UNREACHABLE" });
  expect(await tryConnectControl({ path })).toBeUndefined();
  expect(await tryConnectControl({ path: join(dir, "no-such-folder", "control.sock") })).toBeUndefined();
});

test.each([
  [PROTOCOL - 1, "older"],
  [PROTOCOL + 1, "newer"],
])("a daemon of protocol %i is named as %s, and can still be asked for its pid", async (protocol, word) => {
  await using _old = await stranger(
    `${JSON.stringify({ shipside: { protocol, version: "9.9.9", pid: 4242 } })}\n{"of":"another form"}\n`,
  );
  await expect(connectControl({ path })).rejects.toMatchObject({
    code: "DAEMON_VERSION",
    message: expect.stringContaining(word),
    hint: expect.stringContaining("shipside stop"),
  });
  await using client = await connectControl({ path, anyVersion: true });
  expect(client.hello.pid).toBe(4242);
});

test.each([
  ["another program", "220 mail.example ESMTP\r\n"],
  ["JSON of somebody else", '{"jsonrpc":"2.0"}\n'],
])("%s on the socket is not misread", async (_name, says) => {
  await using _other = await stranger(says);
  await expect(connectControl({ path })).rejects.toMatchObject({ code: "DAEMON_PROTOCOL" });
});

test("one that says nothing is given up", async () => {
  await using _silent = await stranger("");
  await expect(connectControl({ path, timeoutMs: 100 })).rejects.toMatchObject({ code: "DAEMON_PROTOCOL" });
});

test("a client that speaks nonsense loses its connection, others stay", async () => {
  await using _server = await serve({ ping: async () => "pong" });
  await using client = await connectControl({ path });
  const { createConnection } = await import("node:net");
  const rude = createConnection(path);
  rude.on("error", () => {});
  rude.resume();
  rude.write("GET / HTTP/1.1\r\n\r\n");
  await once(rude, "close");
  expect(await client.call("ping")).toBe("pong");
});

test("only one serves; a second is told who", async () => {
  await using _server = await serve();
  await expect(serve()).rejects.toMatchObject({ code: "DAEMON_RUNNING", message: expect.stringContaining(String(process.pid)) });
  await using client = await connectControl({ path });
  expect(client.hello.version).toBe("1.2.3");
});

test("the socket of a process that was killed is taken over", async () => {
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.stdout.write("up"))`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  await using _server = await serve({ ping: async () => "pong" });
  await using client = await connectControl({ path });
  expect(await client.call("ping")).toBe("pong");
});

test("of several that find a dead socket at once, exactly one serves", async () => {
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", script]), "exit");
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => serve({ ping: async () => "pong" })));
  const servers = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  expect(servers).toHaveLength(1);
  await using client = await connectControl({ path });
  expect(await client.call("ping")).toBe("pong");
  await servers[0]!.close();
});

test("a folder that others may enter, or a link in its place, is refused on both sides", async () => {
  const open = join(dir, "open");
  await mkdir(open);
  await chmod(open, 0o755);
  const options = { hello: { version: "1", kind: "daemon" as const }, methods: {} };
  await expect(serveControl({ ...options, path: join(open, "s") })).rejects.toMatchObject({ code: "RUNTIME_DIR_UNSAFE" });
  await expect(connectControl({ path: join(open, "s") })).rejects.toMatchObject({ code: "RUNTIME_DIR_UNSAFE" });
  const link = join(dir, "link");
  await mkdir(join(dir, "real"), { mode: 0o700 });
  await symlink(join(dir, "real"), link);
  await expect(serveControl({ ...options, path: join(link, "s") })).rejects.toMatchObject({ code: "RUNTIME_DIR_UNSAFE" });
  await writeFile(join(dir, "file"), "");
  await expect(connectControl({ path: join(dir, "file", "s") })).rejects.toMatchObject({ code: "RUNTIME_DIR_UNSAFE" });
});

test("closing lets a call answer, then ends the connections", async () => {
  const server = await serve({
    slow: async () => {
      await delay(50);
      return "answered";
    },
  });
  const client = await connectControl({ path });
  const answer = client.call("slow");
  await delay(10);
  await server.close();
  await server.close();
  expect(await answer).toBe("answered");
  await expect.poll(() => client.ended.aborted).toBe(true);
  await expect(client.call("slow")).rejects.toMatchObject({ code: "DAEMON_GONE" });
  expect(await tryConnectControl({ path })).toBeUndefined();
});

test("the folder goes with the last socket, and comes again", async () => {
  const [first, second] = await Promise.all([
    serve(),
    serveControl({ path: join(dir, "fg-1.sock"), hello: { version: "1", kind: "foreground" }, methods: {} }),
  ]);
  await first.close();
  expect((await stat(dir)).isDirectory()).toBe(true);
  await second.close();
  await expect(stat(dir)).rejects.toMatchObject({ code: "ENOENT" });
  await using _again = await serve();
  expect((await stat(dir)).mode & 0o777).toBe(0o700);
});
