import { once } from "node:events";
import { connect } from "node:net";
import { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { disguised } from "./fixtures/disguised.ts";
import { linkedPair } from "./fixtures/link.ts";
import { tcpServer } from "./fixtures/servers.ts";
import { openRelayLink } from "./index.ts";

const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 10_000, interval: 10 });
const at = (port: number): string => `127.0.0.1:${port}`;

describe("the link", () => {
  test("comes back by itself, and dials wait for it", async () => {
    await using server = await tcpServer((socket) => socket.end("hello"));
    const states: boolean[] = [];
    await using pair = await linkedPair({
      client: { onState: (linked) => states.push(linked), onConnection: (each) => each.refuse("no") },
    });
    await pair.link.ready;
    const [client] = pair.links.clients;
    pair.wires[1]!.destroy();
    await eventually(() => expect(states).toEqual([true, false, true]));
    const stream = await pair.link.connect(at(server.port));
    stream.on("error", () => {});
    expect(String(await once(stream, "data"))).toBe("hello");
    await eventually(() => expect([...pair.links.clients]).toEqual([client]));
  });

  test("is given up where the relay refuses it", async () => {
    await using pair = await linkedPair({ client: { secret: "guessed" } });
    await expect(pair.link.connect("h:1")).rejects.toMatchObject({ code: "RELAY_REFUSED" });
    expect(await pair.link.ended).toMatchObject({ code: "RELAY_REFUSED" });
    expect(pair.links.clients.size).toBe(0);
  });

  test("has another wire for what comes while one is busy with bulk; the client is still one", async () => {
    await using server = await tcpServer((socket) => void socket.on("data", (chunk) => chunk[0] === 1 && socket.end("fine")));
    await using pair = await linkedPair();
    const bulk = await pair.link.connect(at(server.port));
    bulk.on("error", () => {});
    expect(pair.wires).toHaveLength(1);
    await vi.waitFor(
      async () => {
        bulk.write(Buffer.alloc(8 * 1024 * 1024));
        const other = await pair.link.connect(at(server.port));
        other.on("error", () => {}).end(Buffer.from([1]));
        expect(String(await once(other, "data"))).toBe("fine");
        expect(pair.wires.length).toBeGreaterThan(1);
      },
      { timeout: 15_000 },
    );
    expect(pair.links.clients.size).toBe(1);
    bulk.destroy();
  });

  test("of another version is refused, whichever end is older, and says what to do", async () => {
    await using pair = await linkedPair();
    await pair.link.ready;
    const older = connect({ port: pair.links.port, host: "127.0.0.1" });
    older.write(`${JSON.stringify({ shipside: 1, role: "dial", secret: "s3cret", client: "c" })}\n`);
    expect(JSON.parse(String(await once(older, "data")))).toMatchObject({
      ...{ ok: false, code: "RELAY_REFUSED", message: expect.stringContaining("version 2 of the protocol, not 1") },
    });
    older.destroy();

    const message = "the relay refuses the link: it speaks version 1 of the protocol, not 2";
    await using relay = await tcpServer(
      (socket) => void socket.end(`${JSON.stringify({ ok: false, code: "RELAY_REFUSED", message })}\n`),
    );
    await using newer = openRelayLink({ secret: "s", open: async () => connect({ port: relay.port, host: "127.0.0.1" }) });
    await expect(newer.ready).rejects.toMatchObject({
      code: "RELAY_REFUSED",
      message,
      hint: expect.stringContaining("another version"),
    });
  });

  test("is tried again where the relay goes, or its network stands still, before it has greeted; whoever isn't greeted is told nothing", async () => {
    await using pair = await linkedPair({ server: { greetingMs: 1_000 } });
    const whys: unknown[] = [];
    let tries = 0;
    await using link = openRelayLink({
      secret: "s3cret",
      greetingMs: 500,
      async open() {
        const into = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
        tries++;
        if (tries === 1) return into.destroy();
        if (tries === 2) return into;
        return connect({ port: pair.links.port, host: "127.0.0.1", allowHalfOpen: true });
      },
      onState: (linked, error) => linked || whys.push(error),
    });
    await link.ready;
    expect(whys).toEqual([
      expect.objectContaining({ code: "RELAY_LINK_LOST", message: expect.stringContaining("it was closed") }),
      expect.objectContaining({ code: "RELAY_LINK_LOST", message: expect.stringContaining("none within 500 ms") }),
    ]);
    const silent = connect({ port: pair.links.port, host: "127.0.0.1" });
    let told = "";
    silent.on("data", (chunk) => (told += chunk)).on("error", () => {});
    await once(silent, "close");
    expect(told).toBe("");
  });

  test("retry: the pause until the next try is cut short, and what stands isn't touched", async () => {
    await using pair = await linkedPair();
    const states: boolean[] = [];
    let reachable = false;
    await using link = openRelayLink({
      secret: "s3cret",
      async open() {
        if (!reachable) throw new Error("nothing listens there");
        return connect({ port: pair.links.port, host: "127.0.0.1", allowHalfOpen: true });
      },
      onState: (linked) => states.push(linked),
    });
    // By then it waits for 1.5 to 3 s.
    await eventually(() => expect(states).toHaveLength(6));
    reachable = true;
    const began = performance.now();
    link.retry();
    await link.ready;
    expect(performance.now() - began).toBeLessThan(1_000);
    link.retry();
    await sleep(50);
    expect([link.linked, states.filter((linked) => linked)]).toEqual([true, [true]]);
  });

  test("retry: a try that hangs has 2 s more; and one that hangs doesn't hold up the close", async () => {
    await using pair = await linkedPair();
    const silent = (): Duplex => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const hanging: Duplex[] = [];
    let reachable = false;
    await using link = openRelayLink({
      secret: "s3cret",
      // More than the test has.
      greetingMs: 600_000,
      async open() {
        if (reachable) return connect({ port: pair.links.port, host: "127.0.0.1", allowHalfOpen: true });
        hanging.push(silent());
        return hanging.at(-1)!;
      },
    });
    await eventually(() => expect(hanging).toHaveLength(1));
    reachable = true;
    link.retry();
    await sleep(500);
    // It may still be answered.
    expect(hanging[0]!.destroyed).toBe(false);
    await link.ready;
    expect(hanging.map(({ destroyed }) => destroyed)).toEqual([true]);
    await link.close();

    const other = openRelayLink({ secret: "s3cret", greetingMs: 600_000, open: async () => silent() });
    await sleep(50);
    await other.close();
  });

  test("a far end that goes silent is noticed on both sides", async () => {
    let silent = false;
    const wrap = (wire: Duplex): Duplex => {
      const pass = disguised(wire);
      const write = pass._write.bind(pass);
      pass._write = (chunk, encoding, done) => (silent ? done() : write(chunk, encoding, done));
      return pass;
    };
    const lost = Promise.withResolvers<unknown>();
    await using pair = await linkedPair({
      wrap,
      server: { silenceMs: 1_500 },
      client: { silenceMs: 2_500, onState: (linked, error) => linked || lost.resolve(error) },
    });
    await pair.link.ready;
    await eventually(() => expect(pair.links.clients.size).toBe(1));
    await sleep(2_000);
    expect(pair.link.linked).toBe(true);
    silent = true;
    await vi.waitFor(() => expect(pair.links.clients.size).toBe(0), { timeout: 5_000 });
    expect(await lost.promise).toBeInstanceOf(Error);
  });

  test("closes once, and ends every dial", async () => {
    await using pair = await linkedPair();
    await pair.link.ready;
    await Promise.all([pair.link.close(), pair.link.close()]);
    expect(await pair.link.ended).toBeUndefined();
    await expect(pair.link.connect("h:1")).rejects.toMatchObject({ code: "RELAY_LINK_LOST" });
  });

  test("an abandoned dial is one at the relay too", async () => {
    await using pair = await linkedPair();
    const abort = new AbortController();
    // TEST-NET-1 (RFC 5737): nobody answers.
    const dialled = pair.link.connect("192.0.2.1:80", { signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    await expect(dialled).rejects.toThrow();
  });

  test("the control API carries JSON both ways, and the relay's own errors", async () => {
    await using pair = await linkedPair({
      server: {
        async onRequest({ method, path, query, body, client }) {
          if (path === "/bad")
            throw Object.assign(new Error("taken"), { code: "LEASE_TAKEN", hint: "ask", details: { holder: "bob" } });
          return path === "/none"
            ? { status: 204 }
            : { status: 200, body: { method, path, q: query.get("q"), body, client: client.length } };
        },
      },
    });
    expect(await pair.link.request("PUT", "/leases/1?q=x", { a: 1 })).toEqual({
      ...{ method: "PUT", path: "/leases/1", q: "x", body: { a: 1 }, client: 24 },
    });
    expect(await pair.link.request("DELETE", "/none")).toBeUndefined();
    await expect(pair.link.request("GET", "/bad")).rejects.toMatchObject({
      code: "LEASE_TAKEN",
      hint: "ask",
      details: { holder: "bob" },
    });
  });
});
