import { once } from "node:events";
import { createServer } from "node:net";
import type { Logger, Plugin } from "@shipside/core";
import { definePlugin, silentLogger } from "@shipside/core";
import { expect, test } from "vitest";
import { next } from "./fixtures/events.ts";
import { type FakeCluster, fakeCluster } from "./fixtures/fake-cluster.ts";
import { service, slice } from "./fixtures/objects.ts";
import { ask, dial, namedServer, tcpServer } from "./fixtures/servers.ts";
import { localListeners, openTunnel, type TunnelOptions } from "./index.ts";

const open = (cluster: FakeCluster, options: TunnelOptions = {}) => openTunnel({ cluster, pool: { stateFile: false }, ...options });

/** A cluster with services of one port and no endpoints. */
function clusterOf(...names: string[]): FakeCluster {
  const cluster = fakeCluster();
  for (const name of names) {
    const [short = "", namespace = "home"] = name.split(".");
    cluster.put("services", service(short, [{ port: 23_010 }], {}, namespace));
  }
  return cluster;
}

test("a client of the service's own address and port talks to its pod, and nothing is dialled before", async () => {
  await using pod = await namedServer("leaf-1");
  const cluster = clusterOf("leaf");
  cluster.put("endpointslices", slice("leaf", [{ port: 8080 }], [{ pod: "leaf-1" }]));
  cluster.route("leaf-1", 8080, pod);
  await using tunnel = await open(cluster);
  expect(cluster.dials).toEqual([]);
  const address = tunnel.address("leaf");
  expect(address).toMatch(/^127\.7[2-5]\.\d+\.\d+:23010$/);
  expect(await ask(address)).toBe("leaf-1:hello");
  expect(tunnel.hostsEntries()).toEqual([
    { address: address.split(":")[0], names: ["leaf", "leaf.home", "leaf.home.svc", "leaf.home.svc.cluster.local"] },
  ]);
});

test("bind local: 127.0.0.1 and a free port, no names, no state", async () => {
  await using pod = await namedServer("leaf-1");
  const cluster = clusterOf("leaf");
  cluster.put("endpointslices", slice("leaf", [{ port: 8080 }], [{ pod: "leaf-1" }]));
  cluster.route("leaf-1", 8080, pod);
  await using tunnel = await openTunnel({ cluster, bind: "local", services: ["leaf"] });
  expect(tunnel.address("leaf", 23_010)).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(await ask(tunnel.address("leaf"))).toBe("leaf-1:hello");
  expect(tunnel.hostsEntries()).toEqual([]);
});

test("services come and go while it runs, each told of once, with its names", async () => {
  const cluster = clusterOf("first");
  await using tunnel = await open(cluster);
  const told: string[] = [];
  for (const event of ["service-added", "service-removed"] as const) {
    tunnel.events.on(event, ({ name }) => void told.push(`${event} ${name}`));
  }
  tunnel.events.on("port-opened", ({ name }) => void told.push(`port-opened ${name}`));
  tunnel.events.on("port-closed", ({ name }) => void told.push(`port-closed ${name}`));
  tunnel.events.on("names-changed", () => void told.push(`names ${tunnel.hostsEntries().length}`));

  const added = next(tunnel, "service-added");
  cluster.put("services", service("second", [{ port: 23_011 }]));
  await added;
  expect(tunnel.address("second")).toMatch(/:23011$/);
  const removed = next(tunnel, "port-closed");
  cluster.remove("services", "home", "first");
  await removed;
  expect(told).toEqual([
    "names 2",
    "port-opened second",
    "service-added second",
    "service-removed first",
    "names 1",
    "port-closed first",
  ]);
  expect([...tunnel.services.keys()]).toEqual(["home/second"]);
});

test("ports are added, changed and removed while it runs, and connections that are open go on", async () => {
  await using pod = await tcpServer((socket) => socket.pipe(socket));
  const cluster = fakeCluster();
  cluster.put(
    "services",
    service("web", [
      { name: "a", port: 23_001 },
      { name: "b", port: 23_002 },
    ]),
  );
  cluster.put(
    "endpointslices",
    slice(
      "web",
      [
        { name: "a", port: 80 },
        { name: "b", port: 80 },
        { name: "c", port: 80 },
      ],
      [{ pod: "p" }],
    ),
  );
  cluster.route("p", 80, pod);
  await using tunnel = await open(cluster);
  const client = dial(tunnel.address("web", "a"));
  client.write("one");
  await once(client, "data");

  const opened = next(tunnel, "port-opened");
  cluster.put(
    "services",
    service("web", [
      { name: "b", port: 23_002 },
      { name: "c", port: 23_003 },
    ]),
  );
  await opened;
  expect(tunnel.services.get("home/web")?.ports.map(({ port, state }) => `${port} ${state}`)).toEqual([
    "23002 listening",
    "23003 listening",
  ]);
  expect(() => tunnel.address("web", "a")).toThrow(expect.objectContaining({ code: "TUNNEL_PORT_UNKNOWN" }));
  client.write("two");
  expect(String((await once(client, "data"))[0])).toBe("two");
  client.destroy();
});

test("a service deleted and made anew at once has its address and its listener back", async () => {
  const cluster = clusterOf("web");
  await using tunnel = await open(cluster);
  const before = tunnel.address("web");
  for (let i = 0; i < 20; i++) {
    cluster.remove("services", "home", "web");
    cluster.put("services", service("web", [{ port: 23_010 }]));
  }
  await expect.poll(() => tunnel.services.get("home/web")?.ports[0]?.state).toBe("listening");
  expect(tunnel.address("web")).toBe(before);
});

test("a port that is taken costs that port only, says who holds it, and is served once it is free", async () => {
  const cluster = clusterOf();
  const blocker = createServer().listen(23_050, "0.0.0.0");
  await once(blocker, "listening");
  cluster.put(
    "services",
    service("web", [
      { name: "free", port: 23_051 },
      { name: "taken", port: 23_050 },
    ]),
  );
  await using tunnel = await open(cluster);
  expect(tunnel.address("web", "free")).toMatch(/:23051$/);
  const error = tunnel.services.get("home/web")?.ports[1]?.error;
  expect(error).toMatchObject({ code: "LISTEN_IN_USE" });
  if (process.platform === "linux") expect(error?.message).toContain(`pid ${process.pid}`);
  expect(() => tunnel.address("web", "taken")).toThrow(expect.objectContaining({ code: "TUNNEL_PORT_FAILED", cause: error }));
  expect(tunnel.status().services[0]?.ports[1]).toMatchObject({ state: "failed", error: { code: "LISTEN_IN_USE" } });

  blocker.close();
  await once(blocker, "close");
  const opened = next(tunnel, "port-opened", (_service, port) => port.port === 23_050);
  cluster.put("endpointslices", slice("web", [{ name: "taken", port: 80 }], [{ pod: "p" }]));
  await opened;
  expect(tunnel.address("web", "taken")).toMatch(/:23050$/);
});

test("what a selector says is asked again when a service changes", async () => {
  const cluster = clusterOf("plain");
  const wanted = definePlugin({ name: "wanted", serviceSelectors: [({ labels }) => labels["wanted"] === "yes"] });
  const broken: Plugin = {
    name: "broken",
    serviceSelectors: [
      ({ name }) => {
        if (name === "poison") throw new Error("mine");
        return true;
      },
    ],
  };
  await using tunnel = await open(cluster, { plugins: [wanted, broken] });
  expect([...tunnel.services.keys()]).toEqual([]);
  const labelled = service("plain", [{ port: 23_010 }]);
  labelled.metadata.labels = { wanted: "yes" };
  const added = next(tunnel, "service-added");
  cluster.put("services", labelled);
  await added;
  const removed = next(tunnel, "service-removed");
  cluster.put("services", service("plain", [{ port: 23_010 }]));
  await removed;
  const poison = service("poison", [{ port: 23_010 }]);
  poison.metadata.labels = { wanted: "yes" };
  cluster.put("services", poison);
  await new Promise(setImmediate);
  expect([...tunnel.services.keys()]).toEqual([]);
});

test("UDP ports, ExternalName and endpoints that are no pods are told of once, and have no names", async () => {
  const cluster = clusterOf();
  const told: string[] = [];
  const logger: Logger = { ...silentLogger, info: (message) => void told.push(message) };
  cluster.put(
    "services",
    service("dns", [
      { name: "udp", port: 23_053, protocol: "UDP" },
      { name: "tcp", port: 23_053 },
    ]),
  );
  cluster.put("services", service("ext", [], { type: "ExternalName", externalName: "api.example.com" }));
  await using tunnel = await open(cluster, { logger });
  expect(told).toHaveLength(2);
  expect(tunnel.address("dns")).toMatch(/:23053$/);
  expect(() => tunnel.address("ext")).toThrow(expect.objectContaining({ code: "TUNNEL_UNSUPPORTED" }));
  expect(tunnel.hostsEntries().flatMap(({ names }) => names)).not.toContain("ext");

  const unsupported = next(tunnel, "unsupported");
  const manual = { ...slice("db", [{ port: 5432 }], []), endpoints: [{ addresses: ["192.0.2.7"] }] };
  cluster.put("endpointslices", manual);
  cluster.put("services", service("db", [{ port: 5432 }]));
  expect((await unsupported)[0]).toMatchObject({ namespace: "home", service: "db", reason: expect.stringContaining("192.0.2.7") });
  for (let i = 0; i < 3; i++) cluster.put("endpointslices", manual);
  await new Promise(setImmediate);
  expect(told).toHaveLength(3);
  // Pods take over: then it is served, and listens.
  const opened = next(tunnel, "port-opened");
  cluster.put("endpointslices", slice("db", [{ port: 5432 }], [{ pod: "db-0" }]));
  await opened;
  expect(tunnel.address("db")).toMatch(/:5432$/);
  // And back: the listener goes.
  const closed = next(tunnel, "port-closed");
  cluster.put("endpointslices", manual);
  await closed;
  await expect(ask(`${tunnel.services.get("home/db")?.address}:5432`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("pods of a headless service have addresses and names of their own", async () => {
  await using zero = await namedServer("db-0");
  await using one = await namedServer("db-1");
  const cluster = clusterOf();
  cluster.put("services", service("db", [{ port: 25_432 }], { clusterIP: "None" }));
  const pods = ["db-0", "db-1"].map((pod) => ({ pod, hostname: pod }));
  cluster.put("endpointslices", slice("db", [{ port: 25_432 }], pods));
  cluster.route("db-0", 25_432, zero);
  cluster.route("db-1", 25_432, one);
  await using tunnel = await open(cluster);
  for (const name of ["db-0.db", "db-0.db.home", "db-0.db.home.svc.cluster.local"]) {
    expect(await ask(tunnel.address(name))).toBe("db-0:hello");
  }
  expect(await ask(tunnel.address("db-1.db", 25_432))).toBe("db-1:hello");
  expect(tunnel.hostsEntries().map(({ names }) => names[0])).toEqual(["db", "db-0.db", "db-1.db"]);
  // A pod that is made anew keeps its name meanwhile, and whoever asks for it is held.
  cluster.put("endpointslices", slice("db", [{ port: 25_432 }], pods.slice(0, 1)));
  const held = ask(tunnel.address("db-1.db"));
  expect(tunnel.hostsEntries().map(({ names }) => names[0])).toEqual(["db", "db-0.db", "db-1.db"]);
  cluster.put(
    "endpointslices",
    slice("db", [{ port: 25_432 }], [...pods.slice(0, 1), { pod: "db-1", hostname: "db-1", uid: "new" }]),
  );
  expect(await held).toBe("db-1:hello");
});

test("a plugin's dialer comes first, reaches what port-forward can't, and is closed with the tunnel", async () => {
  await using outside = await namedServer("outside");
  const cluster = clusterOf();
  cluster.put("services", service("ext", [{ port: 23_443 }], { type: "ExternalName", externalName: "api.example.com" }));
  const asked: string[] = [];
  let closed = 0;
  const plugin = definePlugin({
    name: "out",
    dialers: [
      {
        name: "out",
        handles: ({ service: name }) => name === "ext",
        create: () => ({
          name: "out",
          async dial({ endpoint }) {
            asked.push(`${endpoint.address}:${endpoint.port}`);
            const socket = dial(`127.0.0.1:${(outside.address() as { port: number }).port}`);
            await once(socket, "connect");
            return socket;
          },
          close: async () => void closed++,
          [Symbol.asyncDispose]: async () => {},
        }),
      },
    ],
  });
  {
    await using tunnel = await open(cluster, { plugins: [plugin] });
    expect(await ask(tunnel.address("ext"))).toBe("outside:hello");
    expect(tunnel.hostsEntries()[0]?.names[0]).toBe("ext");
  }
  expect(asked).toEqual(["api.example.com:23443"]);
  expect(cluster.dials).toEqual([]);
  expect(closed).toBe(1);
});

test("a listener factory of one's own makes the sockets, and stays open", async () => {
  const made: string[] = [];
  await using inner = localListeners();
  let closed = false;
  const listeners = {
    ...inner,
    listen: (request: { address: string; port: number }) => {
      made.push(`${request.address}:${request.port}`);
      return inner.listen(request);
    },
    close: async () => void (closed = true),
  };
  const cluster = clusterOf("web");
  let address: string;
  {
    await using tunnel = await open(cluster, { listeners });
    address = tunnel.address("web");
  }
  expect(made).toEqual([address]);
  expect(closed).toBe(false);
  await expect(ask(address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("two watches a namespace; many namespaces are watched as one, or each where that is forbidden", async () => {
  const few = clusterOf("a.one", "b.two");
  {
    await using tunnel = await open(few, { namespaces: ["one", "two"] });
    expect(few.watched.sort()).toEqual(["endpointslices in one", "endpointslices in two", "services in one", "services in two"]);
    expect([...tunnel.services.keys()].sort()).toEqual(["one/a", "two/b"]);
  }
  const names = ["n1", "n2", "n3", "n4", "n5"];
  const many = clusterOf("elsewhere.n9", ...names.map((namespace) => `a.${namespace}`));
  {
    await using tunnel = await open(many, { namespaces: names });
    expect(many.watched).toEqual(["services in *", "endpointslices in *"]);
    expect([...tunnel.services.keys()].sort()).toEqual(names.map((namespace) => `${namespace}/a`));
  }
  many.forbid("endpointslices");
  {
    await using tunnel = await open(many, { namespaces: names });
    expect(many.openWatches).toBe(10);
    expect(tunnel.services.size).toBe(5);
  }
  expect(many.openWatches).toBe(0);
  {
    await using tunnel = await open(few, { namespaces: ["*"] });
    expect([...tunnel.services.keys()].sort()).toEqual(["one/a", "two/b"]);
  }
});

test("named services alone: their namespaces are watched, and their neighbours left out", async () => {
  const cluster = clusterOf("a", "b", "c.other", "d.other");
  await using tunnel = await open(cluster, { services: ["a", "c.other"] });
  expect([...tunnel.services.keys()].sort()).toEqual(["home/a", "other/c"]);
  expect(cluster.watched.sort()).toEqual([
    "endpointslices in home",
    "endpointslices in other",
    "services in home",
    "services in other",
  ]);
});

test("stale watches are told of and shown, and so is their recovery", async () => {
  const cluster = clusterOf("a");
  await using tunnel = await open(cluster);
  const stale = next(tunnel, "stale");
  cluster.setState("services", { status: "stale", error: new Error("gone") });
  expect((await stale)[0]).toMatchObject({ resource: "services", namespace: "home" });
  expect(tunnel.status().stale).toMatchObject([{ resource: "services", namespace: "home", error: { message: "gone" } }]);
  const live = next(tunnel, "live");
  cluster.setState("services", { status: "live" });
  await live;
  expect(tunnel.status().stale).toEqual([]);
});

test("status is plain data", async () => {
  await using pod = await namedServer("p");
  const cluster = clusterOf("a");
  cluster.put("endpointslices", slice("a", [{ port: 80 }], [{ pod: "p", nodeName: "n1" }]));
  cluster.route("p", 80, pod);
  await using tunnel = await open(cluster);
  const done = next(tunnel, "connection-closed");
  await ask(tunnel.address("a"));
  await done;
  const status = tunnel.status();
  expect(JSON.parse(JSON.stringify(status))).toEqual(status);
  expect(status.services[0]).toMatchObject({
    namespace: "home",
    name: "a",
    ports: [
      {
        port: 23_010,
        state: "listening",
        endpoints: [{ address: "10.244.0.2", port: 80, pod: { namespace: "home", name: "p" }, node: "n1", ready: true }],
        connections: { open: 0, total: 1, failed: 0 },
        bytes: { sent: 5, received: 7 },
      },
    ],
  });
});

test("close stops accepting, ends what is open, and leaves the given cluster open; twice is once", async () => {
  await using pod = await tcpServer((socket) => void socket.write("hello"));
  const cluster = clusterOf("web");
  cluster.put("endpointslices", slice("web", [{ port: 80 }], [{ pod: "p" }]));
  cluster.route("p", 80, pod);
  const tunnel = await open(cluster);
  const address = tunnel.address("web");
  const client = dial(address);
  await once(client, "data");
  const ended = new Promise((resolve) => client.on("close", () => resolve(client.errored)));
  const first = tunnel.close();
  expect(tunnel.close()).toBe(first);
  await expect(ask(address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  await first;
  expect(await ended).toMatchObject({ code: "ECONNRESET" });
  expect(cluster.openWatches).toBe(0);
  expect(cluster.closed).toBe(false);
  cluster.put("services", service("late", [{ port: 23_099 }]));
  expect([...tunnel.services.keys()]).toEqual(["home/web"]);
});

test("rules: a service that starts to fit appears, one that no longer does goes", async () => {
  const cluster = clusterOf("leaf", "core", "web.shop");
  await using tunnel = await open(cluster, { services: ["*", "!core", "tier=front", "*.shop"] });
  const keys = () => [...tunnel.services.keys()].sort();
  expect(cluster.watched.sort().join()).toContain("services in shop");
  expect(keys()).toEqual(["home/leaf", "shop/web"]);
  const core = service("core", [{ port: 23_010 }]);
  core.metadata.labels = { tier: "front" };
  cluster.put("services", core);
  await expect.poll(keys).toEqual(["home/core", "home/leaf", "shop/web"]);
  cluster.put("services", service("core", [{ port: 23_010 }]));
  cluster.put("services", service("late", [{ port: 23_010 }]));
  await expect.poll(keys).toEqual(["home/late", "home/leaf", "shop/web"]);
});

test("selectors are asked again when told that they changed", async () => {
  let wanted = "leaf";
  const plugin = definePlugin({ name: "wish", serviceSelectors: [({ name }) => name === wanted] });
  await using tunnel = await open(clusterOf("leaf", "core"), { plugins: [plugin] });
  expect([...tunnel.services.keys()]).toEqual(["home/leaf"]);
  wanted = "core";
  await tunnel.reselect();
  expect([...tunnel.services.keys()]).toEqual(["home/core"]);
  expect(tunnel.status().services[0]?.ports[0]?.state).toBe("listening");
});
