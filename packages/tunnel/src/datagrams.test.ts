import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { datagramReader, definePlugin, encodeDatagram, type Plugin, silentLogger } from "@shipside/core";
import { expect, onTestFinished, test } from "vitest";
import { datagramReception } from "./datagram-reception.ts";
import { fakeCluster } from "./fixtures/fake-cluster.ts";
import { service, slice } from "./fixtures/objects.ts";
import { ask, namedServer } from "./fixtures/servers.ts";
import { localListeners, openTunnel } from "./index.ts";

async function socket(): Promise<Socket> {
  const bound = createSocket("udp4").bind(0, "127.0.0.1");
  onTestFinished(() => new Promise<void>((resolve) => void bound.close(() => resolve())));
  await once(bound, "listening");
  return bound;
}

/** Answers each datagram with its own text before it. */
const echo = (name: string): Duplex => {
  const read = datagramReader();
  const stream: Duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      for (const datagram of read(chunk)) stream.push(encodeDatagram(Buffer.concat([Buffer.from(`${name}:`), datagram])));
      done();
    },
  });
  return stream;
};

const dialed: string[] = [];
const inCluster: Plugin = definePlugin({
  name: "in-cluster",
  dialers: [
    {
      name: "in-cluster",
      datagrams: true,
      fallback: true,
      handles: () => true,
      create: () => ({
        name: "in-cluster",
        async dial({ target, endpoint }) {
          dialed.push(`${target.protocol} ${endpoint.address}:${endpoint.port}`);
          return echo(target.service);
        },
        async close() {},
        async [Symbol.asyncDispose]() {},
      }),
    },
  ],
});

async function askUdp(address: string, ...texts: string[]): Promise<string[]> {
  const client = await socket();
  const got: string[] = [];
  client.on("message", (datagram) => got.push(String(datagram)));
  const [host, port] = address.split(":");
  for (const text of texts) client.send(text, Number(port), host);
  await expect.poll(() => got.length).toBe(texts.length);
  return got;
}

test("UDP beside TCP of the same number: each by its own dialer, neither disturbs the other", async () => {
  dialed.length = 0;
  await using pod = await namedServer("dns-1");
  const cluster = fakeCluster();
  const ports = [
    { name: "udp", port: 23_053, protocol: "UDP" as const },
    { name: "tcp", port: 23_053 },
  ];
  cluster.put("services", service("dns", ports));
  const numbers = [
    { name: "tcp", port: 5353 },
    { name: "udp", port: 5353, protocol: "UDP" },
  ];
  cluster.put("endpointslices", slice("dns", numbers, [{ pod: "dns-1" }]));
  cluster.route("dns-1", 5353, pod);
  await using tunnel = await openTunnel({ cluster, plugins: [inCluster], pool: { stateFile: false } });
  const address = tunnel.address("dns", 23_053);
  expect(tunnel.address("dns")).toBe(address);
  expect(await ask(address)).toBe("dns-1:hello");
  expect(cluster.dials).toEqual(["dns-1:5353"]);
  expect(await askUdp(tunnel.address("dns", "udp"), "one", "two", "")).toEqual(["dns:one", "dns:two", "dns:"]);
  expect(dialed).toEqual(["UDP 10.244.0.2:5353"]);
  const [udp] = tunnel.status().services[0]!.ports.filter(({ protocol }) => protocol === "UDP");
  expect(udp).toMatchObject({ state: "listening", connections: { open: 1, total: 1, failed: 0 }, bytes: { sent: 6 } });
});

test("hosts have an address and their own name, with their ports together, and nothing else is served", async () => {
  const cluster = fakeCluster();
  cluster.put("services", service("web", [{ port: 80 }]));
  const hosts = ["db.internal:23054", "DB.internal:23055", "cache.internal:23056"];
  await using tunnel = await openTunnel({ cluster, hosts, plugins: [inCluster], pool: { stateFile: false } });
  expect(cluster.openWatches).toBe(0);
  const entries = tunnel.hostsEntries();
  expect(entries.map(({ names }) => names)).toEqual([["cache.internal"], ["db.internal"]]);
  expect(tunnel.address("db.internal", 23_055)).toBe(`${entries[1]!.address}:23055`);
  expect(tunnel.status().services.every(({ ports }) => ports.every(({ state }) => state === "listening"))).toBe(true);
});

test.each([["db.internal"], ["10.0.0.1:80"], ["db.internal:0"], ["db internal:80"], [":80"]])(
  "%j is no host and port",
  async (host) => {
    await expect(openTunnel({ cluster: fakeCluster(), hosts: [host] })).rejects.toMatchObject({ code: "TUNNEL_OPTIONS" });
  },
);

test("hosts without a dialer that reaches them say so", async () => {
  await using tunnel = await openTunnel({ cluster: fakeCluster(), hosts: ["db.internal:5432"], pool: { stateFile: false } });
  expect(() => tunnel.address("db.internal")).toThrow(/only the cluster can reach it/);
});

test("a client that is silent is forgotten, and one that comes back has a stream again", async () => {
  const streams: Duplex[] = [];
  const reception = datagramReception({ logger: silentLogger, idleMs: 100 });
  await using listeners = localListeners();
  const candidate = { key: "a", address: "10.0.0.1", port: 53, ready: true, draining: false };
  await using listener = await reception.listen(
    listeners,
    { address: "127.0.0.1", port: 0 },
    {
      ...{ label: "x", pick: () => candidate, changed: async () => {}, dialMs: () => 5_000, chosen: () => () => {} },
      async dial() {
        const stream = echo("x");
        streams.push(stream);
        return stream;
      },
    },
  );
  const client = await socket();
  const say = async (text: string): Promise<string> => {
    client.send(text, listener.port, "127.0.0.1");
    return String((await once(client, "message"))[0]);
  };
  expect(await say("a")).toBe("x:a");
  await expect.poll(() => reception.counts()).toEqual({ open: 0, total: 1, failed: 0 });
  expect(streams[0]!.destroyed).toBe(true);
  expect(await say("b")).toBe("x:b");
  expect(streams).toHaveLength(2);
});
