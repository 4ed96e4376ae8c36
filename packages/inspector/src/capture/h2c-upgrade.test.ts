import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { createInspector } from "../inspector.ts";
import { budgetsOf } from "../options.ts";
import { createStore } from "../store.ts";
import { createConnectionReader } from "./connection-reader.ts";
import { FLAG, FRAME, PREFACE } from "./http2-frames.ts";

const frame = (type: number, flags: number, stream: number, payload: Buffer | string = ""): Buffer => {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
};
/** `:status: 200`, by its number in the static table (RFC 7541, A). */
const ok = Buffer.from([0x88]);
const answer = (stream: number, text: string): Buffer =>
  Buffer.concat([frame(FRAME.headers, FLAG.endHeaders, stream, ok), frame(FRAME.data, FLAG.endStream, stream, text)]);
const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

it("reads what curl upgrades to HTTP/2: the request that asked for it is answered on the first stream", async () => {
  await using inspector = createInspector();
  const server = createServer().on("upgrade", (_request, socket) => {
    socket.on("error", () => {});
    socket.write(Buffer.concat([Buffer.from(switching), frame(FRAME.settings, 0, 0), answer(1, "hello by 2")]));
  });
  inspector.watch(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/up?x=1`;
    const { stdout } = await promisify(execFile)("curl", [
      "--silent",
      "--max-time",
      "10",
      "--http2",
      "--header",
      "x-user: alice",
      url,
    ]);
    expect(stdout).toBe("hello by 2");
    await inspector.settled();
    const found = await inspector.list();
    expect(found).toMatchObject([{ method: "GET", path: "/up?x=1", httpVersion: "1.1", status: 200, state: "done" }]);
    expect(Buffer.from(found[0]!.responseBody.kept).toString()).toBe("hello by 2");
    expect(inspector.stats().unread).toBe(0);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

it.each([1, 5, 1000])("reads on after an upgrade, request by request (pieces of %i bytes)", (cut) => {
  const store = createStore(budgetsOf());
  const reader = createConnectionReader({ direction: "incoming" }, store, () => {});
  const pass = (direction: "in" | "out", bytes: Buffer): void => {
    for (let at = 0; at < bytes.length; at += cut) reader.data(direction, bytes.subarray(at, at + cut), at);
  };
  const asking = "POST /first HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
  pass("in", Buffer.from(`${asking}Content-Length: 4\r\n\r\nbody`));
  pass("out", Buffer.concat([Buffer.from(switching), frame(FRAME.settings, 0, 0)]));
  // `:method: GET`, `:scheme: http`, `:path: /`.
  const second = Buffer.from([0x82, 0x86, 0x84]);
  pass(
    "in",
    Buffer.concat([
      ...[Buffer.from(PREFACE), frame(FRAME.settings, 0, 0)],
      frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 3, second),
    ]),
  );
  pass("out", Buffer.concat([answer(3, "two"), answer(1, "one")]));
  reader.close(undefined, 9);
  expect(
    store
      .list()
      .reverse()
      .map(({ method, path, httpVersion, status, state, requestBody, responseBody }) => [
        ...[method, path, httpVersion, status, state],
        ...[Buffer.from(requestBody.kept).toString(), Buffer.from(responseBody.kept).toString()],
      ]),
  ).toEqual([
    ["POST", "/first", "1.1", 200, "done", "body", "one"],
    ["GET", "/", "2", 200, "done", "", "two"],
  ]);
});

it("an upgrade that is refused, and one that breaks off", () => {
  const store = createStore(budgetsOf());
  const asking = Buffer.from("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  for (const said of ["HTTP/1.1 204 No Content\r\n\r\n", switching]) {
    const reader = createConnectionReader({ direction: "incoming" }, store, () => {});
    reader.data("in", asking, 1);
    reader.data("out", Buffer.from(said), 2);
    reader.close(undefined, 3);
  }
  expect(store.list().map(({ status, state }) => [status, state])).toEqual([
    [undefined, "failed"],
    [204, "done"],
  ]);
});
