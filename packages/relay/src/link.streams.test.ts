import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { datagramReader, encodeDatagram, resetStream, splice } from "@shipside/core";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { disguised } from "./fixtures/disguised.ts";
import { linkedPair } from "./fixtures/link.ts";
import { tcpServer } from "./fixtures/servers.ts";
import { HEADERS } from "./index.ts";
import { answerDial } from "./program/dial.ts";
import { bringConnection } from "./program/link.ts";

const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 10_000, interval: 10 });
const signal = new AbortController().signal;
const at = (port: number): string => `127.0.0.1:${port}`;

describe("endings", () => {
  test("a reset here is a reset of the far socket, not an end", async () => {
    const seen = Promise.withResolvers<string>();
    await using server = await tcpServer((socket) => {
      socket.on("end", () => seen.resolve("end"));
      socket.on("error", (error: NodeJS.ErrnoException) => seen.resolve(error.code ?? "?"));
      socket.resume();
      socket.write("hello");
    });
    await using pair = await linkedPair();
    const stream = await pair.link.connect(at(server.port));
    stream.on("error", () => {});
    await once(stream, "data");
    stream.write("pending bytes");
    resetStream(stream);
    expect(await seen.promise).toBe("ECONNRESET");
  });

  test("a reset there, after its FIN, is still a reset for who sends", async () => {
    await using server = await tcpServer((socket) => {
      socket.end("bye");
      socket.once("data", () => socket.resetAndDestroy());
    });
    await using pair = await linkedPair();
    const stream = await pair.link.connect(at(server.port));
    const failed = once(stream, "error");
    stream.resume();
    await once(stream, "end");
    // A socket that has had its FIN is told of a reset when it sends again.
    const sending = setInterval(() => stream.write("x"), 20);
    onTestFinished(() => clearInterval(sending));
    expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
  });

  test("a link that is lost resets what went through it, both ways", async () => {
    const far = Promise.withResolvers<string>();
    await using server = await tcpServer((socket) => {
      socket.on("end", () => far.resolve("end"));
      socket.on("error", (error: NodeJS.ErrnoException) => far.resolve(error.code ?? "?"));
      socket.resume();
    });
    await using pair = await linkedPair();
    const stream = await pair.link.connect(at(server.port));
    const failed = once(stream, "error");
    pair.wires[0]!.destroy();
    expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
    expect(await far.promise).toBe("ECONNRESET");
  });
});

describe("a connection to where others have gone before", () => {
  test("stands at once; its bytes, and its end, go along with the question", async () => {
    const got = Promise.withResolvers<string>();
    let text = "";
    let first = true;
    await using server = await tcpServer((socket) => {
      if (first) return void socket.end();
      socket.on("data", (chunk) => (text += chunk)).once("end", () => got.resolve(text));
    });
    const asked: string[] = [];
    await using pair = await linkedPair({
      server: {
        onConnect(stream, request) {
          asked.push(request.authority);
          if (first) answerDial(stream, request);
          else setTimeout(() => answerDial(stream, request), 200);
        },
      },
    });
    (await pair.link.connect(at(server.port))).on("error", () => {}).destroy();
    first = false;
    const stream = await pair.link.connect(at(server.port));
    stream.on("error", () => {});
    expect(asked).toHaveLength(1);
    stream.end("early");
    expect(await got.promise).toBe("early");
    stream.destroy();
  });

  test("tells a refusal by its error, with the code, and the next one is waited for again", async () => {
    let port: number;
    await using pair = await linkedPair();
    {
      await using server = await tcpServer((socket) => socket.end());
      port = server.port;
      (await pair.link.connect(at(port))).on("error", () => {}).destroy();
    }
    const stream = await pair.link.connect(at(port));
    const failed = once(stream, "error");
    stream.end("lost on nobody");
    expect((await failed)[0]).toMatchObject({ code: "DIAL_REFUSED" });
    await expect(pair.link.connect(at(port))).rejects.toMatchObject({ code: "DIAL_REFUSED" });
  });
});

test("the relay brings connections, and is told of those that are refused", async () => {
  await using local = await tcpServer((socket) => socket.pipe(socket));
  await using pair = await linkedPair({
    client: {
      onConnection(connection) {
        if (connection.headers[HEADERS.port] !== "80") {
          connection.refuse(Object.assign(new Error("nothing listens"), { code: "DIAL_REFUSED" }));
          return;
        }
        const socket = connect({ port: local.port, host: "127.0.0.1", allowHalfOpen: true });
        void splice(connection.accept(), socket);
      },
    },
  });
  await pair.link.ready;
  const [client] = pair.links.clients;
  const session = await eventually(() => pair.links.acceptSession(client!)!);
  const bring = (port: string) => bringConnection(session, { authority: "local:80", headers: { [HEADERS.port]: port }, signal });
  const stream = await bring("80");
  const ended = once(stream, "end");
  stream.end("over and back");
  expect(String(await once(stream, "data"))).toBe("over and back");
  await ended;
  await expect(bring("81")).rejects.toMatchObject({ code: "DIAL_REFUSED", message: expect.stringContaining("nothing listens") });
});

test("datagrams go to a UDP server and come back as datagrams, also empty and large ones", async () => {
  const server = createSocket("udp4", (datagram, from) => server.send(datagram, from.port, from.address));
  onTestFinished(() => void server.close());
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  await using pair = await linkedPair();
  const stream = await pair.link.connect(at(server.address().port), { protocol: "udp" });
  const read = datagramReader();
  const got: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => got.push(...read(chunk)));
  const sent = [Buffer.from("a"), Buffer.alloc(0), Buffer.alloc(20_000, 7)];
  for (const datagram of sent) stream.write(encodeDatagram(datagram));
  await eventually(() => expect(got).toHaveLength(3));
  expect(got.map(({ length }) => length)).toEqual([1, 0, 20_000]);
  stream.end();
  await once(stream, "end");
});

test("a hundred streams that nobody reads disturb no other", async () => {
  const stalled: Socket[] = [];
  await using server = await tcpServer((socket) => {
    socket.once("data", (first: Buffer) => {
      if (first[0] === 1) return void socket.end("fine");
      stalled.push(socket.pause());
    });
  });
  await using pair = await linkedPair({ wrap: disguised });
  const streams = await Promise.all(Array.from({ length: 100 }, () => pair.link.connect(at(server.port))));
  for (const stream of streams) {
    stream.on("error", () => {});
    // More than the window, and the kernel's buffers.
    for (let i = 0; i < 100 && stream.write(Buffer.alloc(65_536)); i++);
    stream.write(Buffer.alloc(2 * 1024 * 1024));
  }
  await eventually(() => expect(stalled).toHaveLength(100));
  const other = await pair.link.connect(at(server.port));
  other.on("error", () => {});
  other.write(Buffer.from([1]));
  expect(String(await once(other, "data"))).toBe("fine");
  for (const stream of streams) stream.destroy();
});
