import { setTimeout as sleep } from "node:timers/promises";
import { download, firstData, open, roundTrip, times, upload } from "./client.ts";
import type { Peer } from "./peers.ts";
import { cpuSeconds, residentMiB } from "./usage.ts";

export interface Figure {
  name: string;
  unit: string;
  /** A bound of the ratio ours/peer, or of our own value. */
  must: { atLeast: number } | { atMost: number } | { oursAtLeast: number };
  /** Rounds at most: what takes long or changes little is measured less often. */
  maxRounds?: number;
  measure(peer: Peer, scale: Scale): Promise<number>;
}

export interface Scale {
  /** Bytes of one bulk transfer. */
  bulkBytes: number;
  /** Connections of one round. */
  connections: number;
  /** Questions on one kept-alive connection. */
  questions: number;
  /** Idle connections. */
  idle: number;
}

const MIB = 1024 * 1024;
/** A transfer that stands still is given up. */
const STALL_MS = 10_000;

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
};

const connectionsPerSecond =
  (concurrency: number) =>
  async ({ port }: Peer, { connections }: Scale): Promise<number> => {
    const count = concurrency === 1 ? Math.ceil(connections / 4) : connections;
    return count / (await seconds(() => times(count, concurrency, () => roundTrip(port))));
  };

export const FIGURES: readonly Figure[] = [
  {
    name: "bulk download, one stream",
    unit: "MiB/s",
    must: { atLeast: 1 },
    measure: async ({ port }, { bulkBytes }) => bulkBytes / MIB / (await seconds(() => download(port, bulkBytes, false))),
  },
  {
    name: "bulk upload, one stream",
    unit: "MiB/s",
    must: { atLeast: 1 },
    measure: async ({ port }, { bulkBytes }) => bulkBytes / MIB / (await seconds(() => upload(port, bulkBytes))),
  },
  { name: "new connections, one at a time", unit: "1/s", must: { atLeast: 1.3 }, measure: connectionsPerSecond(1) },
  { name: "new connections, 16 at once", unit: "1/s", must: { atLeast: 1.3 }, measure: connectionsPerSecond(16) },
  {
    name: "kept-alive request, p50",
    unit: "ms",
    must: { atMost: 0.9 },
    async measure({ port }, { questions }) {
      const socket = await open(port, "echo");
      const question = Buffer.alloc(100, "q");
      const took: number[] = [];
      for (let i = 0; i < questions; i++) {
        const began = performance.now();
        socket.write(question);
        await firstData(socket);
        took.push(performance.now() - began);
        socket
          .removeAllListeners("close")
          .removeAllListeners("end")
          .removeAllListeners("error")
          .on("error", () => {});
      }
      socket.destroy();
      return took.sort((a, b) => a - b)[took.length >> 1]!;
    },
  },
  {
    name: "rate beside a stream that stands still",
    unit: "of alone",
    must: { oursAtLeast: 0.9 },
    maxRounds: 3,
    async measure({ port }, { bulkBytes }) {
      const alone = await seconds(() => download(port, bulkBytes, false));
      const stalled = await open(port, "flood");
      try {
        await firstData(stalled);
        stalled.pause();
        await sleep(500);
        const beside = seconds(() => download(port, bulkBytes, false)).catch(() => Number.POSITIVE_INFINITY);
        return alone / (await Promise.race([beside, sleep(STALL_MS, Number.POSITIVE_INFINITY, { ref: false })]));
      } finally {
        stalled.destroy();
      }
    },
  },
  {
    name: "CPU of the client, bulk download",
    unit: "s/GiB",
    must: { atMost: 1 },
    async measure({ port, process }, { bulkBytes }) {
      const before = cpuSeconds(process.pid!);
      await download(port, bulkBytes, false);
      return ((cpuSeconds(process.pid!) - before) / bulkBytes) * 1024 * MIB;
    },
  },
  {
    name: "CPU of the client, bulk upload",
    unit: "s/GiB",
    must: { atMost: 1 },
    async measure({ port, process }, { bulkBytes }) {
      const before = cpuSeconds(process.pid!);
      await upload(port, bulkBytes);
      return ((cpuSeconds(process.pid!) - before) / bulkBytes) * 1024 * MIB;
    },
  },
  {
    name: "memory of the client with idle connections",
    unit: "MiB",
    must: { atMost: 1 },
    maxRounds: 1,
    async measure({ port, process }, { idle }) {
      const sockets = await Promise.all(
        Array.from({ length: idle }, async () => {
          const socket = await open(port, "echo");
          socket.write("x");
          await firstData(socket);
          return socket;
        }),
      );
      await sleep(2_000);
      const resident = residentMiB(process.pid!);
      for (const socket of sockets) socket.destroy();
      return resident;
    },
  },
];
