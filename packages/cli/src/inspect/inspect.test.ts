import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { captureOption } from "../capture-option.ts";
import type { Invocation } from "../command.ts";
import { browserCommand, openBrowser } from "./browser.ts";
import { requestLine } from "./request-line.ts";
import { type TailedRequest, tail } from "./tail.ts";

const paint = (_style: string, text: string): string => text;
const one: TailedRequest = {
  ...{ id: 1, startedAt: new Date("2026-01-31T12:00:05").getTime(), method: "GET", path: "/cart", host: "core:3020" },
  ...{ status: 503, state: "done", duration: 12.4, responseBytes: 12_345, replayOf: null },
  ...{ direction: "incoming", service: "core", caller: "shop/frontend-1", route: "requests with x-user: alice" },
  grpcStatus: "",
};

test("a request on a line: when, answer, what, between whom, how long, how much, why", () => {
  expect(requestLine(one, paint)).toBe(
    "12:00:05  503  GET /cart  core ← shop/frontend-1  12 ms  12.3 kB  (requests with x-user: alice)",
  );
  const out: TailedRequest = { ...one, status: null, state: "failed", direction: "outgoing", replayOf: 1, route: "" };
  expect(requestLine(out, paint)).toBe("12:00:05  ERR  ↻ GET /cart  → core  12 ms  12.3 kB");
  expect(requestLine({ ...one, replayOf: 1, caller: "", route: "" }, paint)).toContain("↻ GET /cart  core ← you");
  expect(requestLine({ ...one, status: 200, path: "/shop.Cart/Get", grpcStatus: "5 NOT_FOUND" }, paint)).toContain(
    "200  GET /shop.Cart/Get  5 NOT_FOUND  core ←",
  );
  const other: TailedRequest = { ...one, method: "REDIS", path: "begins with HELLO", status: null, route: "" };
  expect(requestLine(other, paint)).toContain("12:00:05  -    REDIS begins with HELLO");
});

let server: Server;
let send: (event: string) => void = () => {};
let answer: { status: number; body?: string };
const asked: unknown[] = [];
beforeEach(async () => {
  answer = { status: 200 };
  asked.length = 0;
  server = createServer((request, response) => {
    asked.push([request.url, request.headers.authorization]);
    response.writeHead(answer.status, { "content-type": "text/event-stream" });
    if (answer.body !== undefined) response.end(answer.body);
    else response.flushHeaders();
    send = (event) => response.write(event);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});
const batch = (changed: TailedRequest[], droppedBytes = 0): string =>
  `event: batch\ndata: ${JSON.stringify({ changed, removed: [], stats: { droppedBytes } })}\n\n`;

test("tail tells each request once, when it is over, from now on; what was dropped, once; and ends with the inspector", async () => {
  const told: number[] = [];
  const dropped: number[] = [];
  const { port } = server.address() as AddressInfo;
  const opened = Promise.withResolvers<void>();
  const over = tail({
    ...{ port, token: "t0ken", filter: 'status:5xx body:"a b"', signal: new AbortController().signal },
    onOpen: opened.resolve,
    onRequest: ({ id }) => told.push(id),
    onDropped: (bytes) => dropped.push(bytes),
  });
  await opened.promise;
  const now = Date.now() + 1;
  const text = [
    batch([{ ...one, id: 1, startedAt: now - 60_000 }]),
    batch([{ ...one, id: 2, startedAt: now, state: "open", status: null }]),
    ":\n\n",
    batch([{ ...one, id: 2, startedAt: now }], 7),
    batch(
      [
        { ...one, id: 2, startedAt: now },
        { ...one, id: 3, startedAt: now, path: "/ü" },
      ],
      7,
    ),
  ].join("");
  // Cut in the middle of a character.
  const bytes = Buffer.from(text);
  const cut = bytes.indexOf(0xc3) + 1;
  send(bytes.subarray(0, cut) as unknown as string);
  await new Promise((resolve) => setImmediate(resolve));
  send(bytes.subarray(cut) as unknown as string);
  await expect.poll(() => told).toEqual([2, 3]);
  expect(dropped).toEqual([7]);
  expect(asked).toEqual([
    [`/api/events?filter=${encodeURIComponent('status:5xx body:"a b"').replaceAll("%20", "+")}`, "Bearer t0ken"],
  ]);
  server.closeAllConnections();
  await over;
});

test("tail rejects with the inspector's own error", async () => {
  answer = { status: 400, body: '{"error":{"code":"INSPECTOR_FILTER_INVALID","message":"no","hint":"say so"}}' };
  const { port } = server.address() as AddressInfo;
  await expect(
    tail({
      ...{ port, token: "t", filter: "x", signal: new AbortController().signal },
      onOpen() {},
      onRequest() {},
      onDropped() {},
    }),
  ).rejects.toMatchObject({ code: "INSPECTOR_FILTER_INVALID", hint: "say so" });
});

test("a browser is opened where it could be seen, and nothing else is tried", async () => {
  expect(browserCommand("linux", {})).toBeUndefined();
  expect(browserCommand("linux", { WAYLAND_DISPLAY: "wayland-0" })).toEqual(["xdg-open"]);
  expect(browserCommand("darwin", {})).toEqual(["open"]);
  expect(await openBrowser("http://localhost:1/", ["true"])).toBe(true);
  expect(await openBrowser("http://localhost:1/", ["/no/such/program"])).toBe(false);
});

test("--inspect and --no-capture say whether traffic is kept, and contradict each other", () => {
  const given = (...names: string[]): Invocation => ({ words: [], options: Object.fromEntries(names.map((name) => [name, true])) });
  expect(captureOption(given())).toEqual({});
  expect(captureOption(given("inspect"))).toEqual({ capture: true });
  expect(captureOption(given("no-capture"))).toEqual({ capture: false });
  expect(() => captureOption(given("inspect", "no-capture"))).toThrow(expect.objectContaining({ code: "USAGE" }));
});
