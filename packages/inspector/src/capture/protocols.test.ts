import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import { expect, it } from "vitest";
import { toCurl } from "../curl.ts";
import { toHar } from "../har.ts";
import { createInspector } from "../inspector.ts";
import { recognise } from "./protocols.ts";

const nothing = new Uint8Array();

function startup(parameters: Record<string, string>): Buffer {
  const words = Buffer.from(`${Object.entries(parameters).flat().join("\0")}\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + words.length, 0);
  head.writeUInt32BE(196_608, 4);
  return Buffer.concat([head, words]);
}
const sslRequest = Buffer.from("0000000804d2162f", "hex");
const mysqlGreeting = Buffer.concat([Buffer.from([0x4a, 0, 0, 0, 10]), Buffer.from("8.0.36\0"), Buffer.alloc(66, 1)]);
const mysqlLogin = Buffer.concat([Buffer.from([80, 0, 0, 1]), Buffer.alloc(32), Buffer.from("shop\0"), Buffer.alloc(43, 2)]);
const mysqlTls = Buffer.concat([Buffer.from([32, 0, 0, 1]), Buffer.alloc(32)]);

it.each<[string, Uint8Array, Uint8Array, ReturnType<typeof recognise>]>([
  ["PostgreSQL", startup({ user: "alice", database: "shop" }), nothing, { name: "POSTGRESQL", about: "alice@shop" }],
  [
    "PostgreSQL without a database",
    startup({ client_encoding: "user", user: "bob" }),
    nothing,
    { name: "POSTGRESQL", about: "bob@bob" },
  ],
  ["PostgreSQL that wants TLS", sslRequest, nothing, { name: "POSTGRESQL", about: "asks for encryption" }],
  ["MySQL", mysqlLogin, mysqlGreeting, { name: "MYSQL", about: "shop, server 8.0.36" }],
  ["MySQL that wants TLS", mysqlTls, mysqlGreeting, { name: "MYSQL", about: "server 8.0.36, over TLS" }],
  ["Redis", Buffer.from("*2\r\n$5\r\nhello\r\n$1\r\n3\r\n"), nothing, { name: "REDIS", about: "begins with HELLO" }],
  ["AMQP", Buffer.from("AMQP\0\0\x09\x01"), nothing, { name: "AMQP", about: "version 0.9.1" }],
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n"), nothing, undefined],
  ["nothing known", Buffer.from("hello there"), nothing, undefined],
])("knows %s by its first bytes", (_name, client, server, expected) => {
  expect(recognise(client, server)).toEqual(expected);
});

it("knows TLS by its ClientHello, and the server's name in it", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const accepted = once(server, "connection");
  const client = connectTls({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", servername: "db.example.org" });
  client.on("error", () => {});
  const [socket] = await accepted;
  const [hello] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  server.close();
  expect(recognise(hello, nothing)).toEqual({ name: "TLS", about: "db.example.org" });
  // A part of it is still one.
  expect(recognise(hello.subarray(0, 50), nothing)).toEqual({ name: "TLS", about: "to a server without a name" });
});

it("whatever is said: nothing is thrown", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 80 }),
        fc.constantFrom(sslRequest, mysqlLogin.subarray(0, 20), Buffer.from([0x16, 3, 1, 0, 9, 1])),
      ),
      fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.constantFrom(mysqlGreeting)),
      (client, server) => void recognise(client, server),
    ),
    { numRuns: 1_000 },
  );
});

it("is shown as one line with its bytes and its time, kept from HAR and curl, and never sent again", async () => {
  await using inspector = createInspector();
  const seen = inspector.connection({ direction: "outgoing", service: "database" });
  seen.data!("out", mysqlGreeting);
  seen.data!("in", mysqlLogin);
  seen.data!("out", Buffer.alloc(1000));
  await inspector.settled();
  expect(inspector.get(1)).toMatchObject({ method: "MYSQL", path: "shop, server 8.0.36", state: "open", status: undefined });
  seen.close!();
  await inspector.settled();
  const [one] = await inspector.list({ filter: "is:connection service:database method:mysql" });
  expect(one).toMatchObject({ state: "done", responseBody: { bytes: 1000 + mysqlGreeting.length } });
  expect(one!.responseBody.kept).toHaveLength(0);
  expect((await toHar([one!])).log.entries).toEqual([]);
  expect(() => toCurl(one!)).toThrow(expect.objectContaining({ code: "INSPECTOR_REPLAY_INVALID" }));
  expect(inspector.replayTargets(one!)).toEqual([]);
  await expect(inspector.replay(1, { target: { name: "local", origin: "http://127.0.0.1:1" } })).rejects.toMatchObject({
    code: "INSPECTOR_REPLAY_INVALID",
  });
  expect(inspector.stats().unread).toBe(0);
});
