import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { datagramReader, encodeDatagram } from "@shipside/core";
import { expect, test } from "vitest";
import { machineServers } from "./machine-servers.ts";
import { FLAG, IN, type Message, RCODE, readMessage, TYPE, writeMessage } from "./message.ts";
import { ownedBy, txtRecord } from "./records.ts";

const query = writeMessage({
  id: 4711,
  flags: FLAG.RECURSION_DESIRED,
  questions: [{ name: "Example.COM", type: TYPE.TXT, class: IN }],
  answers: [],
  authorities: [],
  additionals: [],
});
const signal = AbortSignal.timeout(60_000);
const udp = { transport: "udp", signal } as const;
const tcp = { transport: "tcp", signal } as const;

type Say = (query: Message) => Message | undefined;
const says =
  (text: string, more: Partial<Message> = {}): Say =>
  (asked) => ({ ...asked, flags: FLAG.RESPONSE, answers: [ownedBy(asked.questions[0]!.name, 9, txtRecord(text))], ...more });
const textOf = (answer: Uint8Array): string => {
  const { answers, id } = readMessage(Buffer.from(answer));
  expect(id).toBe(4711);
  return String(answers[0]?.data[0]?.slice(1));
};

interface Upstream extends AsyncDisposable {
  name: string;
  asked: number;
}

/** A port of both kinds: one that is free for datagrams may be taken for TCP. */
async function listenTwice(server: Server): Promise<{ socket: Socket; port: number }> {
  for (;;) {
    const socket = createSocket("udp4").bind(0, "127.0.0.1");
    await once(socket, "listening");
    const { port } = socket.address();
    try {
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
      return { socket, port };
    } catch (error) {
      socket.close();
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
}

async function upstream(
  overUdp: Say,
  overTcp: Say = () => undefined,
  send?: (socket: Socket, bytes: Buffer, to: RemoteInfo) => void,
): Promise<Upstream> {
  const server = createServer((connection) => {
    connection.on("error", () => {});
    const read = datagramReader();
    connection.on("data", (chunk) => {
      for (const bytes of read(chunk)) {
        const answer = overTcp(readMessage(bytes));
        if (answer) connection.write(encodeDatagram(writeMessage(answer)));
        else connection.destroy();
      }
    });
  });
  const { socket, port } = await listenTwice(server);
  const self: Upstream = {
    name: `127.0.0.1:${port}`,
    asked: 0,
    async [Symbol.asyncDispose]() {
      socket.close();
      server.close();
    },
  };
  socket.on("message", (bytes, from) => {
    self.asked++;
    const answer = overUdp(readMessage(bytes));
    if (!answer) return;
    if (send) send(socket, writeMessage(answer), from);
    else socket.send(writeMessage(answer), from.port, from.address);
  });
  return self;
}

test("the first server that answers is believed, and the client's number comes back", async () => {
  await using one = await upstream(says("one"));
  await using two = await upstream(says("two"));
  const exchange = machineServers({ servers: [one.name, two.name] });
  expect(textOf(await exchange(query, udp))).toBe("one");
  expect([one.asked, two.asked]).toEqual([1, 0]);
});

test.each<[string, Say]>([
  ["is silent", () => undefined],
  ["fails", says("x", { flags: FLAG.RESPONSE | RCODE.SERVFAIL })],
  ["refuses", says("x", { flags: FLAG.RESPONSE | RCODE.REFUSED })],
  ["answers another question", says("x", { questions: [{ name: "example.org", type: TYPE.TXT, class: IN }] })],
  ["answers a name of another case", says("x", { questions: [{ name: "example.com", type: TYPE.TXT, class: IN }] })],
  ["answers with another number", (asked) => ({ ...says("x")(asked)!, id: asked.id ^ 1 })],
  ["sends the query back", (asked) => asked],
])("one that %s has the next one asked", async (_, say) => {
  await using bad = await upstream(say);
  await using good = await upstream(says("good"));
  const exchange = machineServers({ servers: [bad.name, good.name], timeoutMs: 300 });
  expect(textOf(await exchange(query, udp))).toBe("good");
  expect(bad.asked).toBe(1);
});

test("a failure that all agree on is passed on as it is", async () => {
  await using one = await upstream(says("x", { flags: FLAG.RESPONSE | RCODE.SERVFAIL }));
  const answer = await machineServers({ servers: [one.name] })(query, udp);
  expect(readMessage(Buffer.from(answer)).flags & 15).toBe(RCODE.SERVFAIL);
  expect(one.asked).toBe(1);
});

test("who comes by TCP gets the whole; who comes by UDP is told to", async () => {
  await using long = await upstream(says("cut", { flags: FLAG.RESPONSE | FLAG.TRUNCATED }), says("whole"));
  const exchange = machineServers({ servers: [long.name] });
  expect(textOf(await exchange(query, tcp))).toBe("whole");
  expect(readMessage(Buffer.from(await exchange(query, udp))).flags & FLAG.TRUNCATED).toBeTruthy();
});

test("somebody else's datagram is no answer", async () => {
  await using server = await upstream(says("real"), undefined, (socket, bytes, { port, address }) => {
    const forger = createSocket("udp4");
    const forged = Buffer.from(bytes);
    forged.write("fake", bytes.length - 4);
    forger.send(forged, port, address, () => {
      forger.close();
      socket.send(bytes, port, address);
    });
  });
  expect(textOf(await machineServers({ servers: [server.name] })(query, udp))).toBe("real");
});

test("where none answers, the error names them all and keeps each reason", async () => {
  await using silent = await upstream(() => undefined);
  const exchange = machineServers({ servers: [silent.name, "127.0.0.1:1"], timeoutMs: 100, attempts: 2 });
  await expect(exchange(query, udp)).rejects.toMatchObject({
    code: "ROOTLESS_DNS_UNANSWERED",
    message: expect.stringMatching(/127\.0\.0\.1 port \d+, 127\.0\.0\.1 port 1/),
    cause: { errors: expect.objectContaining({ length: 4 }) },
  });
  expect(silent.asked).toBe(2);
});

test("a signal ends the wait", async () => {
  await using silent = await upstream(() => undefined);
  const ended = new AbortController();
  const waiting = machineServers({ servers: [silent.name] })(query, { transport: "udp", signal: ended.signal });
  await expect.poll(() => silent.asked).toBe(1);
  ended.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
});

test("the servers are those that the file has now", async () => {
  const dir = await mkdtemp(join(tmpdir(), "shipside-resolv-"));
  const file = join(dir, "resolv.conf");
  const exchange = machineServers({ file, timeoutMs: 100, attempts: 1 });
  await expect(exchange(query, udp)).rejects.toMatchObject({ code: "ROOTLESS_DNS_UNANSWERED", cause: { code: "ENOENT" } });
  await writeFile(file, "nameserver 127.0.0.250\n");
  await expect(exchange(query, udp)).rejects.toThrow(/servers \(127\.0\.0\.250\)/);
  await writeFile(file, "");
  await expect(exchange(query, udp)).rejects.toThrow(/there are none/);
  await rm(dir, { recursive: true });
});

test.each(["example.com", "1.2.3.4:0", "1.2.3.4:99999", "[1.2.3", ""])("%j is no server", (server) => {
  expect(() => machineServers({ servers: [server] })).toThrow(expect.objectContaining({ code: "ROOTLESS_INVALID_OPTION" }));
});

test("servers are written in each usual way", () => {
  expect(() =>
    machineServers({ servers: ["1.2.3.4", "1.2.3.4:53", "2001:db8::1", "[2001:db8::1]:53", "fe80::1%eth0"] }),
  ).not.toThrow();
});
