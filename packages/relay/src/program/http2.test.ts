import { once } from "node:events";
import { connect, constants, createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { connect as tcp } from "node:net";
import { buffer, text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { standstill } from "@shipside/testkit";
import { expect, test } from "vitest";
import { mine } from "./fixtures/requests.ts";
import { startRig } from "./fixtures/rig.ts";

interface H2 extends AsyncDisposable {
  server: Http2Server;
  port: number;
  sessions: number;
}

async function listenH2(serve: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void): Promise<H2> {
  const server = createServer();
  const open = new Set<{ destroy(): void }>();
  const made: H2 = {
    server,
    port: 0,
    sessions: 0,
    async [Symbol.asyncDispose]() {
      for (const session of open) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.on("session", (session) => {
    made.sessions++;
    open.add(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    serve(stream, headers);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  made.port = (server.address() as { port: number }).port;
  return made;
}

/** Says who it is, and sends back what it gets, with trailers. */
const echo = (name: string) => (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
  let trailers: IncomingHttpHeaders = {};
  stream.on("trailers", (given) => {
    trailers = given;
  });
  stream.respond(
    {
      ":status": 200,
      "x-served-by": name,
      "x-path": headers[":path"],
      "x-for": headers["x-forwarded-for"],
      "set-cookie": ["a=1", "b=2"],
    },
    { waitForTrailers: true },
  );
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-got": String(trailers["x-sent"] ?? "") }));
  stream.pipe(stream);
};

function client(port: number) {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() });
}

async function ask(session: ReturnType<typeof client>, headers: Record<string, string>, body?: string | Buffer) {
  const request = session.request({ ":method": body === undefined ? "GET" : "POST", ...headers });
  request.on("error", () => {});
  let trailers: IncomingHttpHeaders = {};
  request.on("trailers", (given) => {
    trailers = given;
  });
  request.end(body);
  const [response] = (await once(request, "response")) as [IncomingHttpHeaders];
  return { response, body: await buffer(request), trailers, code: request.rstCode };
}

test("streams of one session go each to whom they belong, with trailers both ways", async () => {
  await using pods = await listenH2(echo("pods"));
  await using laptop = await listenH2(echo("laptop"));
  await using rig = await startRig(pods.port);
  rig.lease("me", mine, laptop.port);
  using session = client(rig.port);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => ask(session, { ":path": `/${i}`, ...(i % 2 && { "x-user": "me" }) }, `body ${i}`)),
  );
  answers.forEach(({ response, body, trailers }, i) => {
    expect(response).toMatchObject({
      ":status": 200,
      "x-served-by": i % 2 ? "laptop" : "pods",
      "x-path": `/${i}`,
      "set-cookie": ["a=1", "b=2"],
    });
    expect(response["x-for"]).toBe("127.0.0.1");
    expect(body.toString()).toBe(`body ${i}`);
    expect(trailers["grpc-status"]).toBe("0");
  });
  expect([pods.sessions, laptop.sessions]).toEqual([1, 1]);
  expect(rig.leases.get("me")?.requests).toBe(10);
});

test("a stream of messages both ways, with the client's trailers", async () => {
  await using pods = await listenH2(echo("pods"));
  await using rig = await startRig(pods.port);
  using session = client(rig.port);
  const request = session.request({ ":method": "POST", ":path": "/chat" }, { waitForTrailers: true });
  request.on("wantTrailers", () => request.sendTrailers({ "x-sent": "bye" }));
  const trailers = once(request, "trailers");
  for (const word of ["one", "two", "three"]) {
    request.write(word);
    const [chunk] = (await once(request, "data")) as [Buffer];
    expect(chunk.toString()).toBe(word);
  }
  request.end();
  expect(((await trailers) as [IncomingHttpHeaders])[0]).toMatchObject({ "x-got": "bye" });
});

test("resets travel both ways, and the session goes on", async () => {
  let seen: ServerHttp2Stream | undefined;
  await using pods = await listenH2((stream, headers) => {
    if (headers[":path"] === "/reset") stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    else if (headers[":path"] === "/half") {
      stream.respond({ ":status": 200 });
      stream.write("part", () => setTimeout(() => stream.destroy(new Error("broken")), 20));
    } else if (headers[":path"] === "/wait") seen = stream;
    else echo("pods")(stream, headers);
  });
  await using rig = await startRig(pods.port);
  using session = client(rig.port);
  for (const [path, code] of [
    ["/reset", constants.NGHTTP2_ENHANCE_YOUR_CALM],
    ["/half", constants.NGHTTP2_INTERNAL_ERROR],
  ] as const) {
    const request = session.request({ ":path": path });
    request.on("error", () => {});
    request.resume();
    await new Promise((resolve) => request.once("close", resolve));
    expect(request.rstCode).toBe(code);
  }
  const request = session.request({ ":path": "/wait" });
  request.on("error", () => {});
  while (!seen) await sleep(5);
  request.close(constants.NGHTTP2_CANCEL);
  if (!seen.closed) await new Promise((resolve) => seen!.once("close", resolve));
  expect(seen.rstCode).toBe(constants.NGHTTP2_CANCEL);
  expect((await ask(session, { ":path": "/" })).response["x-served-by"]).toBe("pods");
});

test("without a developer, or when theirs has gone before an answer, the pods answer what can be asked again", async () => {
  await using pods = await listenH2(echo("pods"));
  await using laptop = await listenH2((stream) => stream.session?.destroy());
  await using rig = await startRig(pods.port);
  rig.lease("me", mine, undefined);
  using session = client(rig.port);
  expect((await ask(session, { ":path": "/", "x-user": "me" }, "body")).response["x-served-by"]).toBe("pods");
  rig.move("me", laptop.port);
  expect((await ask(session, { ":path": "/", "x-user": "me" })).response["x-served-by"]).toBe("pods");
  expect((await ask(session, { ":path": "/", "x-user": "me" }, "body")).response[":status"]).toBe(502);
});

test("GOAWAY of the pods: streams after it go over another session", async () => {
  let first = true;
  await using pods = await listenH2((stream, headers) => {
    if (first) stream.session?.goaway(constants.NGHTTP2_NO_ERROR);
    first = false;
    echo("pods")(stream, headers);
  });
  await using rig = await startRig(pods.port);
  using session = client(rig.port);
  expect((await ask(session, { ":path": "/1" })).response["x-path"]).toBe("/1");
  expect((await ask(session, { ":path": "/2" })).response["x-path"]).toBe("/2");
  expect(pods.sessions).toBe(2);
});

test("while draining the client gets GOAWAY, and its streams their answers", async () => {
  let finish: (() => void) | undefined;
  await using pods = await listenH2((stream) => {
    finish = () => {
      stream.respond({ ":status": 200 });
      stream.end("late");
    };
  });
  await using rig = await startRig(pods.port);
  using session = client(rig.port);
  const request = session.request({ ":path": "/" });
  while (!finish) await sleep(5);
  const goaway = once(session, "goaway");
  const drained = rig.accept.drain({ settleMs: 0, boundMs: 5_000 });
  await goaway;
  finish();
  expect(await text(request)).toBe("late");
  await drained;
});

test("a reader that stands still makes the sender wait, and nobody else", async () => {
  const sent = { bytes: 0 };
  await using pods = await listenH2((stream, headers) => {
    if (headers[":path"] !== "/flood") return echo("pods")(stream, headers);
    stream.respond({ ":status": 200 });
    const chunk = Buffer.alloc(65_536);
    const pump = (): void => {
      while (!stream.destroyed && sent.bytes < 256 * 1024 * 1024) {
        sent.bytes += chunk.length;
        if (!stream.write(chunk)) return void stream.once("drain", pump);
      }
    };
    pump();
  });
  await using rig = await startRig(pods.port);
  using session = client(rig.port);
  const request = session.request({ ":path": "/flood" });
  request.on("error", () => {});
  request.pause();
  await once(request, "response");
  const stood = await standstill(() => sent.bytes);
  expect(stood).toBeLessThan(16 * 1024 * 1024);
  expect((await ask(session, { ":path": "/" }, "x")).body.toString()).toBe("x");
  await sleep(100);
  expect(sent.bytes).toBe(stood);
});

test("a copy goes to who mirrors; the pods answer", async () => {
  const got: string[] = [];
  await using pods = await listenH2(echo("pods"));
  await using laptop = await listenH2(async (stream, headers) => {
    got.push(`${headers[":path"]} ${await text(stream)}`);
    stream.respond({ ":status": 500 });
    stream.end("thrown away");
  });
  await using rig = await startRig(pods.port);
  rig.lease("me", { all: true }, laptop.port, { mirror: true });
  using session = client(rig.port);
  const { response, body } = await ask(session, { ":path": "/m" }, "copied");
  expect([response["x-served-by"], body.toString()]).toEqual(["pods", "copied"]);
  await expect.poll(() => got).toEqual(["/m copied"]);
});

test("a preface in pieces, and one that is none", async () => {
  await using pods = await listenH2(echo("pods"));
  await using rig = await startRig(pods.port);
  const socket = tcp(rig.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.setNoDelay();
  for (const byte of Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1")) {
    socket.write(Buffer.of(byte));
    await sleep(1);
  }
  const [settings] = (await once(socket, "data")) as [Buffer];
  expect(settings[3]).toBe(4);
  socket.destroy();
});
