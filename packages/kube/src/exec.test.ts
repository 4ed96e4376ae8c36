import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { sendStatus } from "./fixtures/fake-api.ts";
import { holdingTaker } from "./fixtures/holding-taker.ts";
import { type World, world } from "./fixtures/world.ts";

const pod = { namespace: "shop", name: "core-1" };

/** A server's frame: not masked. */
function frame(opcode: number, payload: Buffer, final = true): Buffer {
  const length =
    payload.length < 126 ? Buffer.from([payload.length]) : Buffer.from([126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([Buffer.from([(final ? 0x80 : 0) | opcode]), length, payload]);
}
const message = (channel: number, text: string): Buffer => frame(2, Buffer.concat([Buffer.from([channel]), Buffer.from(text)]));
const outcome = (status: object): Buffer => message(3, JSON.stringify({ kind: "Status", ...status }));
const SUCCESS = { status: "Success" };
const exitWith = (code: number) => ({
  status: "Failure",
  reason: "NonZeroExitCode",
  message: `command terminated with non-zero exit code: exit status ${code}`,
  details: { causes: [{ reason: "ExitCode", message: String(code) }] },
});

/** The messages that a client sends, unmasked. */
function* unmask(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at + 6 <= bytes.length; ) {
    const short = bytes[at + 1]! & 0x7f;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    const mask = bytes.subarray(at + head, at + head + 4);
    const payload = Buffer.from(bytes.subarray(at + head + 4, at + head + 4 + length));
    for (let i = 0; i < payload.length; i++) payload[i]! ^= mask[i & 3]!;
    if ((bytes[at]! & 0x0f) === 2) yield payload;
    at += head + 4 + length;
  }
}

/** A cluster whose exec speaks WebSocket as `talk` says. */
async function execWorld(talk: (socket: Duplex, request: IncomingMessage) => void, protocol = "v5.channel.k8s.io"): Promise<World> {
  const w = await world((_request, response) =>
    sendStatus(response, 404, "NotFound", 'pods "core-1" not found', { name: "core-1", kind: "pods" }),
  );
  w.api.server.on("upgrade", (request: IncomingMessage, socket: Duplex) => {
    socket.on("error", () => {});
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
    );
    talk(socket, request);
  });
  return w;
}

describe("exec", () => {
  test("what is asked, and output in pieces of pieces", async () => {
    let asked: IncomingMessage | undefined;
    await using w = await execWorld((socket, request) => {
      asked = request;
      const split = Buffer.from("grün");
      const cut = split.indexOf(0xc3) + 1;
      socket.write(frame(2, Buffer.concat([Buffer.from([1]), split.subarray(0, cut)]), false));
      socket.write(frame(9, Buffer.from("ping")));
      socket.write(frame(0, split.subarray(cut)));
      socket.write(Buffer.concat([message(2, "warning"), message(1, "\n"), outcome(SUCCESS), frame(8, Buffer.from([3, 232]))]));
    });
    const result = await w.cluster.exec(pod, ["sh", "-c", "echo a&b"], { container: "main" });
    expect(result).toEqual({ stdout: Buffer.from("grün\n"), stderr: Buffer.from("warning"), exitCode: 0 });
    expect(asked?.url).toBe(
      "/api/v1/namespaces/shop/pods/core-1/exec?command=sh&command=-c&command=echo+a%26b&container=main&stdin=false&stdout=true&stderr=true",
    );
    expect(asked?.headers).toMatchObject({
      authorization: "Bearer t0ken",
      "sec-websocket-protocol": "v5.channel.k8s.io, v4.channel.k8s.io",
    });
  });

  test("output as it comes: it waits where it is asked to, and what its taker throws is the answer", async () => {
    const whole = Buffer.alloc(3_000_000, "0123456789");
    await using w = await execWorld((socket) => {
      socket.resume();
      for (let at = 0; at < whole.length; at += 10_000)
        socket.write(frame(2, Buffer.concat([Buffer.from([1]), whole.subarray(at, at + 10_000)])));
      socket.end(Buffer.concat([message(2, "warning"), outcome(SUCCESS), frame(8, Buffer.from([3, 232]))]));
    });
    const taker = holdingTaker();
    const result = await w.cluster.exec(pod, ["x"], { onStdout: taker.onStdout });
    expect(result).toEqual({ stdout: Buffer.alloc(0), stderr: Buffer.from("warning"), exitCode: 0 });
    expect(taker.taken().equals(whole)).toBe(true);
    expect(taker.whileHeld).toBeLessThan(200_000);
    const onStdout = (): never => {
      throw new Error("no more");
    };
    await expect(w.cluster.exec(pod, ["x"], { onStdout })).rejects.toThrow("no more");
    await expect(w.cluster.exec(pod, ["x"], { onStdout: async () => onStdout() })).rejects.toThrow("no more");
    await expect.poll(() => w.api.sockets.size).toBe(0);
  });

  test("a non-zero exit is a result, also over v4", async () => {
    await using w = await execWorld(
      (socket) => socket.end(Buffer.concat([message(2, "no"), outcome(exitWith(42)), frame(8, Buffer.alloc(0))])),
      "v4.channel.k8s.io",
    );
    expect(await w.cluster.exec(pod, ["false"])).toEqual({ stdout: Buffer.alloc(0), stderr: Buffer.from("no"), exitCode: 42 });
  });

  test("input arrives whole and is ended", async () => {
    const stdin = Buffer.alloc(1_000_000, "0123456789");
    await using w = await execWorld((socket) => {
      const chunks: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        if (chunks.reduce((sum, { length }) => sum + length, 0) < stdin.length) return;
        const messages = [...unmask(Buffer.concat(chunks))];
        if (messages.at(-1)?.[0] !== 255) return;
        const got = Buffer.concat(messages.filter((m) => m[0] === 0).map((m) => m.subarray(1)));
        const ending = messages.at(-1)!;
        socket.end(Buffer.concat([message(1, `${got.equals(stdin)} ${[...ending]}`), outcome(SUCCESS), frame(8, Buffer.alloc(0))]));
      });
    });
    const { stdout } = await w.cluster.exec(pod, ["cat"], { stdin });
    expect(stdout.toString()).toBe("true 255,0");
  });

  test("input where its end can't be told is refused rather than left hanging", async () => {
    await using w = await execWorld(() => {}, "v4.channel.k8s.io");
    await expect(w.cluster.exec(pod, ["cat"], { stdin: Buffer.from("x") })).rejects.toMatchObject({
      code: "KUBE_EXEC_FAILED",
      hint: expect.stringContaining("1.30"),
    });
  });

  test("a command that could not be started, and a connection that ends too early, are errors", async () => {
    const reason = 'exec failed: "nope": executable file not found in $PATH';
    await using failing = await execWorld((socket) =>
      socket.end(
        Buffer.concat([outcome({ status: "Failure", reason: "InternalError", message: reason }), frame(8, Buffer.alloc(0))]),
      ),
    );
    await expect(failing.cluster.exec(pod, ["nope"])).rejects.toMatchObject({
      code: "KUBE_EXEC_FAILED",
      message: expect.stringContaining(reason),
    });
    await using cut = await execWorld((socket) => {
      socket.write(message(1, "half"));
      setTimeout(() => socket.destroy(), 20);
    });
    await expect(cut.cluster.exec(pod, ["x"])).rejects.toMatchObject({
      code: "KUBE_EXEC_FAILED",
      message: expect.stringContaining("ended before"),
    });
  });

  test("what the API server refuses has the request's codes", async () => {
    await using w = await world((_request, response) =>
      sendStatus(response, 404, "NotFound", 'pods "core-1" not found', { name: "core-1", kind: "pods" }),
    );
    await expect(w.cluster.exec(pod, ["x"])).rejects.toMatchObject({ code: "KUBE_NOT_FOUND", details: { status: 404 } });
    w.api.answer((_request, response) =>
      sendStatus(
        response,
        403,
        "Forbidden",
        'pods "core-1" is forbidden: User "jane" cannot create resource "pods/exec" in API group "" in the namespace "shop"',
      ),
    );
    await expect(w.cluster.exec(pod, ["x"])).rejects.toMatchObject({
      code: "KUBE_FORBIDDEN",
      hint: expect.stringContaining('resources: ["pods/exec"]\n  verbs: ["create"]'),
    });
    // As Kubernetes 1.35 puts it where `get` is allowed, and `create` isn't.
    w.api.answer((_request, response) => sendStatus(response, 403, "Forbidden", 'pods "core-1" is forbidden: '));
    await expect(w.cluster.exec(pod, ["x"])).rejects.toMatchObject({
      code: "KUBE_FORBIDDEN",
      message: expect.stringMatching(/^this user may not .* \(verb create on pods\/exec\)$/),
      hint: expect.stringContaining('resources: ["pods/exec"]\n  verbs: ["create"]'),
    });
    await expect(w.cluster.exec(pod, [])).rejects.toMatchObject({ code: "KUBE_OPTION_INVALID" });
  });

  test("a container that doesn't run is told as such: the kubelet's 500 is none of the API server's", async () => {
    await using w = await world((_request, response) => {
      // As the kubelet of 1.36 answers to each upgrade, and the API server passes on.
      response.writeHead(500, { "Content-Type": "text/plain; charset=utf-8" }).end('container not found ("ended")');
    });
    for (const bulk of [false, true]) {
      await expect(w.cluster.exec(pod, ["tar"], { container: "ended", bulk })).rejects.toMatchObject({
        code: "KUBE_EXEC_FAILED",
        message: "exec of tar in pod shop/core-1: no such container runs",
        hint: expect.stringContaining("does the container run"),
        cause: { code: "KUBE_SERVER_ERROR", message: expect.stringContaining('container not found ("ended")') },
      });
    }
    w.api.answer((_request, response) => void response.writeHead(500).end("etcdserver: request timed out"));
    await expect(w.cluster.exec(pod, ["tar"])).rejects.toMatchObject({ code: "KUBE_SERVER_ERROR" });
  });

  test("aborting and closing let go at once, and leave no connection", async () => {
    await using w = await execWorld(() => {});
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("enough")), 150);
    await expect(w.cluster.exec(pod, ["sleep"], { signal: abort.signal })).rejects.toThrow("enough");
    const running = w.cluster.exec(pod, ["sleep"]).catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await w.cluster.close();
    expect(await running).toMatchObject({ code: "KUBE_CLOSED" });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(w.api.sockets.size).toBe(0);
  });
});
