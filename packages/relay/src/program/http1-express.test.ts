import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { standstill } from "@shipside/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mine } from "./fixtures/requests.ts";
import { listenHttp, listenRaw, startRig, talk } from "./fixtures/rig.ts";

/** Answers as the path asks for: framed in each way, at once or in pieces. */
function answer(path: string, response: ServerResponse): void {
  response.sendDate = false;
  const body = "answer ".repeat(Number(path.split("-")[1] ?? 1));
  if (path.startsWith("/none")) response.writeHead(204).end();
  else if (path.startsWith("/chunks")) {
    response.write(body);
    response.addTrailers({ "x-sum": "1" });
    response.end(body);
  } else if (path.startsWith("/hints")) {
    response.writeEarlyHints({ link: "</a>; rel=preload" });
    response.writeHead(200, { "content-length": body.length }).end(body);
  } else if (path.startsWith("/pieces")) {
    response.writeHead(200, { "content-length": body.length * 2 });
    response.write(body);
    setTimeout(() => response.end(body), 2);
  } else if (path.startsWith("/strange")) response.writeHead(200, { connection: "keep-alive, x-own", "x-own": "1" }).end(body);
  else response.writeHead(200, { "content-length": body.length }).end(body);
}

interface Asked {
  method: string;
  path: string;
  fields: readonly string[];
  flagged: boolean;
  body: string;
  chunked: boolean;
}

const request: fc.Arbitrary<Asked> = fc.record({
  method: fc.constantFrom("GET", "POST", "HEAD", "PUT"),
  path: fc
    .tuple(fc.constantFrom("/", "/none", "/chunks", "/hints", "/pieces"), fc.constantFrom("-1", "-2", "-20000"))
    .map((parts) => parts.join("")),
  fields: fc.subarray(["Connection: keep-alive", "X-A:  b \t", "x-a: \xfc", "X-Forwarded-Proto: https", "Accept: */*"]),
  flagged: fc.boolean(),
  body: fc.constantFrom("", "b", "body ".repeat(30)),
  chunked: fc.boolean(),
});

/** As it is sent, or as it arrives behind the relay. */
function bytesOf({ method, path, fields, flagged, body, chunked }: Asked, onward: boolean): string {
  const framing = body === "" ? [] : [chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`];
  const told = fields.some((field) => field.startsWith("X-Forwarded-Proto")) ? [] : ["X-Forwarded-Proto: http"];
  const added = onward ? ["X-Forwarded-For: 127.0.0.1", ...told, "X-Forwarded-Host: s"] : [];
  const lines = [`${method} ${path} HTTP/1.1`, "Host: s", ...fields, ...(flagged ? ["X-User: me"] : []), ...framing, ...added];
  const framed = body !== "" && chunked ? `${body.length.toString(16)};x\r\n${body}\r\n0\r\n\r\n` : body;
  return `${lines.join("\r\n")}\r\n\r\n${framed}`;
}

const piecesOf = (text: string, cuts: readonly number[]): string[] => {
  const pieces: string[] = [];
  for (let at = 0, i = 0; at < text.length; i++) {
    const length = cuts[i % cuts.length]!;
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
};

describe("requests of one connection", () => {
  test("however they are cut: the same bytes to whom they belong, and the answers that each gives itself", async () => {
    await using pods = await listenHttp(({ url = "" }, response) => answer(url, response));
    await using laptop = await listenHttp(({ url = "" }, response) => answer(url, response));
    await using direct = await listenHttp(({ url = "" }, response) => answer(url, response));
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, laptop.port);
    const at = { pods: "", laptop: "" };
    pods.server.on("connection", (socket) => socket.on("data", (chunk: Buffer) => (at.pods += chunk.toString("latin1"))));
    laptop.server.on("connection", (socket) => socket.on("data", (chunk: Buffer) => (at.laptop += chunk.toString("latin1"))));
    const last = "GET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n";
    const lastOnward = last.replace(
      "\r\n\r\n",
      "\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: s\r\n\r\n",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 6 }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constant(2_000)), { minLength: 1, maxLength: 5 }),
        async (requests, cuts) => {
          const sent = requests.map((one) => bytesOf(one, false)).join("") + last;
          Object.assign(at, { pods: "", laptop: "" });
          expect(await talk(rig.port, piecesOf(sent, cuts))).toBe(await talk(direct.port, sent));
          const onward = (flagged: boolean): string =>
            requests
              .filter((one) => one.flagged === flagged)
              .map((one) => bytesOf(one, true))
              .join("");
          expect(at).toEqual({ pods: onward(false) + lastOnward, laptop: onward(true) });
        },
      ),
      { numRuns: 40 },
    );
  });

  /** Asks one after another, each when the answer before has come. */
  const inTurn = async (port: number, asks: ReadonlyArray<readonly [sent: string, awaited: RegExp]>): Promise<string[]> => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const answers: string[] = [];
    for (const [sent, awaited] of asks) {
      let got = "";
      const on = (chunk: Buffer): void => void (got += chunk.toString("latin1"));
      socket.on("data", on);
      socket.write(sent);
      await expect.poll(() => got, { timeout: 5_000 }).toMatch(awaited);
      socket.off("data", on);
      answers.push(got);
    }
    socket.destroy();
    return answers;
  };
  const get = (path: string, flag = ""): string => `GET ${path} HTTP/1.1\r\nHost: s\r\n${flag}\r\n`;

  test("fields that end here are taken out of later answers as well, and the last one says that it is", async () => {
    await using pods = await listenHttp(({ url = "" }, response) => answer(url, response));
    await using rig = await startRig(pods.port);
    const answers = await inTurn(rig.port, [
      [get("/"), /answer/],
      [get("/strange"), /answer/],
      [get("/strange"), /answer/],
    ]);
    expect(answers[1]).toBe(answers[2]);
    expect(answers[1]).toMatch(/Connection: keep-alive\r\n/);
    expect(answers[1]).not.toContain("x-own");
    void rig.accept.drain({ settleMs: 0, boundMs: 0 });
    const ended = await talk(rig.port, get("/"));
    expect(ended).toContain("Connection: close");
  });

  test.each([
    ["PUT", /pods PUT 4/],
    ["POST", /^HTTP\/1.1 502 [\s\S]*me@laptop had this request/],
  ])("a developer's process ends with a later request: %s", async (method, awaited) => {
    await using pods = await listenHttp(async (received, response) => {
      let length = 0;
      for await (const chunk of received) length += (chunk as Buffer).length;
      response.end(`pods ${received.method} ${length}\n`);
    });
    let asked = 0;
    await using laptop = await listenRaw((socket) => {
      socket.on("data", () => {
        if (asked++ === 0) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nlaptop");
        else socket.resetAndDestroy();
      });
    });
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, laptop.port);
    const flagged = `${method} / HTTP/1.1\r\nHost: s\r\nX-User: me\r\nContent-Length: 4\r\n\r\nbody`;
    await inTurn(rig.port, [
      [flagged, /laptop$/],
      [flagged, awaited],
    ]);
    // The one that it ended with, and where that can be: once more, anew.
    expect(asked).toBe(method === "PUT" ? 3 : 2);
    expect(rig.leases.get("me")).toMatchObject({ requests: 2 });
  });

  test("what a server says beyond its answer is nobody's answer: the next request gets another connection", async () => {
    const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    await using pods = await listenRaw((socket) => {
      let asked = 0;
      socket.on("data", () => socket.write(asked++ === 0 ? ok : `${ok}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong`));
    });
    await using rig = await startRig(pods.port);
    const answers = await inTurn(rig.port, [
      [get("/1"), /ok$/],
      [get("/2"), /ok$/],
      [get("/3"), /ok$/],
    ]);
    expect(answers).toEqual([ok, ok, ok]);
    expect(pods.connections).toBe(2);
  });

  test("a later answer that is cut off ends in a reset", async () => {
    await using pods = await listenRaw((socket) => {
      let asked = 0;
      socket.on("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        socket.write(asked++ === 0 ? "0123456789" : "0123");
        if (asked > 1) setTimeout(() => socket.end(), 20);
      });
    });
    await using rig = await startRig(pods.port);
    const socket = connect({ port: rig.port, host: "127.0.0.1" });
    const failed = once(socket, "error");
    socket.write(get("/1"));
    let got = "";
    socket.on("data", (chunk) => (got += chunk));
    await expect.poll(() => got).toMatch(/0123456789$/);
    socket.write(get("/2"));
    await expect.poll(() => got).toMatch(/0123$/);
    expect(((await failed) as [NodeJS.ErrnoException])[0].code).toBe("ECONNRESET");
  });

  test("later chunks that are out of order come as they are, up to the end", async () => {
    const bad = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    await using pods = await listenRaw((socket) => {
      let asked = 0;
      socket.on("data", async () => {
        if (asked++ === 0) return void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        socket.write(bad);
        for (const piece of ["zz", "\r\nmore", "and more"]) {
          await sleep(10);
          socket.write(piece);
        }
        socket.end();
      });
    });
    await using rig = await startRig(pods.port);
    const got = talk(rig.port, [get("/1"), get("/2")]);
    expect(await got).toBe(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${bad}zz\r\nmoreand more`);
  });

  test("a client that doesn't read a later answer makes the server wait, and gets all of it in the end", async () => {
    const size = 64 * 1024 * 1024;
    let written = 0;
    await using pods = await listenRaw((socket) => {
      const chunk = Buffer.alloc(65_536, "x");
      const pump = (): void => {
        while (!socket.destroyed && written < size) {
          written += chunk.length;
          if (!socket.write(chunk)) return void socket.once("drain", pump);
        }
      };
      let asked = 0;
      socket.on("data", () => {
        if (asked++ === 0) return void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        pump();
      });
    });
    await using rig = await startRig(pods.port);
    const socket = connect({ port: rig.port, host: "127.0.0.1" });
    socket.write(get("/1"));
    await once(socket, "data");
    socket.pause();
    socket.write(get("/2"));
    expect(await standstill(() => written)).toBeLessThan(size / 2);
    let got = 0;
    socket.on("data", (chunk) => (got += chunk.length));
    socket.resume();
    await expect.poll(() => got, { timeout: 15_000 }).toBeGreaterThan(size);
    socket.destroy();
  });
});
