import { once } from "node:events";
import { request as httpRequest } from "node:http";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { mine } from "./fixtures/requests.ts";
import { listenHttp, listenNamed, listenRaw, startRig, talk } from "./fixtures/rig.ts";

describe("what arrives", () => {
  test("heads as they were sent, but for what the path adds; answers as they were given", async () => {
    const heads: string[] = [];
    const answer =
      "HTTP/1.1 200 Fine\r\nx-ODD:  1\r\nSet-Cookie: a\r\nset-cookie: b\r\nKeep-Alive: timeout=9\r\nContent-Length: 2\r\n\r\nok";
    await using pods = await listenRaw((socket) => {
      socket.on("data", (chunk) => {
        heads.push(chunk.toString("latin1"));
        socket.write(answer);
      });
    });
    await using rig = await startRig(pods.port);
    const got = await talk(
      rig.port,
      [
        "GET /a%2f/../b?q=%zz HTTP/1.1\r\nhOST: s:80\r\nX-A:  1 \r\nx-a: \xfc\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: x-secret, keep-alive\r\nX-Secret: 1\r\nConnection: close\r\n\r\n",
      ],
      { end: true },
    );
    expect(got).toBe(answer);
    expect(heads).toEqual([
      "GET /a%2f/../b?q=%zz HTTP/1.1\r\nhOST: s:80\r\nX-A:  1 \r\nx-a: \xfc\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: s:80\r\nConnection: keep-alive, close\r\n\r\n",
    ]);
  });

  test("an upgrade to HTTP/2 is not passed on: its requests could not be told apart", async () => {
    await using pods = await listenHttp((request, response) => {
      response.end(JSON.stringify(request.headers));
    });
    await using rig = await startRig(pods.port);
    const got = await talk(
      rig.port,
      "GET / HTTP/1.1\r\nHost: s\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\nGET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n",
    );
    expect(got).not.toMatch(/h2c|http2-settings|"upgrade"/i);
    expect(got.match(/x-forwarded-for/g)).toHaveLength(2);
  });

  test("chunks with extensions and trailers, byte for byte, both ways", async () => {
    const body = "5;ext=1\r\nhello\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
    await using pods = await listenRaw((socket) => {
      let all = "";
      socket.on("data", (chunk) => {
        all += chunk.toString("latin1");
        if (all.endsWith("X-Sum: 1\r\n\r\n"))
          socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n${body}`);
      });
    });
    await using rig = await startRig(pods.port);
    const got = await talk(rig.port, `POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n${body}`, { end: true });
    expect(got.endsWith(`\r\n\r\n${body}`)).toBe(true);
    expect(pods.received().endsWith(`\r\n\r\n${body}`)).toBe(true);
  });

  test("answers without a body, and interim ones", async () => {
    await using pods = await listenRaw((socket) => {
      socket.on("data", (chunk) => {
        for (const [, method, path] of chunk.toString().matchAll(/^(\w+) (\/\w+) HTTP/gm)) {
          if (path === "/hints") socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
          const status = path === "/none" ? "204 No Content" : path === "/same" ? "304 Not Modified" : "200 OK";
          const body = method === "HEAD" || status !== "200 OK" ? "" : "12345";
          socket.write(
            `HTTP/1.1 ${status}\r\nX-Path: ${path}\r\n${status === "204 No Content" ? "" : "Content-Length: 5\r\n"}\r\n${body}`,
          );
        }
      });
    });
    await using rig = await startRig(pods.port);
    const ask = (method: string, path: string): string => `${method} ${path} HTTP/1.1\r\nHost: s\r\n\r\n`;
    const got = await talk(
      rig.port,
      ask("HEAD", "/head") + ask("GET", "/none") + ask("GET", "/same") + ask("GET", "/hints") + ask("GET", "/last"),
      {
        end: true,
      },
    );
    expect(got.match(/X-Path: \S+/g)).toEqual([
      "X-Path: /head",
      "X-Path: /none",
      "X-Path: /same",
      "X-Path: /hints",
      "X-Path: /last",
    ]);
    expect(got).toContain("103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK");
    expect(got.match(/12345/g)).toHaveLength(2);
  });

  test("Expect: 100-continue: the body waits for whom it goes to", async () => {
    await using laptop = await listenNamed("laptop");
    await using rig = await startRig(undefined);
    rig.lease("me", mine, laptop.port);
    const request = httpRequest({
      port: rig.port,
      method: "POST",
      headers: { expect: "100-continue", "x-user": "me" },
      agent: false,
    });
    request.flushHeaders();
    await once(request, "continue");
    request.end("waited");
    const [response] = (await once(request, "response")) as [Readable];
    expect(await text(response)).toContain("laptop POST / 6");
  });

  test("HTTP/1.0, and an answer that ends with its connection", async () => {
    await using pods = await listenRaw((socket) => {
      socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\nas long as it is"));
    });
    await using rig = await startRig(pods.port);
    expect(await talk(rig.port, "GET / HTTP/1.0\r\n\r\n")).toBe("HTTP/1.0 200 OK\r\n\r\nas long as it is");
  });

  test("what answers without a head of HTTP/1 is passed on as it is", async () => {
    await using pods = await listenRaw((socket) => {
      socket.once("data", () => socket.end("nothing of the kind\n"));
    });
    await using rig = await startRig(pods.port);
    expect(await talk(rig.port, "GET / HTTP/1.1\r\nHost: s\r\n\r\n")).toBe("nothing of the kind\n");
  });

  test("an answer that is cut off ends in a reset, not in good order", async () => {
    await using pods = await listenRaw((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
        setTimeout(() => socket.destroy(), 30);
      });
    });
    await using rig = await startRig(pods.port);
    await expect(talk(rig.port, "GET / HTTP/1.1\r\nHost: s\r\n\r\n")).rejects.toMatchObject({ code: "ECONNRESET" });
  });
});
