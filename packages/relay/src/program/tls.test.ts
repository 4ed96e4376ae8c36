import { once } from "node:events";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { connect as connectHttp2, createSecureServer, type IncomingHttpHeaders } from "node:http2";
import { Agent, createServer, request as httpsRequest } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Authority, createAuthority, type KeyPair } from "@shipside/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mine } from "./fixtures/requests.ts";
import { listenHttp, listenNamed, startRig, talk } from "./fixtures/rig.ts";

const names = ["shop.test.svc", "shop"];

/** A Secret as the kubelet shows it: a link to a directory, which another one replaces. */
let directory: string;
let authority: Authority;
let versions = 0;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "shipside-tls-"));
  authority = createAuthority("the cluster's");
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function secret(files: Record<string, string>): Promise<void> {
  const version = `v${++versions}`;
  await mkdir(join(directory, version));
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, version, name), content);
  await symlink(version, join(directory, "next"));
  await rename(join(directory, "next"), join(directory, "now"));
}
const tls = () => ({ secret: "web-tls", directory: join(directory, "now") });
const filesOf = ({ cert, key }: KeyPair, ca?: string): Record<string, string> => ({
  "tls.crt": cert,
  "tls.key": key,
  ...(ca !== undefined && { "ca.crt": ca }),
});
const issue = (commonName: string, hosts = [commonName]): KeyPair => authority.issue({ commonName, hosts });

async function listening(server: Server): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => void sockets.add(socket.on("error", () => {})));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

/** Pods that say whom the client asked for, and what they were told of it. */
const listenPods = (pair: KeyPair) =>
  listening(
    createServer({ cert: pair.cert, key: pair.key }, (request, response) => {
      const { servername } = request.socket as TLSSocket;
      response.end(`pods ${request.url} ${servername} ${request.headers["x-forwarded-proto"]}`);
    }),
  );

async function ask(port: number, path: string, options: { ca: string; servername?: string; flagged?: boolean; agent?: Agent }) {
  const { ca, servername = names[0]!, flagged = false, agent = false } = options;
  const request = httpsRequest({
    ...{ host: "127.0.0.1", port, path, ca, servername, agent },
    headers: flagged ? { "x-user": "me" } : {},
  });
  request.end();
  const [response] = await once(request, "response");
  const socket = response.socket as TLSSocket;
  return { status: response.statusCode, body: await text(response), subject: socket.getPeerCertificate().subject?.CN };
}

test("TLS ends here by the Secret's certificate: flagged requests arrive as plain HTTP, the rest goes on by TLS, on one connection", async () => {
  const pair = issue(names[0]!);
  await secret(filesOf(pair, authority.cert));
  await using pods = await listenPods(issue(names[0]!));
  await using laptop = await listenHttp((request, response) =>
    response.end(`laptop ${request.url} ${request.headers["x-forwarded-proto"]}`),
  );
  await using rig = await startRig(pods.port, { tls: { names } }, { tls: tls() });
  await rig.accept.checkTls([80]);
  rig.lease("me", mine, laptop.port);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const options = { ca: authority.cert, agent };
  expect(await ask(rig.port, "/1", options)).toEqual({ status: 200, body: `pods /1 ${names[0]} https`, subject: names[0] });
  expect(await ask(rig.port, "/2", { ...options, flagged: true })).toMatchObject({ body: "laptop /2 https" });
  expect(await ask(rig.port, "/3", options)).toMatchObject({ body: `pods /3 ${names[0]} https` });
  expect(rig.accept.connections).toBe(1);
  agent.destroy();
  await expect.poll(() => rig.accept.connections).toBe(0);
});

test("the pods hear the name that the client asked for, and may show a certificate for it", async () => {
  const other = "shop.example.test";
  await secret(filesOf(issue("both", [names[0]!, other]), authority.cert));
  await using pods = await listenPods(issue(other));
  await using rig = await startRig(pods.port, { tls: { names } }, { tls: tls() });
  expect(await ask(rig.port, "/", { ca: authority.cert, servername: other })).toMatchObject({ body: `pods / ${other} https` });
});

test("HTTP/2 where the client speaks nothing else, and HTTP/1.1 where it leaves the choice; else what the pods speak alone", async () => {
  const pair = issue(names[0]!);
  await secret(filesOf(pair));
  const server = createSecureServer({ cert: pair.cert, key: pair.key, allowHTTP1: true }, (request, response) =>
    response.end(`pods ${request.httpVersion}`),
  );
  const only = createSecureServer({ cert: pair.cert, key: pair.key }, (_request, response) => response.end("pods h2"));
  await using pods = await listening(server);
  await using podsOfOne = await listening(only);
  await using rig = await startRig(pods.port, { tls: { names } }, { tls: tls() });
  await using rigOfOne = await startRig(podsOfOne.port, { tls: { names } }, { tls: tls() });
  await Promise.all([rig.accept.checkTls([80]), rigOfOne.accept.checkTls([80])]);
  const agreed = async (port: number, ALPNProtocols: string[]) => {
    const socket = connectTls({ host: "127.0.0.1", port, servername: names[0]!, ca: authority.cert, ALPNProtocols });
    socket.on("error", () => {});
    await Promise.race([once(socket, "secureConnect"), once(socket, "close")]);
    socket.destroy();
    return socket.alpnProtocol;
  };
  expect(await agreed(rig.port, ["h2", "http/1.1"])).toBe("http/1.1");
  expect(await agreed(rigOfOne.port, ["h2", "http/1.1"])).toBe("h2");
  const session = connectHttp2(`https://127.0.0.1:${rig.port}`, { servername: names[0]!, ca: authority.cert });
  session.on("error", () => {});
  const stream = session.request({ ":path": "/" });
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
  expect([session.alpnProtocol, headers[":status"], await text(stream)]).toEqual(["h2", 200, "pods 2.0"]);
  session.destroy();
});

test("the kubelet brings another certificate: new connections see it; one that is spoiled is not taken", async () => {
  const pair = issue(names[0]!);
  await secret(filesOf(pair, authority.cert));
  await using pods = await listenPods(pair);
  await using rig = await startRig(pods.port, { tls: { names } }, { tls: tls() });
  const options = { ca: authority.cert };
  const subject = async () => (await ask(rig.port, "/", options)).subject;
  expect(await subject()).toBe(names[0]);
  await secret({ ...filesOf(issue("spoiled", names), authority.cert), "tls.key": "no key" });
  await secret(filesOf(issue("rotated", names), authority.cert));
  await expect.poll(subject, { timeout: 5_000 }).toBe("rotated");
  await secret({ ...filesOf(pair, authority.cert), "tls.key": issue("other").key });
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(await subject()).toBe("rotated");
});

test("what isn't TLS on such a port is served as it is", async () => {
  const pair = issue(names[0]!);
  await secret(filesOf(pair));
  await using pods = await listenNamed("pods");
  await using rig = await startRig(pods.port, { tls: { names } }, { tls: tls() });
  expect(await talk(rig.port, "GET /1 HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n")).toContain("pods GET /1 0");
});

describe("what can't be done is told before it is begun", () => {
  test("no Secret, or one that isn't for TLS", async () => {
    await using rig = await startRig(1, { tls: { names } }, { tls: tls() });
    const refused = expect.objectContaining({ code: "RELAY_TLS_SECRET", hint: expect.stringContaining("kubernetes.io/tls") });
    await expect(rig.accept.checkTls([80])).rejects.toEqual(refused);
    await secret({ password: "x" });
    await expect(rig.accept.checkTls([80])).rejects.toThrow("the Secret web-tls isn't there, or has no tls.crt and tls.key");
    await secret({ ...filesOf(issue("a")), "tls.key": issue("b").key });
    await expect(rig.accept.checkTls([80])).rejects.toThrow("the Secret web-tls holds no certificate with its key");
  });

  test.each<[string, () => Promise<AsyncDisposable & { port: number }>, string?]>([
    ["pods without TLS", () => listenNamed("pods")],
    [
      "a certificate of an authority that nobody knows",
      () => listenPods(createAuthority("x").issue({ commonName: "x", hosts: names })),
    ],
    ["a certificate for another name", () => listenPods(issue("other.test"))],
    ["a certificate that has expired", () => listenPods(authority.issue({ commonName: "x", hosts: names, notAfter: new Date(0) }))],
  ])("%s", async (_what, listen) => {
    await secret(filesOf(issue(names[0]!), authority.cert));
    await using pods = await listen();
    await using rig = await startRig(pods.port, { tls: { names } }, { tls: tls() });
    await expect(rig.accept.checkTls([80])).rejects.toMatchObject({ code: "RELAY_TLS_PODS", cause: expect.any(Error) });
    expect(await ask(rig.port, "/", { ca: authority.cert })).toMatchObject({ status: 502 });
  });

  test("the Secret's own certificate needs no authority; pods that are away say nothing of theirs; another port isn't looked at", async () => {
    const pair = createAuthority("x").issue({ commonName: "self", hosts: ["elsewhere"] });
    await secret(filesOf(pair));
    await using pods = await listenPods(pair);
    await using rig = await startRig(pods.port, { tls: { names } }, { tls: tls() });
    await rig.accept.checkTls([80]);
    await using away = await startRig(1, { tls: { names } }, { tls: tls() });
    await away.accept.checkTls([80]);
    await rig.accept.checkTls([81]);
  });
});
