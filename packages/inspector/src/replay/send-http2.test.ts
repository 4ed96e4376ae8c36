import { createServer, connect as http2Connect, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect, createServer as createTcp } from "node:net";
import { gzipSync } from "node:zlib";
import { createCloser } from "@shipside/core";
import { afterEach, expect, it } from "vitest";
import { grpcBody } from "../decode/grpc.ts";
import { grpcLine } from "../decode/grpc-status.ts";
import { viewBody } from "../decode/view.ts";
import { createInspector } from "../inspector.ts";

let closer = createCloser();
afterEach(async () => {
  await closer.close();
  closer = createCloser();
});

interface Call {
  headers: Record<string, unknown>;
  body: Buffer;
}

/** A server of calls, and what it was asked. */
async function serveCalls(answer: (stream: ServerHttp2Stream, call: Call) => void) {
  const calls: Call[] = [];
  const server = createServer().on("stream", (stream, headers) => {
    const parts: Buffer[] = [];
    stream.on("error", () => {});
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.once("end", () => {
      const call = { headers, body: Buffer.concat(parts) };
      calls.push(call);
      answer(stream, call);
    });
  });
  server.on("sessionError", () => {});
  const { resolve, promise } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  closer.defer(() => void server.close());
  return { calls, port: (server.address() as AddressInfo).port };
}

/** Says back what it heard, and a status behind it. */
const echo = (stream: ServerHttp2Stream, { headers, body }: Call): void => {
  stream.respond({ ":status": 200, "content-type": headers["content-type"] as string }, { waitForTrailers: true });
  stream.once("wantTrailers", () =>
    stream.sendTrailers({ "grpc-status": body.length > 100 ? "8" : "0", "grpc-message": `${body.length} bytes` }),
  );
  stream.end(body);
};

/** A call of Node's own client, captured on its way to a server. */
async function captured(body: Buffer, more: Record<string, string> = {}, answer = echo) {
  const inspector = closer.use(createInspector());
  const { calls, port } = await serveCalls(answer);
  const front = createTcp({ allowHalfOpen: true }, (client) => {
    const facts = { direction: "incoming", localPort: port, peer: "10.0.0.1:4000", caller: "shop/web-1" } as const;
    void inspector.join(client, connect({ port, host: "127.0.0.1", allowHalfOpen: true }), facts);
  });
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  closer.defer(() => void front.close());
  const session = http2Connect(`http://127.0.0.1:${(front.address() as AddressInfo).port}`);
  session.on("error", () => {});
  const call = session.request({
    ...{ ":method": "POST", ":path": "/shop.Cart/Add", ":authority": "cart:80" },
    ...{ "content-type": "application/grpc", te: "trailers", "x-user": "alice", ...more },
  });
  call.on("error", () => {});
  call.resume().end(body);
  await new Promise((resolve) => call.once("close", resolve));
  session.destroy();
  await inspector.settled();
  return { inspector, calls, port };
}

it("a call of gRPC is sent again as it was, message by message, with its answer's trailers", async () => {
  const messages = [Buffer.from("one"), Buffer.alloc(0), Buffer.from("three")];
  const { inspector, calls } = await captured(grpcBody(messages));
  const again = await inspector.replay(1, {});
  expect(calls).toHaveLength(2);
  expect(calls[1]!.body).toEqual(calls[0]!.body);
  expect(calls[1]!.headers).toEqual(calls[0]!.headers);
  expect(again).toMatchObject({ httpVersion: "2", status: 200, state: "done", replayOf: 1 });
  expect(again.connection).not.toHaveProperty("caller");
  expect(grpcLine(again)).toBe("0 OK: 23 bytes");
  expect((await viewBody(again.responseHeaders, again.responseBody)).frames).toMatchObject([
    { bytes: 3, hex: "6f6e65", whole: true },
    { bytes: 0, hex: "" },
    { bytes: 5 },
  ]);
  expect(await inspector.diff(1, again.id)).toMatchObject({ same: true, trailers: [] });
});

it("an edited call goes to another target by its stream; the answers' trailers and messages are compared", async () => {
  const { inspector } = await captured(grpcBody([Buffer.from('{"id":1}')]), { "content-type": "application/grpc+json" });
  const other = await serveCalls(echo);
  const target = {
    ...{ name: "cluster", origin: "http://cart.shop:80" },
    connect: async () => connect({ port: other.port, host: "127.0.0.1" }),
  };
  const again = await inspector.replay(1, { target, edit: { body: grpcBody([Buffer.from('{"id":12}')]) } });
  expect(other.calls).toMatchObject([{ headers: { ":authority": "cart:80", te: "trailers", "x-user": "alice" } }]);
  const diff = await inspector.diff(1, again.id);
  expect(diff.trailers).toEqual([{ name: "grpc-message", left: "13 bytes", right: "14 bytes" }]);
  expect(diff.lines.filter(({ kind }) => kind !== "same").map(({ text }) => text)).toEqual([
    "message 1 (8 bytes)",
    "message 1 (9 bytes)",
    '  "id": 1',
    '  "id": 12',
  ]);
  expect(diff.same).toBe(false);
});

it("a message that was compressed is shown unpacked, and sent again packed", async () => {
  const packed = gzipSync("hello hello hello");
  const body = grpcBody([packed]);
  body[0] = 1;
  const { inspector, calls } = await captured(body, { "grpc-encoding": "gzip" });
  const { requestHeaders, requestBody } = inspector.get(1)!;
  const view = await viewBody(requestHeaders, requestBody);
  expect(view.frames).toEqual([
    { bytes: packed.length, compressed: true, hex: Buffer.from("hello hello hello").toString("hex"), whole: true },
  ]);
  await inspector.replay(1, {});
  expect(calls[1]!.body).toEqual(body);
  // Without its coding it can't be told what it says.
  expect((await viewBody([["content-type", "application/grpc"]], requestBody)).frames).toMatchObject([{ whole: false }]);
});

it("what goes wrong is said: a call that is taken back, a server that has gone, one that never answers, one that speaks something else", async () => {
  let wait = false;
  const { inspector, port } = await captured(grpcBody([Buffer.from("x")]), {}, (stream) => {
    if (!wait) stream.close(11);
  });
  await expect(inspector.replay(1, {})).rejects.toMatchObject({
    code: "INSPECTOR_REPLAY_FAILED",
    cause: expect.objectContaining({ message: expect.stringContaining("ENHANCE_YOUR_CALM") }),
  });
  wait = true;
  await expect(inspector.replay(1, { timeoutMs: 100 })).rejects.toMatchObject({ hint: "it took longer than 0.1 s" });
  const stopped = AbortSignal.abort();
  await expect(inspector.replay(1, { signal: stopped })).rejects.toMatchObject({ code: "INSPECTOR_REPLAY_FAILED" });
  await expect(inspector.replay(1, { target: { name: "gone", origin: "http://127.0.0.1:1" } })).rejects.toMatchObject({
    code: "INSPECTOR_REPLAY_FAILED",
  });
  const deaf = createTcp((socket) => void socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  await new Promise<void>((resolve) => deaf.listen(0, "127.0.0.1", resolve));
  closer.defer(() => void deaf.close());
  const other = { name: "deaf", origin: `http://127.0.0.1:${(deaf.address() as AddressInfo).port}` };
  await expect(inspector.replay(1, { target: other })).rejects.toMatchObject({ code: "INSPECTOR_REPLAY_FAILED" });
  expect((await inspector.list({ filter: "is:open" })).length).toBe(0);
  expect(port).toBeGreaterThan(0);
});
