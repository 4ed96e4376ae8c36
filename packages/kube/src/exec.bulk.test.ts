import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { sendStatus } from "./fixtures/fake-api.ts";
import { holdingTaker } from "./fixtures/holding-taker.ts";
import { type World, world } from "./fixtures/world.ts";
import { frame, frameReader, headerInflater } from "./portforward/fixtures/kubelet.ts";

const pod = { namespace: "shop", name: "core-1" };
const SUCCESS = Buffer.from(JSON.stringify({ kind: "Status", status: "Success" }));
const [ERROR, INPUT, OUTPUT] = [1, 3, 5];

/** The far end of one SPDY connection. */
interface Spdy {
  socket: Duplex;
  request: IncomingMessage;
  /** `streamtype`, and whether our half of it is closed, by id. */
  opened: Map<number, { type: string; closed: boolean }>;
  pongs: number[];
  input: Buffer[];
  inputEnded: boolean;
}

type Talk = (spdy: Spdy) => void;

/** Answers each stream, and calls `talk` when all of them are there. */
function speak(socket: Duplex, request: IncomingMessage, talk: Talk): void {
  const streams = request.url!.includes("stdin=true") ? 4 : 3;
  const spdy: Spdy = { socket, request, opened: new Map(), pongs: [], input: [], inputEnded: false };
  const inflate = headerInflater();
  const read = frameReader(({ control, type, id, flags, payload }) => {
    if (!control) {
      if (id !== INPUT) throw new Error(`bytes for stream ${id}, which is no input`);
      if (payload.length > 0) spdy.input.push(Buffer.from(payload));
      if (flags & 1) spdy.inputEnded = true;
    } else if (type === 6) spdy.pongs.push(payload.readUInt32BE(0));
    else if (type === 1) {
      const opened = payload.readUInt32BE(0);
      void inflate(Buffer.from(payload.subarray(10))).then((headers) => {
        spdy.opened.set(opened, { type: headers["streamtype"]!, closed: (flags & 1) === 1 });
        socket.write(frame.reply(opened));
        if (spdy.opened.size === streams) talk(spdy);
      });
    }
  });
  socket.on("data", read);
}

interface Ways {
  /** Over SPDY, or how it is refused. */
  spdy: Talk | { status: number; message: string } | "lost" | "silent";
  /** What the command says over a WebSocket. */
  webSocket?: string;
}

/** A cluster whose exec speaks as `ways` says; a request that is refused is counted too. */
async function bulkWorld(ways: Ways): Promise<World & { asked: string[] }> {
  const asked: string[] = [];
  const w = await world((request, response) => {
    asked.push(request.method!);
    const { status, message } = ways.spdy as { status: number; message: string };
    sendStatus(response, status, status === 403 ? "Forbidden" : "InternalError", message);
  });
  w.api.server.on("upgrade", (request: IncomingMessage, socket: Duplex) => {
    socket.on("error", () => {});
    const isSpdy = request.headers.upgrade === "SPDY/3.1";
    if (isSpdy && typeof ways.spdy === "object") {
      asked.push(request.method!);
      const { status: code, message } = ways.spdy;
      const details = { name: "core-1", kind: "pods" };
      const body = JSON.stringify({ kind: "Status", status: "Failure", code, message, details });
      socket.end(`HTTP/1.1 ${code} No\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
      return;
    }
    asked.push(request.method!);
    if (isSpdy) {
      const chosen = "X-Stream-Protocol-Version: v4.channel.k8s.io";
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n${chosen}\r\n\r\n`);
      if (typeof ways.spdy === "function") speak(socket, request, ways.spdy);
      else if (ways.spdy === "lost") socket.once("data", () => socket.destroy());
      else socket.resume().on("end", () => socket.end());
      return;
    }
    socket.resume();
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    const message = (channel: number, text: string): Buffer =>
      Buffer.concat([Buffer.from([0x82, text.length + 1, channel]), Buffer.from(text)]);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n`,
    );
    socket.end(Buffer.concat([message(1, ways.webSocket!), message(3, SUCCESS.toString()), Buffer.from([0x88, 2, 3, 232])]));
  });
  return Object.assign(w, { asked });
}

test("what is asked, and what comes of it: output in pieces, pings, and resets at the end", async () => {
  let spoken: Spdy | undefined;
  await using w = await bulkWorld({
    spdy(spdy) {
      spoken = spdy;
      const [error, output, errors] = [1, 3, 5];
      const said = Buffer.concat([
        frame.data(output, Buffer.from("gr")),
        frame.ping(2),
        frame.data(errors, Buffer.from("warning")),
        frame.data(output, Buffer.from("een\n")),
        frame.data(error, SUCCESS),
        ...[error, output, errors].map((id) => frame.reset(id)),
      ]);
      for (let at = 0; at < said.length; at += 5) spdy.socket.write(said.subarray(at, at + 5));
      setTimeout(() => spdy.socket.end(), 50);
    },
  });
  const result = await w.cluster.exec(pod, ["sh", "-c", "echo a&b"], { container: "main", bulk: true });
  expect(result).toEqual({ stdout: Buffer.from("green\n"), stderr: Buffer.from("warning"), exitCode: 0 });
  expect(`${spoken?.request.method} ${spoken?.request.url}`).toBe(
    "POST /api/v1/namespaces/shop/pods/core-1/exec?command=sh&command=-c&command=echo+a%26b&container=main&stdin=false&stdout=true&stderr=true",
  );
  expect(spoken?.request.headers).toMatchObject({
    authorization: "Bearer t0ken",
    "x-stream-protocol-version": "v4.channel.k8s.io",
  });
  expect([...spoken!.opened.values()]).toEqual(["error", "stdout", "stderr"].map((type) => ({ type, closed: true })));
  expect(spoken?.pongs).toEqual([2]);
  expect(w.asked).toEqual(["POST"]);
});

test("input arrives whole and is ended; none is an input that stays open", async () => {
  const stdin = Buffer.alloc(1_000_000, "0123456789");
  await using w = await bulkWorld({
    spdy(spdy) {
      const tell = (): void => {
        const whole = Buffer.concat(spdy.input);
        if (whole.length < stdin.length || !spdy.inputEnded) return void setTimeout(tell, 5);
        spdy.socket.end(Buffer.concat([frame.data(OUTPUT, Buffer.from(String(whole.equals(stdin)))), frame.data(ERROR, SUCCESS)]));
      };
      expect(spdy.opened.get(INPUT)).toEqual({ type: "stdin", closed: false });
      if (spdy.request.url!.includes("command=cat")) tell();
      else
        setTimeout(
          () =>
            spdy.socket.end(Buffer.concat([frame.data(OUTPUT, Buffer.from(String(spdy.inputEnded))), frame.data(ERROR, SUCCESS)])),
          50,
        );
    },
  });
  expect((await w.cluster.exec(pod, ["cat"], { stdin, bulk: true })).stdout.toString()).toBe("true");
  expect((await w.cluster.exec(pod, ["sleep"], { stdin: "open", bulk: true })).stdout.toString()).toBe("false");
});

test("output as it comes: it waits where it is asked to, and what its taker throws is the answer", async () => {
  const whole = Buffer.alloc(8_000_000, "0123456789");
  await using w = await bulkWorld({
    spdy({ socket }) {
      for (let at = 0; at < whole.length; at += 10_000) socket.write(frame.data(3, whole.subarray(at, at + 10_000)));
      socket.end(frame.data(ERROR, SUCCESS));
    },
  });
  const taker = holdingTaker();
  const result = await w.cluster.exec(pod, ["x"], { onStdout: taker.onStdout, bulk: true });
  expect(result).toEqual({ stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), exitCode: 0 });
  expect(taker.taken().equals(whole)).toBe(true);
  expect(taker.whileHeld).toBeLessThan(200_000);
  const onStdout = (): never => {
    throw new Error("no more");
  };
  await expect(w.cluster.exec(pod, ["x"], { onStdout, bulk: true })).rejects.toThrow("no more");
  await expect.poll(() => w.api.sockets.size).toBe(0);
});

test.each([
  ["a right that only a WebSocket doesn't take", { status: 403, message: "no" }],
  ["a proxy that takes the upgrade off", { status: 400, message: "Upgrade request required" }],
  ["a proxy that can't", { status: 502, message: "bad gateway" }],
  ["a proxy that lets nothing pass after it", "lost"],
] as const)("where SPDY is refused the command runs over WebSocket, and so does the next at once: %s", async (_, spdy) => {
  await using w = await bulkWorld({ spdy, webSocket: "there" });
  const run = async (): Promise<string> => (await w.cluster.exec(pod, ["x"], { bulk: true })).stdout.toString();
  expect(await run()).toBe("there");
  expect(await run()).toBe("there");
  expect(w.asked).toEqual(["POST", "GET", "GET"]);
});

test("where nothing comes after the upgrade, nor its end, it isn't waited for either", { timeout: 15_000 }, async () => {
  await using w = await bulkWorld({ spdy: "silent", webSocket: "there" });
  expect((await w.cluster.exec(pod, ["x"], { bulk: true })).stdout.toString()).toBe("there");
  await expect.poll(() => w.api.sockets.size).toBe(0);
});

test("a pod that isn't there is not asked for twice, nor is a command run twice that had begun", async () => {
  await using none = await bulkWorld({ spdy: { status: 404, message: 'pods "core-1" not found' } });
  await expect(none.cluster.exec(pod, ["x"], { bulk: true })).rejects.toMatchObject({ code: "KUBE_NOT_FOUND" });
  expect(none.asked).toEqual(["POST"]);
  await using cut = await bulkWorld({ spdy: ({ socket }) => void setTimeout(() => socket.destroy(), 20), webSocket: "again" });
  await expect(cut.cluster.exec(pod, ["x"], { bulk: true })).rejects.toMatchObject({
    code: "KUBE_EXEC_FAILED",
    message: expect.stringContaining("ended before"),
  });
  expect(cut.asked).toEqual(["POST"]);
});

test("aborting lets go at once", async () => {
  let begun: () => void = () => {};
  const began = new Promise<void>((resolve) => {
    begun = resolve;
  });
  await using w = await bulkWorld({ spdy: () => begun() });
  const abort = new AbortController();
  const running = w.cluster.exec(pod, ["sleep"], { bulk: true, signal: abort.signal });
  await began;
  abort.abort(new Error("enough"));
  await expect(running).rejects.toThrow("enough");
  await expect.poll(() => w.api.sockets.size).toBe(0);
});
