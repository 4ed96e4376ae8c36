import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { MIXED, MIXED_ANSWERS, mine, served } from "./fixtures/requests.ts";
import { listenHttp, listenNamed, listenRaw, startRig, talk } from "./fixtures/rig.ts";

describe("a developer's end that is away", () => {
  test("nobody linked, or nothing listening: the pods answer, bodies and all", async () => {
    await using pods = await listenNamed("pods");
    const laptop = await listenNamed("laptop");
    await laptop[Symbol.asyncDispose]();
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, undefined);
    expect(served(await talk(rig.port, MIXED))).toEqual(MIXED_ANSWERS.map((line) => line.replace("laptop", "pods")));
    rig.move("me", laptop.port);
    expect(served(await talk(rig.port, MIXED))).toEqual(MIXED_ANSWERS.map((line) => line.replace("laptop", "pods")));
  });

  test("requests wait as long as the lease says, without disturbing others", async () => {
    await using pods = await listenNamed("pods");
    await using laptop = await listenNamed("laptop");
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, undefined, { holdMs: 5_000 });
    const ask = (who: string) => talk(rig.port, `GET / HTTP/1.1\r\nHost: s\r\nX-User: ${who}\r\nConnection: close\r\n\r\n`);
    const held = ask("me");
    expect(await ask("other")).toContain("pods GET");
    await sleep(100);
    rig.move("me", laptop.port);
    expect(await held).toContain("laptop GET");

    rig.move("me", undefined);
    rig.lease("me", mine, undefined, { holdMs: 300 });
    const started = performance.now();
    expect(await ask("me")).toContain("pods GET");
    expect(performance.now() - started).toBeGreaterThan(290);
  });

  test("gone before the first byte of an answer: what can be asked again goes to the pods with its body, the rest is told", async () => {
    await using pods = await listenNamed("pods");
    await using laptop = await listenRaw((socket) => {
      let got = 0;
      socket.on("data", (chunk) => {
        got += chunk.length;
        if (got > 100) setTimeout(() => socket.resetAndDestroy(), 20);
      });
    });
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, laptop.port);
    const ask = (method: string, body: string) =>
      talk(
        rig.port,
        `${method} / HTTP/1.1\r\nHost: s\r\nX-User: me\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    expect(await ask("GET", "")).toContain("pods GET / 0");
    expect(await ask("PUT", "x".repeat(50_000))).toContain("pods PUT / 50000");
    expect(await ask("PUT", "x".repeat(500_000))).toMatch(/^HTTP\/1.1 502 [\s\S]*me@laptop had this request/);
    expect(await ask("POST", "once")).toMatch(/^HTTP\/1.1 502 /);
  });

  test("its kept connection was closed meanwhile: the next request opens another", async () => {
    await using pods = await listenNamed("pods");
    await using laptop = await listenHttp((_request, response) => {
      response.setHeader("content-length", "7");
      response.end("laptop\n", () => setTimeout(() => response.socket?.destroy(), 10));
    });
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, laptop.port);
    const socket = connect({ port: rig.port, host: "127.0.0.1" });
    const bodies: string[] = [];
    for (const flag of ["me", "no", "me"]) {
      socket.write(`POST / HTTP/1.1\r\nHost: s\r\nX-User: ${flag}\r\nContent-Length: 2\r\n\r\nhi`);
      bodies.push(String((await once(socket, "data"))[0]).split("\r\n\r\n")[1]!);
      if (flag === "no") await sleep(100);
    }
    expect(bodies).toEqual(["laptop\n", "pods POST / 2\n", "laptop\n"]);
    socket.destroy();
  });

  test.each([
    ["at once, it is asked anew", 0],
    ["after a while, it is waited for", 5_000],
  ])("its process ends with a request, and is back %s", async (_when, holdMs) => {
    await using pods = await listenNamed("pods");
    await using again = await listenNamed("again");
    await using rig = await startRig(pods.port);
    await using first = await listenHttp((request) => {
      rig.move("me", holdMs === 0 ? again.port : undefined);
      if (holdMs > 0) setTimeout(() => rig.move("me", again.port), 500);
      request.socket.destroy();
    });
    rig.lease("me", { all: true }, first.port, { holdMs });
    expect(await talk(rig.port, "GET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n")).toContain("again GET");
    expect(rig.leases.list()[0]).toMatchObject({ requests: 1 });
  });

  test("its process ends with every request: the pods answer in the end", async () => {
    await using pods = await listenNamed("pods");
    await using laptop = await listenHttp((request) => void request.socket.destroy());
    await using rig = await startRig(pods.port);
    rig.lease("me", { all: true }, laptop.port);
    expect(await talk(rig.port, "GET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n")).toContain("pods GET");
    expect(laptop.connections).toBe(2);
  });

  test("it ends an idle connection, and the client's stays", async () => {
    await using pods = await listenNamed("pods");
    await using laptop = await listenHttp((request, response) => {
      response.end("x");
      setTimeout(() => request.socket.end(), 20);
    });
    await using rig = await startRig(pods.port);
    rig.lease("me", { all: true }, laptop.port);
    const socket = connect({ port: rig.port, host: "127.0.0.1" });
    for (const pause of [0, 150]) {
      await sleep(pause);
      socket.write("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
      expect(String((await once(socket, "data"))[0])).toMatch(/\r\n\r\n(1\r\n)?x/);
    }
    socket.destroy();
  });

  test("no answer is timed out", async () => {
    await using laptop = await listenHttp((_request, response) => void setTimeout(() => response.end("late"), 1_500));
    await using rig = await startRig(undefined);
    rig.lease("me", { all: true }, laptop.port);
    expect(await (await fetch(`http://127.0.0.1:${rig.port}/`)).text()).toBe("late");
  });

  test("a client that goes takes its request with it", async () => {
    let gone = false;
    await using laptop = await listenHttp((request) => {
      request.once("close", () => {
        gone = true;
      });
    });
    await using rig = await startRig(undefined);
    rig.lease("me", { all: true }, laptop.port);
    const socket = connect({ port: rig.port, host: "127.0.0.1" });
    socket.write("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
    await expect.poll(() => laptop.connections).toBe(1);
    await sleep(50);
    socket.resetAndDestroy();
    await expect.poll(() => gone).toBe(true);
  });
});

describe("the pods", () => {
  test("not there: 502; nobody behind the port: 503", async () => {
    const pods = await listenNamed("pods");
    await pods[Symbol.asyncDispose]();
    await using away = await startRig(pods.port);
    expect(await talk(away.port, "GET / HTTP/1.1\r\nHost: s\r\n\r\n")).toContain("502 Bad Gateway");
    await using none = await startRig(undefined);
    expect(await talk(none.port, "GET / HTTP/1.1\r\nHost: s\r\n\r\n")).toContain("503 Service Unavailable");
  });

  test("when they end an idle connection, the client sees it", async () => {
    await using pods = await listenHttp((request, response) => {
      response.end("x");
      setTimeout(() => request.socket.end(), 50);
    });
    await using rig = await startRig(pods.port);
    expect(await talk(rig.port, "GET / HTTP/1.1\r\nHost: s\r\n\r\n")).toContain("\r\n\r\nx");
  });

  test("answer early, while the request still comes: the next one is read where it begins", async () => {
    await using pods = await listenRaw((socket) => {
      let all = "";
      let early = false;
      socket.on("data", (chunk) => {
        all += chunk.toString("latin1");
        if (!early && all.includes("/1")) {
          early = true;
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
        }
        if (all.includes("/2")) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntwo");
      });
    });
    await using rig = await startRig(pods.port);
    const got = talk(rig.port, [
      "POST /1 HTTP/1.1\r\nHost: s\r\nContent-Length: 100000\r\n\r\n",
      "x".repeat(50_000),
      "x".repeat(50_000),
      "GET /2 HTTP/1.1\r\nHost: s\r\n\r\n",
    ]);
    expect(await got).toMatch(/early[\s\S]*two$/);
  });
});
