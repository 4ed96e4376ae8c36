// A process of the benchmark: the way to a server, with the time that it takes. `way.ts '{"port":N,"delayMs":N,"cert":PATH,"key":PATH}'` takes
// connections (by TLS, where a certificate is given) and brings them to the port. Prints its own; ends with its stdin.
import { readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

export interface WayOptions {
  /** On 127.0.0.1, or `host`. */
  port: number;
  host?: string;
  /** In each direction. */
  delayMs: number;
  /** So many bytes a second are carried from the server, all connections together. Default: as many as come. */
  bytesPerSecond?: number;
  /** PEM files. */
  cert?: string;
  key?: string;
}

const {
  port: to,
  host = "127.0.0.1",
  delayMs,
  bytesPerSecond = Number.POSITIVE_INFINITY,
  cert,
  key,
} = JSON.parse(process.argv[2]!) as WayOptions;

/** More than this many bytes are not on the way at a time: as much as 20 ms hold at 25 Gbit/s, or a router that keeps some tenths of a second. */
const ROOM = Number.isFinite(bytesPerSecond) ? bytesPerSecond / 5 : 64 * 1024 * 1024;

/** When the line from the server has carried what was given to it so far. */
let free = 0;
/** When these bytes have left it. */
function sent(bytes: number): number {
  free = Math.max(free, performance.now()) + (bytes / bytesPerSecond) * 1000;
  return free;
}

/** Pieces on the way. */
const FEW = 4;

function carry(from: Socket, into: Socket, rated: boolean): void {
  if (delayMs === 0 && !rated) return void from.pipe(into);
  const waiting: Array<{ due: number; chunk: Buffer | null }> = [];
  let held = 0;
  let armed = false;
  const arm = (ms: number): void => {
    armed = true;
    // Timers are up to 2 ms late: where little is on the way, each has its moment; a stream isn't worth a processor.
    if (waiting.length < FEW && ms < 2) setImmediate(go);
    else setTimeout(go, Math.max(1, ms - (waiting.length < FEW ? 2 : 0)));
  };
  const go = (): void => {
    armed = false;
    while (waiting.length > 0 && waiting[0]!.due <= performance.now()) {
      const { chunk } = waiting.shift()!;
      if (!chunk) return void into.end();
      held -= chunk.length;
      into.write(chunk);
    }
    if (held < ROOM) from.resume();
    if (waiting.length > 0) arm(waiting[0]!.due - performance.now());
  };
  const take = (chunk: Buffer | null): void => {
    const due = (rated ? sent(chunk?.length ?? 0) : performance.now()) + delayMs;
    waiting.push({ due, chunk });
    if (!armed) arm(due - performance.now());
  };
  from.on("data", (chunk: Buffer) => {
    held += chunk.length;
    if (held >= ROOM) from.pause();
    take(chunk);
  });
  from.on("end", () => take(null));
}

const bring = (client: Socket): void => {
  const server = connect({ port: to, host, noDelay: true, allowHalfOpen: true });
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.on("error", () => other.destroy());
    one.once("close", () => setTimeout(() => other.destroy(), 100));
    carry(one, other, one === server && Number.isFinite(bytesPerSecond));
  }
};
const server =
  cert === undefined
    ? createServer({ noDelay: true, allowHalfOpen: true }, bring)
    : createTlsServer({ noDelay: true, allowHalfOpen: true, cert: readFileSync(cert), key: readFileSync(key!) }, bring);
server.listen(0, "127.0.0.1", () => console.log((server.address() as { port: number }).port));
process.stdin.resume().once("end", () => process.exit());
