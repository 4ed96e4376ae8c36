import { connect } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mine, served } from "./fixtures/requests.ts";
import { listenNamed, listenRaw, startRig, talk } from "./fixtures/rig.ts";

describe("what isn't plainly a request", () => {
  // What comes after it must go the same way, unread: the second request here is flagged for a developer who must not get it.
  const second = "GET /second HTTP/1.1\r\nHost: s\r\nX-User: me\r\n\r\n";
  test.each([
    [
      "length and chunks",
      `POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${second}`,
    ],
    ["two lengths", `POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n${second}`],
    ["a space before the colon", `POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n${second}`],
    ["a folded line", `GET / HTTP/1.1\r\nHost: s\r\nA: b\r\n c\r\n\r\n${second}`],
    ["bare line feeds", `GET / HTTP/1.1\nHost: s\n\n${second}`],
    ["a bare line feed among others", `GET / HTTP/1.1\r\nHost: s\nX: y\r\n\r\n${second}`],
    ["HTTP/0.9", `GET /\r\n\r\n${second}`],
    ["no HTTP at all", `\x00\x01\x02hello\r\n${second}`],
    ["a beginning of one", "GET / HT"],
  ])("%s is passed to the pods as received, on a connection of its own", async (_what, sent) => {
    await using pods = await listenRaw((socket) => socket.on("end", () => socket.end("answer")));
    await using laptop = await listenNamed("laptop");
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, laptop.port);
    expect(await talk(rig.port, sent, { end: true })).toBe("answer");
    expect(pods.received()).toBe(sent);
    expect([pods.connections, laptop.connections]).toEqual([1, 0]);
  });

  test("after good requests it gets another connection than theirs", async () => {
    await using pods = await listenNamed("pods");
    await using rig = await startRig(pods.port);
    const got = await talk(rig.port, ["GET /1 HTTP/1.1\r\nHost: s\r\n\r\n", "GET /2 HTTP/1.1\r\n\r\n"]);
    expect(served(got)).toEqual(["pods GET /1 0"]);
    expect(got).toContain("400 Bad Request");
    expect(pods.connections).toBe(2);
  });

  test("a chunk that is out of order: the pods say what is wrong, a developer doesn't see it, the connection ends", async () => {
    await using pods = await listenNamed("pods");
    await using laptop = await listenNamed("laptop");
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, laptop.port);
    const bad = (flag: string): string =>
      `POST / HTTP/1.1\r\nHost: s\r\n${flag}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n\r\n${second}`;
    const got = await talk(rig.port, bad(""));
    expect(got).toContain("400 Bad Request");
    expect(got).not.toContain("/second");
    expect(await talk(rig.port, bad("X-User: me\r\n"))).toMatch(/^HTTP\/1.1 400 [\s\S]*not in order/);
    expect(laptop.received()).not.toContain("zz");
  });

  test("to who takes the whole port, as received", async () => {
    await using laptop = await listenRaw((socket) => socket.on("end", () => socket.end("answer")));
    await using rig = await startRig(undefined);
    rig.lease("me", { all: true }, laptop.port);
    expect(await talk(rig.port, "\x16\x03\x01TLS", { end: true })).toBe("answer");
    expect(await talk(rig.port, "no http\n", { end: true })).toBe("answer");
    expect(laptop.received()).toBe("\x16\x03\x01TLSno http\n");
  });

  test("TLS goes to the pods as a connection", async () => {
    await using pods = await listenRaw((socket) => socket.on("end", () => socket.end("answer")));
    await using laptop = await listenNamed("laptop");
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, laptop.port);
    expect(await talk(rig.port, ["\x16", "\x03\x01..."], { end: true })).toBe("answer");
    expect(pods.received()).toBe("\x16\x03\x01...");
  });

  test("any bytes: everybody is served on, nothing stays", async () => {
    await using pods = await listenRaw((socket) => {
      socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
      socket.on("end", () => socket.end());
    });
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, pods.port);
    const piece = fc.oneof(
      fc.constantFrom(
        "GET / HTTP/1.1\r\n",
        "Host: s\r\n",
        "\r\n",
        "\n",
        "X-User: me\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 3\r\n",
      ),
      fc.constantFrom(
        "5\r\n",
        "0\r\n\r\n",
        "abc",
        " ",
        "\0",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16",
        "Connection: close\r\n",
        "Upgrade: x\r\n",
      ),
      fc.uint8Array({ maxLength: 20 }).map((random) => Buffer.from(random).toString("latin1")),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
        await talk(rig.port, pieces, { end: true }).catch(() => {});
      }),
      { numRuns: 300 },
    );
    await expect.poll(() => rig.accept.connections, { timeout: 5_000 }).toBe(0);
  });
});

describe("bounds", () => {
  test("a head that is too long is answered with 431", async () => {
    await using pods = await listenNamed("pods");
    await using rig = await startRig(pods.port);
    expect(await talk(rig.port, `GET / HTTP/1.1\r\nHost: s\r\nX: ${"y".repeat(70_000)}\r\n\r\n`)).toContain("HTTP/1.1 431 ");
    expect(await talk(rig.port, `GET / HTTP/1.1\r\nHost: s\r\nX: ${"y".repeat(14_000)}\r\nConnection: close\r\n\r\n`)).toContain(
      "200 OK",
    );
    expect(pods.connections).toBe(1);
  });

  test("heads that drip are kept small, and end", async () => {
    await using pods = await listenNamed("pods");
    await using rig = await startRig(pods.port, {}, { headMs: 300 });
    const sockets = Array.from({ length: 50 }, () => {
      const socket = connect({ port: rig.port, host: "127.0.0.1" });
      socket.on("error", () => {});
      socket.write("GET / HTTP/1.1\r\n");
      return socket;
    });
    const answers = sockets.map((socket) => text(Readable.from(socket)).catch(() => "reset"));
    const timer = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write("X: y\r\n");
    }, 50);
    for (const answer of await Promise.all(answers)) expect(answer).toContain("408 Request Timeout");
    clearInterval(timer);
    expect(pods.connections).toBe(0);
    for (const socket of sockets) socket.destroy();
  });
});
