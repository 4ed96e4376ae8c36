import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { ask, download, firstData, open, readAll, roundTrip, times, upload } from "../../bench/transport/client.ts";
import type { Peer } from "../../bench/transport/peers.ts";

export interface Sizes {
  cancels: number;
  shortConnections: number;
  idleConnections: number;
  bulkBytes: number;
}

export interface Case {
  name: string;
  /** Throws where the path doesn't do it. */
  run(peer: Peer, sizes: Sizes): Promise<void>;
  timeoutMs?: number;
  /** Takes endings that are carried as they are: the port-forward API can't. */
  exact?: true;
}

/** Where nothing listens in the pod. It is asked for as well. */
export const SILENT_PORT = 7099;

const MIB = 1024 * 1024;

function same(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

async function until(condition: () => Promise<boolean>, ms: number, what: string): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(100);
  }
}

/** What a client of a plain TCP connection may rely on, as far as a path of this kind can give it. */
export const CASES: readonly Case[] = [
  {
    name: "bytes come back unchanged",
    async run({ port }) {
      const socket = await open(port, "echo");
      socket.write("hello");
      same(String(await firstData(socket)), "hello");
      socket.destroy();
    },
  },
  {
    name: "the pod's end reaches the client",
    run: async ({ port }) => same(await ask(port, "late 0 bye"), "bye"),
  },
  {
    name: "an answer that comes 2 s after the client has ended is not lost",
    async run({ port }) {
      const socket = await open(port, "late 2000 here I am");
      socket.end();
      same(await readAll(socket), "here I am");
    },
  },
  {
    name: "the client may still send for a moment after the pod has ended",
    async run({ port }) {
      const socket = await open(port, "fin");
      socket.write("one ");
      same(String(await firstData(socket)), "bye");
      socket.write("two");
      await sleep(500);
      socket.destroy();
      same(await ask(port, "remembered"), "one two");
    },
  },
  {
    name: "a reset by the pod is a reset at the client, after what was sent before",
    async run({ port }) {
      const socket = await open(port, "rst");
      let got = "";
      socket.on("data", (chunk) => {
        got += chunk;
      });
      const ended = await Promise.race([
        once(socket, "error").then(([error]) => (error as { code: string }).code),
        once(socket, "end").then(() => "an end"),
      ]);
      socket.destroy();
      same(got, "before");
      same(ended, "ECONNRESET");
    },
  },
  {
    name: "a reset by the client reaches the pod",
    async run({ port }) {
      const before = Number(await ask(port, "count"));
      const sockets = await Promise.all([1, 2, 3].map(() => open(port, "echo")));
      for (const socket of sockets) {
        socket.write("x");
        await firstData(socket);
        socket.resetAndDestroy();
      }
      await until(async () => Number(await ask(port, "count")) <= before, 5_000, "the pod's connections gone");
    },
  },
  {
    name: "a download cancelled in the middle disturbs nothing, however often",
    timeoutMs: 60_000,
    async run({ port }, { cancels }) {
      // A connection that nobody reads in the pod, of an earlier case or another path, may never end.
      const before = Number(await ask(port, "count"));
      await times(cancels, 4, async () => {
        const socket = await open(port, "flood");
        await firstData(socket);
        socket.destroy();
      });
      await roundTrip(port);
      await until(async () => Number(await ask(port, "count")) <= before, 30_000, "the pod's connections gone");
    },
  },
  {
    name: "an upload to a pod that doesn't read, cancelled, disturbs nobody",
    async run({ port }) {
      for (let i = 0; i < 3; i++) {
        const socket = await open(port, "deaf");
        for (let n = 0; n < 128; n++) socket.write(Buffer.alloc(65_536));
        await sleep(300);
        socket.resetAndDestroy();
      }
      await times(40, 8, () => roundTrip(port));
    },
  },
  {
    name: "many short connections, 50 at once",
    timeoutMs: 120_000,
    run: ({ port }, { shortConnections }) => times(shortConnections, 50, () => roundTrip(port)),
  },
  {
    name: "many idle connections, each of them alive",
    timeoutMs: 60_000,
    async run({ port }, { idleConnections }) {
      const sockets = await Promise.all(Array.from({ length: idleConnections }, () => open(port, "echo")));
      await sleep(1_000);
      await times(sockets.length, 50, async (index) => {
        sockets[index]!.write(`number ${index}`);
        same(String(await firstData(sockets[index]!)), `number ${index}`);
      });
      for (const socket of sockets) socket.destroy();
    },
  },
  {
    name: "a reader that stands still disturbs no other",
    async run({ port }) {
      const stalled = await open(port, "flood");
      await firstData(stalled);
      stalled.pause();
      await sleep(300);
      await download(port, 32 * MIB, true);
      await times(20, 4, () => roundTrip(port));
      stalled.destroy();
    },
  },
  {
    name: "bulk both ways at once, with checksums",
    timeoutMs: 120_000,
    run: async ({ port }, { bulkBytes }) => void (await Promise.all([download(port, bulkBytes, true), upload(port, bulkBytes)])),
  },
  {
    name: "a port where nothing listens is refused, and what is open goes on",
    async run({ port, ports }) {
      const open1 = await open(port, "echo");
      open1.write("a");
      await firstData(open1);
      const refused = await open(ports[SILENT_PORT]!, "echo");
      await new Promise((resolve) => refused.once("close", resolve));
      open1.write("b");
      same(String(await firstData(open1)), "b");
      await roundTrip(port);
      open1.destroy();
    },
  },
  {
    name: "the client's end reaches the pod at once",
    exact: true,
    async run({ port }) {
      const socket = await open(port, "eof 0 bye");
      const began = performance.now();
      socket.end();
      same(await readAll(socket), "bye");
      const took = performance.now() - began;
      if (took > 2_000) throw new Error(`after ${Math.round(took)} ms`);
    },
  },
  {
    name: "an answer that the pod begins 3 s after the client's end is not lost",
    exact: true,
    async run({ port }) {
      const socket = await open(port, "eof 3000 here I am");
      socket.end();
      same(await readAll(socket), "here I am");
    },
  },
  {
    name: "the client may send 3 s after the pod has ended",
    exact: true,
    async run({ port }) {
      const socket = await open(port, "fin");
      socket.write("one ");
      same(await readAll(socket), "bye");
      await sleep(3_000);
      socket.end("two");
      await until(async () => (await ask(port, "remembered")) === "one two", 5_000, "what was sent last has arrived");
    },
  },
  {
    name: "the client's end comes after all that was sent before it",
    exact: true,
    async run({ port }) {
      const socket = await open(port, "watch");
      await firstData(socket);
      socket.end(Buffer.alloc(8 * MIB));
      await readAll(socket);
      same(await ask(port, "watched"), `${8 * MIB} end`);
    },
  },
  {
    name: "a reset by the client is a reset in the pod, and no end",
    exact: true,
    async run({ port }) {
      const socket = await open(port, "watch");
      await firstData(socket);
      socket.write("x");
      await sleep(200);
      socket.resetAndDestroy();
      await until(async () => (await ask(port, "watched")) === "1 ECONNRESET", 5_000, "the pod was told of the reset");
    },
  },
];

/** Runs a case; the reason why not, or undefined. */
export async function outcome(one: Case, peer: Peer, sizes: Sizes): Promise<string | undefined> {
  const timeoutMs = one.timeoutMs ?? 15_000;
  try {
    const late = sleep(timeoutMs, undefined, { ref: false }).then(() => Promise.reject(new Error(`not within ${timeoutMs} ms`)));
    await Promise.race([one.run(peer, sizes), late]);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
