import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { Resolver as Cares } from "node:dns/promises";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { promisify } from "node:util";
import { encodeDatagram } from "@shipside/core";
import { expect, test } from "vitest";
import type { ClusterService } from "./cluster-service.ts";
import type { Exchange } from "./exchange.ts";
import { localListeners } from "./fixtures/local-listeners.ts";
import { SHOP } from "./fixtures/shop.ts";
import { FLAG, IN, type Message, RCODE, readMessage, TYPE, writeMessage } from "./message.ts";
import { addressRecord, ownedBy } from "./records.ts";
import { openResolver, type Resolver, type ResolverOptions } from "./resolver.ts";

const ADDRESS = "127.53.0.1";

/** The rest of the world: `smtp.example.com`, and nothing else. */
const world: Exchange = async (bytes) => {
  const query = readMessage(Buffer.from(bytes));
  const [question] = query.questions;
  const known = question!.name === "smtp.example.com";
  const answers = known && question!.type === TYPE.A ? [ownedBy(question!.name, 60, addressRecord("192.0.2.25"))] : [];
  return writeMessage({ ...query, flags: FLAG.RESPONSE | (known ? 0 : RCODE.NXDOMAIN), answers, additionals: [] });
};

interface Opened extends AsyncDisposable {
  port: number;
  resolver: Resolver;
  cares: Cares;
}

async function open(options: Partial<ResolverOptions> = {}): Promise<Opened> {
  const probe = createSocket("udp4").bind(0, ADDRESS);
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  const resolver = await openResolver({
    listeners: localListeners(),
    addresses: [ADDRESS],
    port,
    services: SHOP,
    exchange: world,
    ...options,
  });
  const cares = new Cares({ timeout: 2_000, tries: 2 });
  cares.setServers([`${ADDRESS}:${port}`]);
  return { port, resolver, cares, [Symbol.asyncDispose]: () => resolver.close() };
}

test("c-ares, which is Node's own resolver, reads every kind of record", async () => {
  await using dns = await open();
  const { cares } = dns;
  const web = "web.shop.svc.cluster.local";
  expect(await cares.resolve4(web, { ttl: true })).toEqual([{ address: "10.96.120.95", ttl: 5 }]);
  expect(await cares.resolve6(web)).toEqual(["fd00:10:96::5f"]);
  expect((await cares.resolve4("db.shop.svc.cluster.local")).sort()).toEqual(["10.244.1.4", "10.244.2.4", "10.244.3.4"]);
  expect(await cares.resolveSrv(`_http._tcp.${web}`)).toMatchObject([{ name: web, port: 80, priority: 0, weight: 100 }]);
  expect(await cares.reverse("10.96.120.95")).toEqual([web]);
  expect(await cares.reverse("fd00:10:96::5f")).toEqual([web]);
  expect(await cares.reverse("10.244.1.4")).toEqual(["db-0.db.shop.svc.cluster.local"]);
  expect(await cares.resolveTxt("dns-version.cluster.local")).toEqual([["1.1.0"]]);
  expect(await cares.resolveNs("cluster.local")).toEqual(["ns.dns.cluster.local"]);
  expect(await cares.resolveSoa("cluster.local")).toMatchObject({ nsname: "ns.dns.cluster.local", minttl: 5 });
  expect(await cares.resolveCname("mail.shop.svc.cluster.local")).toEqual(["smtp.example.com"]);
  expect(await cares.resolve4("mail.shop.svc.cluster.local")).toEqual(["192.0.2.25"]);
  expect(await cares.resolve4("smtp.example.com")).toEqual(["192.0.2.25"]);
  await expect(cares.resolve4("nope.shop.svc.cluster.local")).rejects.toMatchObject({ code: "ENOTFOUND" });
  await expect(cares.resolve4("svc.cluster.local")).rejects.toMatchObject({ code: "ENODATA" });
  await expect(cares.resolve6("db.shop.svc.cluster.local")).rejects.toMatchObject({ code: "ENODATA" });
  await expect(cares.resolve4("nope.example.com")).rejects.toMatchObject({ code: "ENOTFOUND" });
  await expect(cares.resolveMx("smtp.example.com")).rejects.toMatchObject({ code: "ENODATA" });
});

test.runIf(existsSync("/usr/bin/dig"))("dig finds nothing wrong with it, over UDP and TCP", async () => {
  await using dns = await open({ services: [...SHOP, many(300)] });
  const dig = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)("dig", [`@${ADDRESS}`, "-p", String(dns.port), "+tries=1", "+time=5", ...args])).stdout;
  const whole = await dig("_pg._tcp.db.shop.svc.cluster.local", "SRV");
  expect(whole).toMatch(/status: NOERROR/);
  expect(whole).toMatch(/flags: qr aa rd ra; QUERY: 1, ANSWER: 3, AUTHORITY: 0, ADDITIONAL: 4/);
  expect(whole).not.toMatch(/malformed|extra bytes|mismatch|bad /i);
  expect(await dig("nope.shop.svc.cluster.local")).toMatch(/status: NXDOMAIN[\s\S]*cluster\.local\.\s+5\s+IN\s+SOA/);
  expect(await dig("nope.shop.svc.cluster.local", "+tcp")).toMatch(/status: NXDOMAIN/);
  expect(await dig("web.shop.svc.cluster.local", "+edns=1", "+noednsneg")).toMatch(/status: BADVERS/);
  expect(await dig("many.shop.svc.cluster.local", "+short", "+bufsize=1232")).toMatch(/^(10\.244\.\d+\.\d+\n){300}$/);
  expect(await dig("many.shop.svc.cluster.local", "+ignore", "+noedns")).toMatch(/flags: qr aa tc rd ra; QUERY: 1, ANSWER: 2\d,/);
  expect(await dig("AXFR", "cluster.local")).toMatch(/Transfer failed/);
  expect(await dig("mail.shop.svc.cluster.local", "+noall", "+answer")).toMatch(
    /mail\.shop\S+\s+5\s+IN\s+CNAME\s+smtp\.example\.com\.\nsmtp\.example\.com\.\s+60\s+IN\s+A\s+192\.0\.2\.25/,
  );
});

test("an update is what is answered from then on", async () => {
  await using dns = await open();
  const serial = (await dns.cares.resolveSoa("cluster.local")).serial;
  dns.resolver.update([{ namespace: "shop", name: "new", addresses: ["10.96.7.7"] }]);
  expect(await dns.cares.resolve4("new.shop.svc.cluster.local")).toEqual(["10.96.7.7"]);
  await expect(dns.cares.resolve4("web.shop.svc.cluster.local")).rejects.toMatchObject({ code: "ENOTFOUND" });
  expect((await dns.cares.resolveSoa("cluster.local")).serial).toBeGreaterThan(serial);
});

test("where nobody answers for the rest of the world, the server failed, and the cluster's names are there", async () => {
  const exchange = async (): Promise<never> => {
    throw new Error("unplugged");
  };
  await using dns = await open({ exchange });
  await expect(dns.cares.resolve4("example.com")).rejects.toMatchObject({ code: "ESERVFAIL" });
  await expect(dns.cares.resolve4("mail.shop.svc.cluster.local")).rejects.toMatchObject({ code: "ESERVFAIL" });
  expect(await dns.cares.resolve4("web.shop.svc.cluster.local")).toEqual(["10.96.120.95"]);
});

test("many queries in one connection are answered, each as it is ready, and then it ends", async () => {
  let release = (): void => {};
  const exchange: Exchange = async (bytes, how) => {
    await new Promise<void>((resolve) => (release = resolve));
    return world(bytes, how);
  };
  await using dns = await open({ exchange });
  const socket = connect({ host: ADDRESS, port: dns.port, allowHalfOpen: true });
  socket.on("error", () => {});
  const ids: number[] = [];
  let got: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    for (
      got = Buffer.concat([got, chunk]);
      got.length > 2 && got.length >= 2 + got.readUInt16BE(0);
      got = got.subarray(2 + got.readUInt16BE(0))
    )
      ids.push(got.readUInt16BE(2));
    if (ids.length === 200) release();
  });
  socket.write(encodeDatagram(query(999, "smtp.example.com")));
  for (let id = 0; id < 200; id++) socket.write(encodeDatagram(query(id, "web.shop.svc.cluster.local")));
  socket.end();
  await once(socket, "end");
  socket.destroy();
  expect(ids).toEqual([...Array(200).keys(), 999]);
});

test("garbage by UDP and TCP leaves it answering", async () => {
  await using dns = await open();
  const socket = createSocket("udp4").bind(0, ADDRESS);
  await once(socket, "listening");
  for (let length = 0; length < 200; length++) {
    const bytes = Buffer.from(Array.from({ length }, (_, index) => (length * 31 + index * 7) & 255));
    socket.send(bytes, dns.port, ADDRESS);
    const stream = connect({ host: ADDRESS, port: dns.port }, () => stream.end(bytes));
    stream.on("error", () => {});
    stream.resume();
  }
  expect(await dns.cares.resolve4("web.shop.svc.cluster.local")).toEqual(["10.96.120.95"]);
  socket.close();
});

test("closing ends what waits, twice as once", async () => {
  let signal: AbortSignal | undefined;
  const exchange: Exchange = (_, how) =>
    new Promise((__, reject) => (signal = how.signal).addEventListener("abort", () => reject(new Error("ended"))));
  await using dns = await open({ exchange });
  const socket = connect({ host: ADDRESS, port: dns.port });
  socket.on("error", () => {});
  socket.write(encodeDatagram(query(1, "example.com")));
  await expect.poll(() => signal).toBeDefined();
  const gone = once(socket, "close");
  await Promise.all([dns.resolver.close(), dns.resolver.close()]);
  expect(signal!.aborted).toBe(true);
  await gone;
  await using _again = await openResolver({
    listeners: localListeners(),
    addresses: [ADDRESS],
    port: dns.port,
    services: SHOP,
    exchange,
  });
});

test.each<[string, Partial<ResolverOptions>]>([
  ["zone", { zone: "no zone" }],
  ["ttl", { ttl: -1 }],
  ["listeners", { listeners: { ...localListeners(), listenDatagrams: undefined } as never }],
])("`%s` is checked", async (option, options) => {
  await expect(openResolver({ listeners: localListeners(), addresses: [ADDRESS], port: 1, ...options })).rejects.toMatchObject({
    code: "ROOTLESS_INVALID_OPTION",
    message: expect.stringContaining(`\`${option}\``),
  });
});

function query(id: number, name: string): Buffer {
  const message: Message = {
    id,
    flags: 0,
    questions: [{ name, type: TYPE.A, class: IN }],
    answers: [],
    authorities: [],
    additionals: [],
  };
  return writeMessage(message);
}

function many(count: number): ClusterService {
  const endpoints = Array.from({ length: count }, (_, index) => ({ addresses: [`10.244.${index >> 8}.${index & 255}`] }));
  return { namespace: "shop", name: "many", endpoints };
}
