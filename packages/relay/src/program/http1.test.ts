import { once } from "node:events";
import { Agent, get } from "node:http";
import { connect, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { MIXED, MIXED_ANSWERS, mine, served } from "./fixtures/requests.ts";
import { listenHttp, listenNamed, listenRaw, startRig, talk } from "./fixtures/rig.ts";

describe("routing", () => {
  test("each request of one connection goes to whom it belongs, sent one after another or all at once", async () => {
    await using pods = await listenNamed("pods");
    await using laptop = await listenNamed("laptop");
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, laptop.port);
    expect(served(await talk(rig.port, MIXED))).toEqual(MIXED_ANSWERS);
    expect([pods.connections, laptop.connections]).toEqual([1, 1]);
    expect(rig.opened[0]!.info).toEqual({ port: 80, peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
    expect(rig.leases.get("me")).toMatchObject({ requests: 2, connections: 1 });
  });

  test("cut at every byte, and byte by byte", async () => {
    await using pods = await listenNamed("pods");
    await using laptop = await listenNamed("laptop");
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, laptop.port);
    const cuts = Array.from({ length: MIXED.length - 1 }, (_, at) => [MIXED.slice(0, at + 1), MIXED.slice(at + 1)]);
    for (let i = 0; i < cuts.length; i += 32) {
      const answers = await Promise.all(cuts.slice(i, i + 32).map((pieces) => talk(rig.port, pieces)));
      for (const answer of answers) expect(served(answer)).toEqual(MIXED_ANSWERS);
    }
    expect(served(await talk(rig.port, [...MIXED]))).toEqual(MIXED_ANSWERS);
  });

  test("by path, method, baggage and regular expression, for fetch and node:http clients", async () => {
    await using pods = await listenNamed("pods");
    await using laptop = await listenNamed("laptop");
    await using rig = await startRig(pods.port);
    rig.lease("a", { path: { prefix: "/api/" }, methods: ["POST"] }, laptop.port);
    rig.lease("b", { baggage: [{ key: "user", value: "jo doe" }], methods: ["GET"] }, laptop.port);
    rig.lease("c", { headers: [{ name: "user-agent", regex: "(?i)mobile" }], methods: ["PUT"] }, laptop.port);
    const ask = async (path: string, init: RequestInit = {}): Promise<string> =>
      (await (await fetch(`http://127.0.0.1:${rig.port}${path}`, init)).text()).split(" ")[0]!;
    expect(await ask("/api/x", { method: "POST", body: "b" })).toBe("laptop");
    expect(await ask("/api/x")).toBe("pods");
    expect(await ask("/x", { headers: { baggage: "a=1, user=jo%20doe;p" } })).toBe("laptop");
    expect(await ask("/x", { method: "PUT", headers: { "user-agent": "Some Mobile 1" } })).toBe("laptop");
    expect(await ask("/x", { method: "PUT", body: "b" })).toBe("pods");
    using agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 1 }), { [Symbol.dispose]: () => agent.destroy() });
    for (const [headers, who] of [
      [{ baggage: "user=jo%20doe" }, "laptop"],
      [{}, "pods"],
      [{ baggage: "user=jo%20doe" }, "laptop"],
    ] as const) {
      const [response] = (await once(get({ port: rig.port, agent, headers }), "response")) as [Readable];
      expect(await text(response)).toContain(who);
    }
  });
});

test("a copy goes to who mirrors: the pods answer, and are not waited for", async () => {
  await using pods = await listenNamed("pods");
  await using laptop = await listenRaw(() => {});
  await using rig = await startRig(pods.port);
  rig.lease("me", { all: true }, laptop.port, { mirror: true });
  const post = "POST /2 HTTP/1.1\r\nHost: s\r\nContent-Length: 5\r\n\r\nhello";
  expect(served(await talk(rig.port, `${post}GET /3 HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n`))).toEqual([
    "pods POST /2 5",
    "pods GET /3 0",
  ]);
  await expect.poll(() => laptop.received()).toMatch(/POST \/2 [\s\S]*Connection: close\r\n\r\nhello/);
  // A copy that isn't read is given up, and nobody waits for it.
  const big = "x".repeat(8 * 1024 * 1024);
  expect(
    served(
      await talk(rig.port, `POST /big HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Length: ${big.length}\r\n\r\n${big}`),
    ),
  ).toEqual([`pods POST /big ${big.length}`]);
});

describe("going", () => {
  /** A connection that has had an answer, and waits for another request. */
  const waiting = async (port: number): Promise<{ socket: Socket; ask(path: string): Promise<string> }> => {
    const socket = connect({ port, host: "127.0.0.1" });
    const ask = async (path: string): Promise<string> => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: s\r\n\r\n`);
      return String((await once(socket, "data"))[0]);
    };
    expect(await ask("/first")).not.toContain("Connection: close");
    return { socket, ask };
  };

  test("draining: answers say close, those under way get theirs, and who waits for a request can send it", async () => {
    await using pods = await listenHttp(
      (request, response) => void setTimeout(() => response.end("x"), request.url === "/slow" ? 600 : 0),
    );
    await using rig = await startRig(pods.port);
    const idle = await waiting(rig.port);
    const slow = talk(rig.port, "GET /slow HTTP/1.1\r\nHost: s\r\n\r\n");
    await sleep(50);
    let over = false;
    const drained = rig.accept.drain({ settleMs: 100, boundMs: 10_000 }).then(() => {
      over = true;
    });
    // The nodes learn of it in a moment only.
    expect(await talk(rig.port, "GET /b HTTP/1.1\r\nHost: s\r\n\r\n")).toContain("Connection: close");
    await sleep(200);
    expect(over, "something is under way").toBe(false);
    expect(await slow).toMatch(/Connection: close[\s\S]*x/);
    await drained;
    const left = rig.accept.leave({ patienceMs: 10_000 });
    await sleep(100);
    const ended = once(idle.socket, "end");
    expect(await idle.ask("/last")).toMatch(/Connection: close[\s\S]*x/);
    await ended;
    await left;
    await expect(talk(rig.port, "")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("who waits for longer is ended; what it sends in that moment isn't passed on", async () => {
    await using pods = await listenNamed("pods");
    await using rig = await startRig(pods.port);
    const idle = await waiting(rig.port);
    const ended = once(idle.socket, "end");
    const left = rig.accept.leave({ patienceMs: 100 });
    await ended;
    idle.socket.on("error", () => {});
    idle.socket.write("POST /late HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\n\r\n");
    await left;
    expect(pods.received()).not.toContain("/late");
  });

  test("when what stood behind it is gone, it asks the Service that has been put back", async () => {
    await using pods = await listenNamed("pods");
    const gone = await listenNamed("backend");
    await using rig = await startRig(gone.port, { restored: { host: "127.0.0.1", port: pods.port } });
    const idle = connect({ port: rig.port, host: "127.0.0.1" });
    await once(idle, "connect");
    await gone[Symbol.asyncDispose]();
    const left = rig.accept.leave({ patienceMs: 5_000 });
    idle.write("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
    expect(String((await once(idle, "data"))[0])).toContain("pods GET");
    await left;
  });
});
