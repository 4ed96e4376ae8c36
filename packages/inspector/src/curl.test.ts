import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import fc from "fast-check";
import { expect, it } from "vitest";
import { shellWord, toCurl } from "./curl.ts";
import { makeExchange } from "./fixtures/exchange.ts";
import { createInspector } from "./inspector.ts";

const sh = async (command: string): Promise<string> =>
  (await promisify(execFile)("/bin/sh", ["-c", command], { encoding: "buffer" })).stdout.toString("utf8");

it("any text is one word of a shell, and nothing else", async () => {
  const texts = fc.sample(
    fc.string({ unit: fc.constantFrom("'", '"', "`", "$", "(", ")", "\\", " ", "\n", "!", ";", "&", "*", "~", "#", "a", "é") }),
    100,
  );
  const printed = await sh(texts.map((text) => `printf '%s\\0' ${shellWord(text)}`).join("\n"));
  expect(printed.split("\0").slice(0, -1)).toEqual(texts);
});

it("curl sends again what was captured, byte for byte", async () => {
  await using inspector = createInspector();
  const server = createServer((request, response) => request.resume().on("end", () => response.end("ok")));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  inspector.watch(server);
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const bodies = ["", 'it\'s $HOME `id` \\ "q"\nnext', "@/etc/passwd", Buffer.from([0, 255, 39, 10, 200])];
  try {
    const sent = bodies.map((requestBody, at) =>
      makeExchange({
        method: requestBody.length > 0 ? "PUT" : "GET",
        path: `/a/../[x]{1,2}?q='${at}'`,
        requestHeaders: [
          ["host", host],
          ["X-Empty", ""],
          ["X-Odd", "@/etc/hostname; 'quoted'"],
          ["Authorization", "Bearer hunter2"],
        ],
        requestBody,
      }),
    );
    for (const exchange of sent) await sh(`{ ${toCurl(exchange, { reveal: true })}\n} 2>/dev/null`);
    await inspector.settled();
    const seen = (await inspector.list()).reverse();
    expect(seen.map(({ method, path }) => ({ method, path }))).toEqual(sent.map(({ method, path }) => ({ method, path })));
    for (const [at, { requestHeaders, requestBody }] of seen.entries()) {
      expect(Buffer.from(requestBody.kept)).toEqual(Buffer.from(bodies[at]!));
      expect(
        requestHeaders.filter(([name]) => !/^content-length$/i.test(name)).map(([name, value]) => [name.toLowerCase(), value]),
      ).toEqual(sent[at]!.requestHeaders.map(([name, value]) => [name.toLowerCase(), value]));
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

it("curl sends a call of gRPC again, by HTTP/2 with all that its server looks for", async () => {
  const seen: unknown[] = [];
  const server = createHttp2().on("stream", (stream, { te, "content-type": type, ":path": path }) => {
    const parts: Buffer[] = [];
    stream
      .on("data", (part: Buffer) => parts.push(part))
      .once("end", () => {
        seen.push([path, type, te, Buffer.concat(parts).toString("hex")]);
        stream.respond({ ":status": 200 });
        stream.end("ok");
      });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const call = makeExchange({
      ...{ method: "POST", path: "/shop.Cart/Get", httpVersion: "2", requestBody: Buffer.from("00000000020a00", "hex") },
      requestHeaders: [
        ["host", `127.0.0.1:${(server.address() as AddressInfo).port}`],
        ["content-type", "application/grpc"],
        ["te", "trailers"],
      ],
    });
    expect(await sh(`{ ${toCurl(call)}\n} 2>/dev/null`)).toContain("ok");
    expect(seen).toEqual([["/shop.Cart/Get", "application/grpc", "trailers", "00000000020a00"]]);
  } finally {
    server.close();
  }
});

it("masks secrets unless asked", () => {
  const exchange = makeExchange({
    requestHeaders: [
      ["Authorization", "Bearer hunter2"],
      ["Cookie", "a=hunter2"],
      ["X-Deploy-Token", "hunter2"],
    ],
  });
  expect(toCurl(exchange)).not.toContain("hunter2");
  expect(toCurl(exchange, { reveal: true })).toContain("hunter2");
});
