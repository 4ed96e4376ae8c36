import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { createCloser, datagramReader, encodeDatagram, silentLogger, splice } from "@shipside/core";
import { describe, expect, test } from "vitest";
import { openRelayLink, type RelayLink } from "../link.ts";
import { type AcceptPort, HEADERS, type Lease, type RelayStatus } from "../protocol.ts";
import { listenNamed, listenRaw, talk } from "./fixtures/rig.ts";
import { serveLinks } from "./link.ts";
import { startTraffic } from "./traffic.ts";

interface Machine extends AsyncDisposable {
  link: RelayLink;
  lease(more?: Partial<Lease>): Promise<unknown>;
  /** What was brought, as its headers say. */
  brought: Array<Record<string, string>>;
  /** The network: everything stands still, or is cut. */
  freeze(): void;
  cut(): void;
}

/** The whole inside of a relay, with its control port; developers come over real links. */
async function startRelay(ports: Array<Partial<AcceptPort> & { port: number }>) {
  const closer = createCloser();
  const accept = ports.map((port): AcceptPort => ({ listen: 0, protocol: "TCP", mode: "http", ...port }));
  // Ports are known once they are listened on, as in a pod they are from the start.
  const free = await Promise.all(accept.map(({ protocol }) => (protocol === "UDP" ? freeUdp() : freeTcp())));
  const config = {
    ...{ name: "relay", namespace: "ns", graceSeconds: 60 },
    accept: accept.map((port, i) => ({ ...port, listen: free[i]! })),
  };
  const traffic = closer.use(
    await startTraffic({ config, api: undefined, host: "127.0.0.1", pod: "p", version: "1", logger: silentLogger }),
  );
  const { onRequest, onAccept } = traffic;
  const links = closer.use(
    await serveLinks({
      secret: "s",
      version: "1",
      port: 0,

      logger: silentLogger,
      onConnect() {},
      onRequest,
      onAccept,
    }),
  );

  const machine = async (name: string, local: number): Promise<Machine> => {
    const own = createCloser();
    const wires = new Set<Socket>();
    let frozen = false;
    // The network between: what it swallows neither end is told of.
    const between = createServer({ noDelay: true }, (near) => {
      const far = connect({ port: links.port, host: "127.0.0.1", noDelay: true });
      for (const [from, to] of [[near, far] as const, [far, near] as const]) {
        wires.add(from);
        from.on("error", () => {});
        from.on("data", (chunk) => frozen || to.write(chunk));
        from.once("close", () => frozen || to.destroy());
      }
    }).listen(0, "127.0.0.1");
    await once(between, "listening");
    own.defer(() => new Promise((resolve) => between.close(resolve)));
    own.defer(() => {
      for (const wire of wires) wire.destroy();
    });
    const brought: Machine["brought"] = [];
    const link = own.use(
      openRelayLink({
        secret: "s",
        async open() {
          const wire = connect((between.address() as { port: number }).port, "127.0.0.1");
          wire.on("error", () => {});
          await once(wire, "connect");
          return wire;
        },
        onConnection(connection) {
          brought.push({ ...connection.headers });
          if (connection.headers[HEADERS.protocol] === "udp") return void echoDatagrams(connection.accept());
          const socket = connect({ port: local, host: "127.0.0.1", allowHalfOpen: true });
          const refuse = (error: Error): void => connection.refuse(Object.assign(error, { code: "DIAL_REFUSED" }));
          socket.once("error", refuse);
          socket.once("connect", () => {
            socket.off("error", refuse);
            void splice(socket, connection.accept());
          });
        },
      }),
    );
    await link.ready;
    return {
      link,
      brought,
      lease: (more) =>
        link.request("PUT", `/leases/${name}`, {
          ...{ id: name, holder: `${name}@laptop`, ports: [80], holdMs: 0 },
          match: { headers: [{ name: "x-user", value: name }] },
          ...more,
        }),
      freeze() {
        frozen = true;
      },
      cut() {
        void link.close();
        for (const wire of wires) wire.destroy();
      },
      [Symbol.asyncDispose]: () => own.close(),
    };
  };
  return {
    port: (i = 0) => config.accept[i]!.listen,
    status: traffic.status as () => RelayStatus,
    machine,
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

async function freeTcp(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function freeUdp(): Promise<number> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

function echoDatagrams(stream: Duplex): void {
  const read = datagramReader();
  stream.on("error", () => {});
  stream.on("data", (chunk: Buffer) => {
    for (const datagram of read(chunk)) stream.write(encodeDatagram(Buffer.concat([Buffer.from("laptop "), datagram])));
  });
}

const ask = (port: number, user: string, method = "GET"): Promise<string> =>
  talk(port, `${method} /x HTTP/1.1\r\nHost: s\r\nX-User: ${user}\r\nConnection: close\r\n\r\n`);

describe("over real links", () => {
  test("two developers and everybody else, and what status says", async () => {
    await using pods = await listenNamed("pods");
    await using laptop = await listenNamed("laptop");
    await using desk = await listenNamed("desk");
    await using relay = await startRelay([{ port: 80, backend: { host: "127.0.0.1", port: pods.port } }]);
    await using ann = await relay.machine("ann", laptop.port);
    await using bob = await relay.machine("bob", desk.port);
    await ann.lease();
    await bob.lease();
    const answers = await Promise.all(["ann", "bob", "eve"].map((user) => ask(relay.port(), user)));
    expect(answers.map((answer) => /\r\n\r\n(\w+)/.exec(answer)?.[1])).toEqual(["laptop", "desk", "pods"]);
    expect(ann.brought).toEqual([
      { [HEADERS.lease]: "ann", [HEADERS.port]: "80", [HEADERS.peer]: expect.stringMatching(/^127\.0\.0\.1:\d+$/) },
    ]);
    await expect(bob.lease({ match: { all: true } })).rejects.toMatchObject({
      code: "LEASE_TAKEN",
      details: { holder: "ann@laptop" },
    });
    expect(await ann.link.request("GET", "/status")).toMatchObject({
      leases: [
        { id: "ann", connected: true, requests: 1 },
        { id: "bob", connected: true, requests: 1 },
      ],
    });
    await ann.link.request("DELETE", "/leases/ann");
    expect(await ask(relay.port(), "ann")).toContain("pods GET");
  });

  test("a local port where nothing listens: the pods answer", async () => {
    await using pods = await listenNamed("pods");
    await using relay = await startRelay([{ port: 80, backend: { host: "127.0.0.1", port: pods.port } }]);
    await using ann = await relay.machine("ann", await freeTcp());
    await ann.lease();
    expect(await ask(relay.port(), "ann", "POST")).toContain("pods POST");
    expect(ann.brought).toHaveLength(1);
  });

  test.each(["cut", "freeze"] as const)(
    "a machine whose network is gone (%s): flagged requests get answers from the pods within 5 s",
    async (how) => {
      await using pods = await listenNamed("pods");
      await using laptop = await listenNamed("laptop");
      await using relay = await startRelay([{ port: 80, backend: { host: "127.0.0.1", port: pods.port } }]);
      await using ann = await relay.machine("ann", laptop.port);
      await ann.lease();
      expect(await ask(relay.port(), "ann")).toContain("laptop GET");
      ann[how]();
      const gone = performance.now();
      // Whatever is asked meanwhile is answered, and by the pods.
      let slowest = 0;
      const timed = async (user: string): Promise<string> => {
        const started = performance.now();
        const answer = await ask(relay.port(), user);
        slowest = Math.max(slowest, performance.now() - started);
        return answer;
      };
      const asked: Array<Promise<string>> = [];
      while (performance.now() - gone < 3_500) {
        asked.push(timed("ann"), timed("eve"));
        await sleep(50);
      }
      for (const answer of await Promise.all(asked)) expect(answer).toContain("pods GET");
      // 5 s, and some for a machine that has other things to do.
      expect(slowest).toBeLessThan(how === "cut" ? 4_000 : 8_000);
      await expect.poll(() => relay.status().leases, { timeout: 12_000 }).toEqual([]);
    },
  );

  test("TCP: whole connections, half-closed and reset as they are", async () => {
    await using pods = await listenRaw((socket) => socket.on("end", () => socket.end("pods")));
    await using laptop = await listenRaw((socket) => {
      socket.on("data", (chunk) => chunk.toString() === "reset" && socket.resetAndDestroy());
      socket.on("end", () => setTimeout(() => socket.end("laptop, later"), 1_200));
    });
    await using relay = await startRelay([{ port: 5432, mode: "tcp", backend: { host: "127.0.0.1", port: pods.port } }]);
    expect(await talk(relay.port(), "x", { end: true })).toBe("pods");
    await using ann = await relay.machine("ann", laptop.port);
    await ann.lease({ ports: [5432], match: { all: true } });
    expect(await talk(relay.port(), "x", { end: true })).toBe("laptop, later");
    await expect(talk(relay.port(), "reset")).rejects.toMatchObject({ code: "ECONNRESET" });
    // A match that looks into requests takes no connection of a port that isn't looked into.
    await ann.lease({ ports: [5432] });
    expect(await talk(relay.port(), "x", { end: true })).toBe("pods");
  });

  test("UDP: to the pods, then to who takes the port; datagrams keep their bounds and go back to their senders", async () => {
    const pods = createSocket("udp4");
    pods.on("message", (datagram, from) => pods.send(`pods ${datagram}`, from.port, from.address));
    pods.bind(0, "127.0.0.1");
    await once(pods, "listening");
    await using relay = await startRelay([
      { port: 53, protocol: "UDP", backend: { host: "127.0.0.1", port: pods.address().port } },
    ]);
    await using ann = await relay.machine("ann", 1);
    const clients = await Promise.all(
      [0, 1].map(async () => {
        const socket = createSocket("udp4");
        socket.connect(relay.port(), "127.0.0.1");
        await once(socket, "connect");
        return Object.assign(socket, {
          async ask(text: string): Promise<string> {
            const answer = once(socket, "message");
            socket.send(text);
            return String((await answer)[0]);
          },
        });
      }),
    );
    expect(await Promise.all(clients.map((client, i) => client.ask(`q${i}`)))).toEqual(["pods q0", "pods q1"]);
    await ann.lease({ ports: [53], match: { all: true } });
    // A flow stays with whom it began; another one is the developer's.
    expect(await clients[0]!.ask("again")).toBe("pods again");
    const other = createSocket("udp4");
    other.connect(relay.port(), "127.0.0.1");
    await once(other, "connect");
    const answer = once(other, "message");
    other.send(Buffer.alloc(1200, "x"));
    expect(String((await answer)[0])).toBe(`laptop ${"x".repeat(1200)}`);
    for (const socket of [pods, other, ...clients]) socket.close();
  });
});
