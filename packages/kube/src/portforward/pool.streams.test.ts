import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { standstill } from "@shipside/testkit";
import { describe, expect, test } from "vitest";
import { echoApp, firehoseApp, startApp } from "./fixtures/app.ts";
import { frame } from "./fixtures/kubelet.ts";
import { exchange, POD, setUp } from "./fixtures/pool.ts";

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe("a stream", () => {
  test("carries bytes both ways, unchanged", async () => {
    await using server = await startApp(echoApp);
    await using it = await setUp();
    const stream = await it.pool.open(POD, server.port);
    const sent = randomBytes(5 * 1024 * 1024);
    const hash = createHash("sha256");
    let got = 0;
    stream.on("data", (chunk: Buffer) => {
      got += chunk.length;
      hash.update(chunk);
      if (got === sent.length) stream.end();
    });
    stream.write(sent);
    await once(stream, "end");
    expect(got).toBe(sent.length);
    expect(hash.digest("hex")).toBe(createHash("sha256").update(sent).digest("hex"));
  });

  test("of a port where nothing listens is refused before the first byte", async () => {
    await using it = await setUp();
    const closed = await startApp(echoApp);
    await closed[Symbol.asyncDispose]();
    await expect(it.pool.open(POD, closed.port)).rejects.toMatchObject({ code: "DIAL_REFUSED" });
  });

  test("of a pod that is gone says so, and a later one asks again", async () => {
    await using server = await startApp(echoApp);
    let status = 404;
    await using it = await setUp({ answer: () => status });
    await expect(it.pool.open(POD, server.port)).rejects.toMatchObject({ code: "DIAL_GONE" });
    status = 500;
    await expect(it.pool.open(POD, server.port)).rejects.toMatchObject({
      code: "DIAL_FAILED",
      cause: { errors: [{ details: { status: 500 } }, {}, {}] },
    });
    status = 101;
    expect(await exchange(it.pool, server.port, "hello")).toBe("hello");
  });

  test("whose dial hangs fails with DIAL_GONE once its pod has ended, so that another pod may be tried", async () => {
    let ended = false;
    let asked = 0;
    const podEnded = async (): Promise<boolean> => {
      asked++;
      return ended;
    };
    await using it = await setUp({ podPort: () => "hangs", pong: () => false, pool: { podEnded, pingMs: 60_000 } });
    const stream = await it.pool.open(POD, 80);
    const failed = once(stream, "error");
    failed.catch(() => {});
    stream.write("hello");
    await expect.poll(() => asked, { timeout: 5_000 }).toBe(1);
    expect(stream.destroyed).toBe(false);
    ended = true;
    expect((await failed)[0]).toMatchObject({ code: "DIAL_GONE" });
  });

  test("that was taken is never called a failed dial, however long its pod is silent", async () => {
    await using server = await startApp(() => {});
    await using it = await setUp({ pool: { podEnded: async () => true, pingMs: 60_000 } });
    const stream = await it.pool.open(POD, server.port);
    let failure: unknown;
    stream.on("error", (error) => {
      failure = error;
    });
    stream.write("hello");
    await sleep(3_500);
    expect(failure).toBeUndefined();
    expect(stream.destroyed).toBe(false);
  });

  test("ends when the pod ends, and our end reaches the pod then", async () => {
    await using server = await startApp((socket) => {
      socket.end("all there is");
    });
    await using it = await setUp();
    const stream = await it.pool.open(POD, server.port);
    expect((await readAll(stream)).toString()).toBe("all there is");
    stream.end();
    await expect.poll(() => it.pool.stats().streams).toBe(0);
  });

  test("whose user has ended still gets an answer that takes longer than the path's grace", async () => {
    await using server = await startApp((socket) => {
      socket.once("data", () => setTimeout(() => socket.end("late answer"), 400));
    });
    await using it = await setUp({ graceMs: 50 });
    const stream = await it.pool.open(POD, server.port);
    stream.end("question");
    expect((await readAll(stream)).toString()).toBe("late answer");
  });

  test("whose user has ended is ended at the pod after the bound, with what the pod then says", async () => {
    await using server = await startApp((socket) => {
      socket.on("end", () => socket.end("seen your end"));
      socket.resume();
    });
    await using it = await setUp({ graceMs: 200, pool: { finReplyMs: 100 } });
    const stream = await it.pool.open(POD, server.port);
    stream.end("question");
    expect((await readAll(stream)).toString()).toBe("seen your end");
  });

  test("which the pod resets gives what was sent before, then ECONNRESET", async () => {
    await using server = await startApp((socket) => {
      socket.write("before");
      setTimeout(() => socket.resetAndDestroy(), 50);
    });
    await using it = await setUp();
    const stream = await it.pool.open(POD, server.port);
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    const [error] = await once(stream, "error");
    expect(error).toMatchObject({ code: "ECONNRESET" });
    expect(Buffer.concat(chunks).toString()).toBe("before");
  });

  test("that is destroyed is reset at the server, and others go on", async () => {
    await using server = await startApp(firehoseApp());
    await using echoes = await startApp(echoApp);
    await using it = await setUp({ pool: { spread: 1, maxConnections: 1 } });
    for (let i = 0; i < 30; i++) {
      const download = await it.pool.open(POD, server.port);
      await once(download, "data");
      download.destroy();
    }
    expect(await exchange(it.pool, echoes.port, "still here")).toBe("still here");
    await expect.poll(() => server.sockets.size).toBe(0);
    expect(it.kubelet.upgrades).toBe(1);
  });

  test("is ended by its signal only until it stands", async () => {
    await using server = await startApp(echoApp);
    await using it = await setUp({ answer: () => sleep(300).then(() => 101) });
    const early = new AbortController();
    const opening = it.pool.open(POD, server.port, { signal: early.signal });
    early.abort(new Error("changed my mind"));
    await expect(opening).rejects.toThrow("changed my mind");
    const late = new AbortController();
    const stream = await it.pool.open(POD, server.port, { signal: late.signal });
    late.abort();
    stream.write("x");
    expect(String((await once(stream, "data"))[0])).toBe("x");
    stream.destroy();
  });

  test("after the pod has closed takes writes for a moment, then says EPIPE", async () => {
    await using server = await startApp((socket) => socket.end());
    await using it = await setUp({ graceMs: 10 });
    const stream = await it.pool.open(POD, server.port);
    stream.resume();
    await once(stream, "end");
    stream.write("nobody reads this");
    await sleep(1_100);
    stream.write("nor this");
    const [error] = await once(stream, "error");
    expect(error).toMatchObject({ code: "EPIPE" });
  });
});

describe("backpressure", () => {
  test("reaches the pod when the reader stops, and what waits stays bounded", async () => {
    const counted = { written: 0 };
    await using server = await startApp(firehoseApp(counted));
    await using it = await setUp();
    const stream = await it.pool.open(POD, server.port);
    const settled = await standstill(() => counted.written);
    expect(stream.readableLength).toBeLessThan(1.2 * 1024 * 1024);
    stream.resume();
    await expect.poll(() => counted.written).toBeGreaterThan(settled + 8 * 1024 * 1024);
    stream.destroy();
  });

  test("reaches the writer when the pod stops reading", async () => {
    await using server = await startApp((socket) => void socket.pause());
    await using it = await setUp();
    const stream = await it.pool.open(POD, server.port);
    let sent = 0;
    const chunk = Buffer.alloc(65536);
    const deadline = Date.now() + 500;
    while (Date.now() < deadline) {
      if (stream.write(chunk)) sent += chunk.length;
      else await Promise.race([once(stream, "drain"), sleep(200)]);
      if (stream.writableNeedDrain) await sleep(20);
    }
    expect(stream.writableNeedDrain).toBe(true);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    stream.destroy();
  });

  test("of one stream disturbs no stream opened after it", async () => {
    await using firehose = await startApp(firehoseApp());
    await using echoes = await startApp(echoApp);
    await using it = await setUp();
    const stalled = await it.pool.open(POD, firehose.port);
    await expect.poll(() => it.pool.stats().pods[0]?.stuck).toBe(1);
    for (let i = 0; i < 20; i++) expect(await exchange(it.pool, echoes.port, `n${i}`)).toBe(`n${i}`);
    stalled.destroy();
  });

  test("of one of thirteen streams stops at most the one that shares its connection, and no new one", async () => {
    await using firehose = await startApp(firehoseApp());
    await using echoes = await startApp(echoApp);
    await using it = await setUp();
    const idle: Duplex[] = [];
    for (let i = 0; i < 12; i++) {
      const stream = await it.pool.open(POD, echoes.port);
      stream.write("x");
      await once(stream, "data");
      idle.push(stream);
    }
    const stalled = await it.pool.open(POD, firehose.port);
    await expect.poll(() => it.pool.stats().pods[0]?.stuck).toBe(1);
    const answers = idle.map(async (stream) => {
      stream.write("y");
      await once(stream, "data");
      return true;
    });
    const late = sleep(2_000, false, { ref: false });
    const answered = await Promise.all(answers.map((answer) => Promise.race([answer, late])));
    expect(answered.filter(Boolean).length).toBeGreaterThanOrEqual(11);
    for (let i = 0; i < 10; i++) expect(await exchange(it.pool, echoes.port, `n${i}`)).toBe(`n${i}`);
    for (const stream of [...idle, stalled]) stream.destroy();
  });

  test("in a stream that shares a connection begins only at the bound", async () => {
    await using it = await setUp({
      pool: { spread: 1, maxConnections: 1, maxBufferedPerStream: 1024 * 1024 },
      script(connection) {
        connection.socket.on("data", () => {});
        let id = 3;
        const timer = setInterval(() => {
          if (id === 3) for (const one of [1, 3, 5, 7]) connection.write(frame.reply(one));
          id = 7;
          connection.write(frame.data(3, Buffer.alloc(32 * 1024)));
          connection.write(frame.data(7, "tick"));
        }, 1);
        connection.socket.on("close", () => clearInterval(timer));
      },
    });
    const slow = it.pool.open(POD, 1);
    const quick = await it.pool.open(POD, 2);
    const stalled = await slow;
    let ticks = 0;
    quick.on("data", () => ticks++);
    await expect.poll(() => stalled.readableLength, { timeout: 5_000 }).toBeGreaterThan(1024 * 1024);
    expect(ticks).toBeGreaterThan(20);
    expect(it.pool.stats().pods[0]?.stuck).toBe(1);
    await sleep(100);
    expect(stalled.readableLength).toBeLessThan(1.3 * 1024 * 1024);
    const before = ticks;
    stalled.resume();
    await expect.poll(() => ticks).toBeGreaterThan(before);
    stalled.destroy();
    quick.destroy();
  });
});
