import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect as connectTcp, createServer as createTcp } from "node:net";
import { createCloser } from "@shipside/core";
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import { grpcLine } from "../decode/grpc-status.ts";
import { viewBody } from "../decode/view.ts";
import type { Exchange } from "../exchange.ts";
import { createInspector, type Inspector } from "../inspector.ts";
import { budgetsOf } from "../options.ts";
import { createStore } from "../store.ts";
import { createConnectionReader } from "./connection-reader.ts";
import { PREFACE } from "./http2-frames.ts";

let closer = createCloser();
afterEach(async () => {
  await closer.close();
  closer = createCloser();
});

/** A client and a server of Node's own, with the inspector between them. */
async function between(answer: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void, cut = 0) {
  const inspector: Inspector = closer.use(createInspector());
  const server = createServer().on("stream", answer);
  server.on("sessionError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closer.defer(() => server.close());
  const { port } = server.address() as AddressInfo;
  const relay = createTcp({ allowHalfOpen: true }, (client) => {
    const onward = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true });
    if (cut === 0) return void inspector.join(client, onward, { direction: "incoming", service: "shop" });
    // Each piece by itself, as a slow network has it.
    const tap = inspector.connection({ direction: "incoming", service: "shop" });
    for (const [from, to, direction] of [
      [client, onward, "in"],
      [onward, client, "out"],
    ] as const) {
      from.on("error", () => {});
      from.on("data", (chunk: Buffer) => {
        for (let at = 0; at < chunk.length; at += cut) tap.data!(direction, chunk.subarray(at, at + cut));
        to.write(chunk);
      });
      from.on("close", () => to.destroy());
    }
    client.once("close", () => tap.close!());
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  closer.defer(() => relay.close());
  const session = connect(`http://127.0.0.1:${(relay.address() as AddressInfo).port}`);
  session.on("error", () => {});
  closer.defer(() => session.destroy());
  const ask = async (headers: Record<string, string>, body?: Buffer): Promise<void> => {
    const request = session.request(headers);
    request.on("error", () => {});
    request.resume().end(body);
    await new Promise((resolve) => request.once("close", resolve));
  };
  const list = async (): Promise<Exchange[]> => {
    await inspector.settled();
    return (await inspector.list()).reverse();
  };
  return { ask, list, inspector };
}

const grpcFrame = (message: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};

it.each([0, 1, 7])("reads requests side by side on one connection, bodies and all (pieces of %i bytes)", async (cut) => {
  const big = Buffer.alloc(cut === 0 ? 200_000 : 20_000, "0123456789");
  const { ask, list } = await between((stream, headers) => {
    stream.respond({
      ":status": headers[":path"] === "/none" ? 404 : 200,
      "content-type": "text/plain",
      "x-long": "v".repeat(300),
    });
    // An answer that doesn't wait for the request takes the rest of it back.
    stream.resume().once("end", () => stream.end(headers[":path"] === "/big" ? big : `you asked ${headers[":path"]}`));
  }, cut);
  await Promise.all([
    ask({ ":path": "/a?x=1", "x-user": "alice" }),
    ask({ ":method": "POST", ":path": "/big", "content-type": "text/plain" }, big),
    ask({ ":path": "/none" }),
  ]);
  const found = await list();
  expect(found.map(({ method, path, status, state, httpVersion }) => [method, path, status, state, httpVersion]).sort()).toEqual([
    ["GET", "/a?x=1", 200, "done", "2"],
    ["GET", "/none", 404, "done", "2"],
    ["POST", "/big", 200, "done", "2"],
  ]);
  const [first] = found.filter(({ path }) => path.startsWith("/a"));
  expect(first!.requestHeaders).toContainEqual(["x-user", "alice"]);
  expect(first!.requestHeaders[0]).toEqual(["host", expect.stringMatching(/^127\.0\.0\.1:/)]);
  expect(first!.responseHeaders).toContainEqual(["x-long", "v".repeat(300)]);
  expect(Buffer.from(first!.responseBody.kept).toString()).toBe("you asked /a?x=1");
  const [large] = found.filter(({ path }) => path === "/big");
  expect([large!.requestBody.bytes, large!.responseBody.bytes]).toEqual([big.length, big.length]);
});

it("shows a call of gRPC: its messages with their lengths, its status from the trailers", async () => {
  const { ask, list } = await between((stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "5", "grpc-message": "no such cart%21" }));
    stream.write(grpcFrame(Buffer.from("one")));
    stream.end(grpcFrame(Buffer.from("three")));
  });
  await ask(
    { ":method": "POST", ":path": "/shop.Cart/Get", "content-type": "application/grpc", te: "trailers" },
    grpcFrame(Buffer.from("key")),
  );
  const [call] = await list();
  expect(call).toMatchObject({ method: "POST", path: "/shop.Cart/Get", status: 200, state: "done" });
  expect(grpcLine(call!)).toBe("5 NOT_FOUND: no such cart!");
  expect((await viewBody(call!.requestHeaders, call!.requestBody)).frames).toMatchObject([{ bytes: 3 }]);
  expect((await viewBody(call!.responseHeaders, call!.responseBody)).frames).toMatchObject([{ bytes: 3 }, { bytes: 5 }]);
});

it("tells events of an event stream as they come, and who took a request back", async () => {
  const { ask, list, inspector } = await between((stream, headers) => {
    stream.on("error", () => {});
    if (headers[":path"] === "/events") {
      stream.respond({ ":status": 200, "content-type": "text/event-stream" });
      stream.end("data: one\n\nevent: x\ndata: two\n\n");
    } else stream.close(8);
  });
  await ask({ ":path": "/events" });
  await ask({ ":path": "/cancelled" });
  const [events, cancelled] = await list();
  expect(events!.messages.map(({ text }) => text)).toEqual(["data: one", "event: x\ndata: two"]);
  expect(cancelled).toMatchObject({ state: "failed", note: "the server took it back: CANCEL" });
  expect(inspector.stats()).toMatchObject({ unread: 0, drops: 0 });
});

it("a request that is taken back by a frame without its reason is over all the same", () => {
  const store = createStore(budgetsOf());
  const reader = createConnectionReader({ direction: "incoming" }, store, () => {});
  // `:method: GET` on stream 1, and a RST_STREAM without its four bytes.
  reader.data("in", Buffer.concat([Buffer.from(PREFACE), Buffer.from([0, 0, 1, 1, 4, 0, 0, 0, 1, 0x82])]), 0);
  reader.data("out", Buffer.from([0, 0, 0, 3, 0, 0, 0, 0, 1]), 1);
  expect(store.list()).toMatchObject([{ method: "GET", state: "failed", note: "the server took it back: no reason given" }]);
});

it("whatever passes behind a preface: nothing is thrown, and once it is over no request is left open", () => {
  const piece = fc.record({
    direction: fc.constantFrom("in" as const, "out" as const),
    type: fc.integer({ min: 0, max: 10 }),
    flags: fc.integer({ min: 0, max: 255 }),
    stream: fc.integer({ min: 0, max: 5 }),
    payload: fc.uint8Array({ maxLength: 40 }),
    raw: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const store = createStore(budgetsOf());
      const reader = createConnectionReader({ direction: "incoming" }, store, () => {});
      reader.data("in", Buffer.from(PREFACE), 0);
      for (const { direction, type, flags, stream, payload, raw } of pieces) {
        const head = Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, stream]);
        reader.data(direction, raw ? payload : Buffer.concat([head, payload]), 1);
      }
      reader.close(undefined, 2);
      expect(store.list().filter(({ state }) => state === "open")).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
