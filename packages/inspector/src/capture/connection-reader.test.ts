import fc from "fast-check";
import { expect, it } from "vitest";
import { budgetsOf } from "../options.ts";
import { createStore } from "../store.ts";
import { createConnectionReader } from "./connection-reader.ts";

const fragment = fc.oneof(
  fc.constantFrom(
    "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    "HEAD /c HTTP/1.1\r\n\r\n",
    "CONNECT h:1 HTTP/1.1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    "HTTP/1.0 304 Not Modified\r\n\r\n",
    "\x81\x02hi",
    "\xc1\x05\xf2\x48\xcd\xc9\xc9",
    "0\r\n\r\n",
  ),
  fc.string({ unit: "binary", maxLength: 30 }),
);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom("in" as const, "out" as const), text: fragment }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("gap" as const, "end in" as const, "end out" as const), text: fc.constant("") }),
  },
);

it("whatever passes: nothing is thrown, and once it is over no request is left open", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.boolean(), (steps, broken) => {
      const store = createStore(budgetsOf());
      let unread = 0;
      const reader = createConnectionReader({ direction: "incoming" }, store, () => unread++);
      for (const [at, { do: what, text }] of steps.entries()) {
        if (what === "gap") reader.gap();
        else if (what === "end in" || what === "end out") reader.end(what === "end in" ? "in" : "out", at);
        else reader.data(what, Buffer.from(text, "latin1"), at);
      }
      reader.close(broken ? new Error("reset") : undefined, 100);
      expect(store.list().filter(({ state }) => state === "open")).toEqual([]);
      expect(unread).toBeLessThanOrEqual(1);
    }),
    { numRuns: 500 },
  );
});

it("pairs pipelined requests with their answers, past an interim one and an answer without a body", () => {
  const store = createStore(budgetsOf());
  const reader = createConnectionReader({ direction: "incoming" }, store, () => {});
  reader.data(
    "in",
    Buffer.from("HEAD /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\n\r\n"),
    0,
  );
  reader.data(
    "out",
    Buffer.from(
      "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    ),
    1,
  );
  reader.data("out", Buffer.from("HTTP/1.1 200 OK\r\n\r\nuntil the end"), 2);
  reader.end("out", 3);
  expect(store.list().map(({ path, status, state, responseBody }) => [path, status, state, responseBody.bytes])).toEqual([
    ["/3", 200, "done", 13],
    ["/2", 201, "done", 0],
    ["/1", 200, "done", 0],
  ]);
});
