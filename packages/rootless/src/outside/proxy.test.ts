import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { localListeners } from "../resolver/fixtures/local-listeners.ts";
import { isLocalhost } from "./not-localhost.ts";
import { openProxy } from "./proxy.ts";
import { proxyEnv } from "./proxy-env.ts";

async function say(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on("error", () => {});
  socket.write(bytes);
  return text(socket);
}

test.each(["127.0.0.1", "127.53.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1"])(
  "%s is this machine's localhost",
  (address) => {
    expect(isLocalhost(address)).toBe(true);
  },
);

test.each(["10.0.0.1", "128.0.0.1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "localhost"])(
  "%s is none, or no address",
  (address) => {
    expect(isLocalhost(address)).toBe(false);
  },
);

test("localhost is refused in every way of writing it", { timeout: 30_000 }, async () => {
  await using proxy = await openProxy(localListeners());
  const hosts = ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::]"];
  for (const host of hosts) {
    const tunnelled = await say(proxy.url, `CONNECT ${host}:22 HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    expect.soft(tunnelled, `CONNECT ${host}`).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[\s\S]* is this machine's localhost/);
    const asked = await say(proxy.url, `GET http://${host}:22/ HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    expect.soft(asked, `GET ${host}`).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[\s\S]* is this machine's localhost/);
  }
});

test("what is no request to a proxy is told so", async () => {
  await using proxy = await openProxy(localListeners());
  expect(await say(proxy.url, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).toMatch(
    /^HTTP\/1\.1 400 [\s\S]*this is a proxy/,
  );
  expect(await say(proxy.url, "GET ftp://a/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
  for (const target of ["a", "a:0", "a:99999", "a:b", ":80", "a:80:80"]) {
    expect.soft(await say(proxy.url, `CONNECT ${target} HTTP/1.1\r\nhost: a\r\n\r\n`), target).toMatch(/^HTTP\/1\.1 400 /);
  }
  expect(await say(proxy.url, "CONNECT no-such-host.invalid:80 HTTP/1.1\r\nhost: a\r\n\r\n")).toMatch(/^HTTP\/1\.1 502 /);
  expect(await say(proxy.url, "\x16\x03\x01 not HTTP\r\n\r\n")).toBe("");
});

test("closing ends connections that are open", async () => {
  const proxy = await openProxy(localListeners());
  const socket: Socket = connect({ host: "127.0.0.1", port: Number(new URL(proxy.url).port) });
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write("GET http://a/ HTTP/1.1\r\n");
  const gone = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  await Promise.all([proxy.close(), proxy.close()]);
  await gone;
});

test("programs are told of it in the ways that they know", () => {
  const env = proxyEnv("http://127.0.0.1:1", ["web", "10.96.0.0/12", "web"]);
  expect(env).toMatchObject({ HTTPS_PROXY: "http://127.0.0.1:1", https_proxy: "http://127.0.0.1:1", NODE_USE_ENV_PROXY: "1" });
  expect(env["NO_PROXY"]).toBe("localhost,127.0.0.1,::1,.local,.svc,web,10.96.0.0/12");
});
