import { createServer, get, request } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { viewBody } from "./decode/view.ts";
import { toHar } from "./har.ts";
import { createInspector } from "./inspector.ts";

const text = JSON.stringify({ hello: "world" });
const server = createServer((incoming, response) => {
  const coding = incoming.url!.slice(1);
  const pack = { gzip: gzipSync, br: brotliCompressSync, zstd: zstdCompressSync }[coding];
  if (incoming.url === "/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("event: a\ndata: 1\n\n");
    response.end("data: 2\n\n");
    return;
  }
  if (pack) response.setHeader("content-encoding", coding);
  response.setHeader("content-type", "application/json");
  incoming.resume().on("end", () => response.end(pack ? pack(text) : text));
});
let port = 0;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function ask(path: string, options: { method?: string; body?: string; port?: number } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: "127.0.0.1", port: options.port ?? port, path, method: options.method ?? "GET", agent: false },
      (response) => {
        let answer = "";
        response.on("data", (part) => (answer += part)).on("end", () => resolve(answer));
      },
    );
    outgoing.on("error", reject).end(options.body);
  });
}

it("captures what a server takes, and decodes its bodies when they are looked at", async () => {
  await using inspector = createInspector();
  const unwatch = inspector.watch(server);
  for (const path of ["/gzip", "/br", "/zstd", "/plain", "/events"]) await ask(path);
  await ask("/plain", { method: "POST", body: "a=1" });
  unwatch();
  await ask("/unseen");
  await inspector.settled();
  const all = (await inspector.list()).reverse();
  expect(all.map(({ method, path, status, state }) => `${method} ${path} ${status} ${state}`)).toEqual([
    "GET /gzip 200 done",
    "GET /br 200 done",
    "GET /zstd 200 done",
    "GET /plain 200 done",
    "GET /events 200 done",
    "POST /plain 200 done",
  ]);
  for (const { responseHeaders, responseBody } of all.slice(0, 4))
    expect((await viewBody(responseHeaders, responseBody)).text).toBe(JSON.stringify(JSON.parse(text), null, 2));
  expect(all[4]!.messages.map(({ text: event }) => event)).toEqual(["event: a\ndata: 1", "data: 2"]);
  expect(Buffer.from(all[5]!.requestBody.kept).toString()).toBe("a=1");
  const har = await toHar(all);
  expect(har.log.entries[1]).toMatchObject({ request: { method: "GET" }, response: { status: 200, content: { text } } });
});

it("joins two streams, looks on, and reads on through pipelining and a protocol that is none of its own", async () => {
  await using inspector = createInspector();
  const front = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    void inspector.join(socket, connect({ port, host: "127.0.0.1", allowHalfOpen: true }), {
      direction: "outgoing",
      service: "shop",
    });
  });
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  const frontPort = (front.address() as AddressInfo).port;
  expect(await ask("/through", { port: frontPort })).toBe(text);
  const raw = connect({ port: frontPort, host: "127.0.0.1" });
  raw.end("\x16\x03\x01 not http");
  await new Promise((resolve) => raw.resume().on("close", resolve));
  const two = connect({ port: frontPort, host: "127.0.0.1", allowHalfOpen: true });
  two.end("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  await new Promise((resolve) => two.resume().on("close", resolve));
  await inspector.settled();
  const all = await inspector.list({ filter: "service:shop" });
  expect(all.map(({ path, state }) => `${path} ${state}`)).toEqual(["/2 done", "/1 done", "/through done"]);
  expect(inspector.stats()).toMatchObject({ connections: 3, unread: 1, drops: 0 });
  front.close();
});

it("drops what comes too fast, says so, leaves the bytes alone and reads on at the next request", async () => {
  await using inspector = createInspector({ budgets: { maxQueuedBytes: 1024 } });
  const seen = inspector.tap({ namespace: "n", service: "s", port: 80, protocol: "TCP", peer: "1.2.3.4:5", localPort: 8080 })!;
  const head = "GET /a HTTP/1.1\r\nHost: s\r\n\r\n";
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  seen.data!("in", Buffer.from(head));
  seen.data!("out", Buffer.alloc(2000, "x"));
  await inspector.settled();
  expect(inspector.get(1)).toMatchObject({ state: "failed", note: expect.stringContaining("not captured") });
  expect(inspector.stats()).toMatchObject({ drops: 1, droppedBytes: 2000 });
  seen.data!("out", Buffer.from("the rest of that answer"));
  seen.data!("in", Buffer.from(head));
  seen.data!("out", Buffer.from(answer));
  await inspector.settled();
  expect(inspector.get(2)).toMatchObject({ state: "done", status: 200 });
});

it("stays within its budgets: oldest out first, pinned ones stay, bodies are cut and counted", async () => {
  await using inspector = createInspector({ budgets: { maxExchanges: 10, maxBodyBytes: 3 } });
  const seen = inspector.connection({ direction: "incoming" });
  const turn = (n: number): void => {
    seen.data!("in", Buffer.from(`GET /${n} HTTP/1.1\r\n\r\n`));
    seen.data!("out", Buffer.from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
  };
  turn(1);
  await inspector.settled();
  inspector.pin(1, true);
  for (let n = 2; n <= 40; n++) turn(n);
  await inspector.settled();
  const ids = (await inspector.list()).map(({ id }) => id);
  expect(ids).toEqual([40, 39, 38, 37, 36, 35, 34, 33, 32, 1]);
  expect(inspector.stats().evicted).toBe(30);
  expect(Buffer.from(inspector.get(40)!.responseBody.kept).toString()).toBe("hel");
  expect(inspector.get(40)!.responseBody.bytes).toBe(5);
  for (const id of [40, 39, 38, 37]) inspector.pin(id, true);
  expect(() => inspector.pin(36, true)).toThrow(expect.objectContaining({ code: "INSPECTOR_PINS_FULL" }));
  inspector.clear();
  expect((await inspector.list()).map(({ id }) => id)).toEqual([40, 39, 38, 37, 1]);
  // What is no longer pinned is the oldest of all.
  inspector.pin(1, false);
  for (let n = 41; n <= 46; n++) turn(n);
  await inspector.settled();
  expect((await inspector.list()).map(({ id }) => id)).toEqual([46, 45, 44, 43, 42, 41, 40, 39, 38, 37]);
});

it("follows an upgrade, and shows a WebSocket's messages", async () => {
  await using inspector = createInspector();
  const seen = inspector.connection({ direction: "incoming" });
  seen.data!("in", Buffer.from("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"));
  seen.data!(
    "out",
    Buffer.concat([
      Buffer.from("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
      Buffer.from([0x81, 2, 104, 105]),
    ]),
  );
  seen.data!("in", Buffer.from([0x81, 0x82, 0, 0, 0, 0, 121, 111]));
  seen.close!();
  await inspector.settled();
  expect(inspector.get(1)).toMatchObject({ state: "done", status: 101 });
  expect(inspector.get(1)!.messages.map(({ direction, text: said }) => `${direction} ${said}`)).toEqual(["out hi", "in yo"]);
});

it("sends a request again, as it was or edited, and keeps the answer as a request of its own", async () => {
  await using inspector = createInspector();
  const unwatch = inspector.watch(server);
  await ask("/gzip", { method: "POST", body: "once" });
  await inspector.settled();
  unwatch();
  const again = await inspector.replay(1, {});
  expect(again).toMatchObject({ status: 200, replayOf: 1, path: "/gzip", state: "done" });
  expect(await inspector.diff(1, again.id)).toMatchObject({ same: true });
  const edited = await inspector.replay(1, { edit: { path: "/plain", body: Buffer.from("twice") } });
  expect(Buffer.from(edited.requestBody.kept).toString()).toBe("twice");
  await expect(inspector.replay(1, { target: "nowhere" })).rejects.toMatchObject({ code: "INSPECTOR_NO_TARGET" });
  await expect(inspector.replay(1, { edit: { headers: [["x", "a\r\nb"]] } })).rejects.toMatchObject({
    code: "INSPECTOR_REPLAY_INVALID",
  });
  await expect(inspector.replay(1, { target: { name: "closed", origin: "http://127.0.0.1:1" } })).rejects.toMatchObject({
    code: "INSPECTOR_REPLAY_FAILED",
  });
  await expect(inspector.replay(99, {})).rejects.toMatchObject({ code: "INSPECTOR_GONE" });
});

it("a request that breaks off is told as such", async () => {
  await using inspector = createInspector();
  const breaker = createServer((incoming) => void (incoming.socket as Socket).resetAndDestroy());
  inspector.watch(breaker);
  await new Promise<void>((resolve) => breaker.listen(0, "127.0.0.1", resolve));
  await new Promise((resolve) => get({ port: (breaker.address() as AddressInfo).port, host: "127.0.0.1" }).on("error", resolve));
  await expect.poll(() => inspector.get(1)?.state).toBe("failed");
  breaker.close();
});

it("refuses budgets that it can't keep", () => {
  expect(() => createInspector({ budgets: { maxExchanges: 0 } })).toThrow(
    expect.objectContaining({ code: "INSPECTOR_OPTIONS_INVALID" }),
  );
});
