import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import type { ExecOptions, NodeRuntime } from "../node/runtime.ts";
import { spdyOver, upgrade } from "./fixtures/spdy-test-client.ts";
import { createUpgradeHandler } from "./upgrade-handler.ts";

/** A node whose containers are this machine: commands run as they are. */
async function serve() {
  const killed: string[] = [];
  const children: ChildProcess[] = [];
  const node = {
    async exec(_namespace: string, pod: string, { command, container }: ExecOptions) {
      if (pod === "gone") throw Object.assign(new Error('pod "gone_ns" not found'), { code: "NotFound" });
      if (container === "other") throw Object.assign(new Error('container not found ("other")'), { code: "NotFound" });
      const child = spawn(command[0]!, command.slice(1), { stdio: "pipe" });
      await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
      children.push(child);
      // As over a connection: the outputs' ends may be there before the caller is.
      if (container === "slow") await Promise.all([child.stdout, child.stderr].map((output) => once(output.resume(), "end")));
      return {
        stdin: child.stdin,
        stdout: child.stdout,
        stderr: child.stderr,
        exited: new Promise<number>((resolve) => child.once("exit", (code) => resolve(code ?? 137))),
        kill() {
          if (child.exitCode === null) killed.push(command.join(" "));
          child.kill("SIGKILL");
        },
      };
    },
    async logs() {
      const log = new PassThrough();
      setTimeout(() => log.end("from the log\n"), 20);
      return log;
    },
  } as unknown as NodeRuntime;
  const handler = createUpgradeHandler();
  const api = createServer().listen(0, "127.0.0.1");
  await once(api, "listening");
  api.on("upgrade", (request, socket, head) => {
    const url = new URL(request.url!, "http://x");
    const [, pod, subresource] = url.pathname.split("/");
    handler(
      { request, socket, head, namespace: "ns", pod: pod!, subresource: subresource as "exec", query: url.searchParams },
      node,
    );
  });
  const { port } = api.address() as AddressInfo;
  return {
    killed,
    children,
    port,
    /** All of it over a WebSocket: what came on each channel, joined. */
    async webSocket(path: string, protocol: string, during: (socket: WebSocket) => void = () => {}) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, [protocol]);
      const channels = ["", "", "", "", ""];
      socket.on("message", (message: Buffer) => (channels[message[0]!] += message.subarray(1).toString()));
      await once(socket, "open");
      during(socket);
      const [code] = await once(socket, "close");
      return { stdout: channels[1], stderr: channels[2], status: JSON.parse(channels[3] || "null"), code };
    },
    async [Symbol.asyncDispose]() {
      for (const child of children) child.kill("SIGKILL");
      api.closeAllConnections();
      api.close();
    },
  };
}

const query = (command: string[], flags: Record<string, string>): string =>
  new URLSearchParams([...command.map((word): [string, string] => ["command", word]), ...Object.entries(flags)]).toString();
const OUT = { stdout: "true", stderr: "true" };

test("v5.channel.k8s.io: output, input with its end, exit status", async () => {
  await using api = await serve();
  const command = ["sh", "-c", "cat; echo oops >&2; exit 3"];
  const result = await api.webSocket(`/web/exec?${query(command, { ...OUT, stdin: "true" })}`, "v5.channel.k8s.io", (socket) => {
    socket.send(Buffer.from("\0hello "));
    socket.send(Buffer.from("\0world"));
    socket.send(Buffer.from([255, 0]));
  });
  expect(result).toMatchObject({ stdout: "hello world", stderr: "oops\n", code: 1000 });
  expect(result.status).toMatchObject({
    status: "Failure",
    reason: "NonZeroExitCode",
    message: expect.stringContaining("command terminated with non-zero exit code"),
    details: { causes: [{ reason: "ExitCode", message: "3" }] },
  });
});

test("v4.channel.k8s.io: success", async () => {
  await using api = await serve();
  const result = await api.webSocket(`/web/exec?${query(["echo", "hi"], OUT)}`, "v4.channel.k8s.io");
  expect(result).toMatchObject({ stdout: "hi\n", status: { metadata: {}, status: "Success" } });
});

test("a process that ended, without a word, before anybody read its outputs", async () => {
  await using api = await serve();
  const result = await api.webSocket(`/web/exec?${query(["false"], { ...OUT, container: "slow" })}`, "v5.channel.k8s.io");
  expect(result.status).toMatchObject({ reason: "NonZeroExitCode" });
});

test("a lot of output arrives whole, in order, through a client that reads slowly", async () => {
  await using api = await serve();
  const socket = new WebSocket(`ws://127.0.0.1:${api.port}/web/exec?${query(["seq", "1", "400000"], OUT)}`, ["v4.channel.k8s.io"]);
  const parts: Buffer[] = [];
  socket.on("message", (message: Buffer) => {
    if (message[0] === 1) parts.push(message.subarray(1));
    if (parts.length % 8 !== 0) return;
    socket.pause();
    setTimeout(() => socket.resume(), 2);
  });
  await once(socket, "close");
  const lines = Buffer.concat(parts).toString().trimEnd().split("\n");
  expect(lines).toHaveLength(400_000);
  expect(lines.every((line, i) => line === String(i + 1))).toBe(true);
});

test("a client that stops reading for longer than the process runs has all of it later", async () => {
  await using api = await serve();
  // Of one of these lengths the process is over, and some of it not sent yet.
  const read = async (size: number): Promise<number> => {
    const url = `ws://127.0.0.1:${api.port}/web/exec?${query(["head", "-c", String(size), "/dev/zero"], OUT)}`;
    const socket = new WebSocket(url, ["v4.channel.k8s.io"]);
    let got = 0;
    socket.on("message", (message: Buffer) => {
      if (message[0] === 1) got += message.length - 1;
    });
    socket.once("message", () => {
      socket.pause();
      // As kubectl's does: what comes to a socket that is closed already is answered by a reset.
      setTimeout(() => socket.ping(), 2_000);
      setTimeout(() => socket.resume(), 2_500);
    });
    socket.on("error", () => {});
    await once(socket, "close");
    return got;
  };
  const sizes = Array.from({ length: 8 }, (_, i) => 100_000 * 2 ** i);
  expect(await Promise.all(sizes.map(read))).toEqual(sizes);
});

test("what can't be run is a status on the error channel", async () => {
  await using api = await serve();
  const none = await api.webSocket(`/web/exec?${query(["no-such-program"], OUT)}`, "v5.channel.k8s.io");
  expect(none.status).toMatchObject({ status: "Failure", reason: "InternalError", code: 500 });
  expect(none.status.message).toMatch(/^(Internal error occurred: ){2}error executing command in container: .*no-such-program/);
});

// As Kubernetes 1.36 does it, which passes a WebSocket on to the kubelet. Before, the API server took the upgrade itself, and told it as a status.
test.each([
  ["a WebSocket", { Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "v5.channel.k8s.io" }],
  ["SPDY", { Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io" }],
])("where a container or a pod doesn't run the upgrade is refused, by %s too", async (_, headers) => {
  await using api = await serve();
  const key = { "Sec-WebSocket-Key": Buffer.alloc(16).toString("base64") };
  for (const [path, said] of [
    [`/web/exec?${query(["true"], { ...OUT, container: "other" })}`, 'container not found ("other")'],
    [`/gone/exec?${query(["true"], OUT)}`, 'pod "gone_ns" not found'],
  ] as const) {
    const { status, socket } = await upgrade(api.port, path, { ...headers, ...key });
    expect(status).toMatch(/^HTTP\/1.1 500 [\s\S]*Content-Type: text\/plain; charset=utf-8/);
    const body = socket.setEncoding("utf8");
    let text = "";
    for await (const part of body) text += part;
    expect(text).toBe(said);
  }
});

test("over SPDY, as kubectl's fallback does it", async () => {
  await using api = await serve();
  const headers = { Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io, v3.channel.k8s.io" };
  const { status, socket } = await upgrade(
    api.port,
    `/web/exec?${query(["sh", "-c", "cat; exit 7"], { stdin: "1", stdout: "1" })}`,
    headers,
  );
  expect(status).toMatch(/101 [\s\S]*X-Stream-Protocol-Version: v4.channel.k8s.io/);
  const client = await spdyOver(socket);
  await client.open(1, { streamtype: "error" });
  await client.open(3, { streamtype: "stdin" });
  client.data(3, "early ");
  await client.open(5, { streamtype: "stdout" });
  client.data(3, "late", true);
  expect((await client.ended(5)).toString()).toBe("early late");
  expect(JSON.parse((await client.ended(1)).toString())).toMatchObject({ details: { causes: [{ message: "7" }] } });
  // GOAWAY: nothing more comes.
  await client.until((frame) => frame.type === 7);

  const gone = await upgrade(api.port, `/gone/exec?${query(["true"], OUT)}`, headers);
  expect(gone.status).toMatch(/^HTTP\/1.1 500/);
  gone.socket.destroy();
});

test("a terminal has one output and takes sizes", async () => {
  await using api = await serve();
  const path = `/web/exec?${query(["sh", "-c", "read x; echo got $x"], { ...OUT, stdin: "true", tty: "true" })}`;
  const result = await api.webSocket(path, "v5.channel.k8s.io", (socket) => {
    socket.send(Buffer.from('\x04{"Width":80,"Height":24}'));
    socket.send(Buffer.from("\0it\n"));
  });
  expect(result).toMatchObject({ stdout: "got it\n", status: { status: "Success" } });
});

test("a client that goes away leaves the process, with its input at its end and what it prints unread, as on a real node", async () => {
  await using api = await serve();
  const said: string[] = [];
  for (const [script, flags] of [
    ["cat; exit 7", { stdin: "true", ...OUT }],
    ["while echo more; do :; done", OUT],
  ] as const) {
    const socket = new WebSocket(`ws://127.0.0.1:${api.port}/web/exec?${query(["sh", "-c", script], flags)}`, [
      "v5.channel.k8s.io",
    ]);
    socket.on("message", (message: Buffer) => said.push(message.subarray(1).toString()));
    await once(socket, "open");
    if (script.startsWith("while")) await expect.poll(() => said.join("")).toContain("more");
    socket.terminate();
  }
  await expect.poll(() => api.children[0]!.exitCode).toBe(7);
  const talker = api.children[1]!;
  const asleep = (): boolean => /^State:\s+S/m.test(readFileSync(`/proc/${talker.pid}/status`, "utf8"));
  // It waits for somebody to read.
  let found = 0;
  await expect.poll(() => (found = asleep() ? found + 1 : 0)).toBeGreaterThan(3);
  expect(talker.exitCode).toBeNull();
  expect(api.killed).toEqual([]);
});

test("attach is the container's output from now on", async () => {
  await using api = await serve();
  const result = await api.webSocket(`/web/attach?${query([], OUT)}`, "v5.channel.k8s.io");
  expect(result).toMatchObject({ stdout: "from the log\n", status: { status: "Success" } });
});

test("a request without a command or without streams is refused", async () => {
  await using api = await serve();
  for (const path of [`/web/exec?${query([], OUT)}`, `/web/exec?${query(["true"], {})}`]) {
    const { status, socket } = await upgrade(api.port, path, {
      Upgrade: "SPDY/3.1",
      "X-Stream-Protocol-Version": "v4.channel.k8s.io",
    });
    socket.destroy();
    expect(status).toMatch(/^HTTP\/1.1 400/);
  }
});
