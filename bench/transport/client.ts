import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { BLOCK } from "./program.ts";

/** What a client of the pod's program does, through whatever brought its port here. Every promise rejects where the bytes are wrong. */
export async function open(port: number, line?: string): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  if (line !== undefined) socket.write(`${line}\n`);
  return socket;
}

/** All that comes until the far side ends. Rejects with the socket's error. */
export function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.once("end", () => resolve(Buffer.concat(chunks).toString()));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed without an end")));
  });
}

/** Sends a line and gives the whole answer. */
export async function ask(port: number, line: string): Promise<string> {
  const socket = await open(port, line);
  const answer = await readAll(socket);
  socket.destroy();
  return answer;
}

/** One new connection, one byte there and back. */
export async function roundTrip(port: number): Promise<void> {
  const socket = await open(port, "echo");
  socket.write("x");
  await firstData(socket);
  socket.destroy();
}

export function firstData(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    socket.once("data", resolve);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed before any data")));
    socket.once("end", () => reject(new Error("ended before any data")));
  });
}

const expected = new Map<number, string>();

/** SHA-256 of so many bytes of the pattern. */
function patternHash(size: number): string {
  let digest = expected.get(size);
  if (digest === undefined) {
    const hash = createHash("sha256");
    for (let left = size; left > 0; left -= BLOCK.length) hash.update(left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK);
    digest = hash.digest("hex");
    expected.set(size, digest);
  }
  return digest;
}

/** Takes `size` bytes. `check` compares their SHA-256, which costs the client more than the transfer costs the path. */
export async function download(port: number, size: number, check: boolean): Promise<void> {
  const socket = await open(port, `down ${size}`);
  const hash = check ? createHash("sha256") : undefined;
  let got = 0;
  await new Promise<void>((resolve, reject) => {
    socket.on("data", (chunk: Buffer) => {
      got += chunk.length;
      hash?.update(chunk);
      if (got >= size) resolve();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`closed after ${got} of ${size} bytes`)));
    socket.once("end", () => got < size && reject(new Error(`ended after ${got} of ${size} bytes`)));
  });
  socket.destroy();
  if (got !== size) throw new Error(`${got} bytes instead of ${size}`);
  if (hash && hash.digest("hex") !== patternHash(size)) throw new Error("what was downloaded is not what was sent");
}

export async function upload(port: number, size: number): Promise<void> {
  const socket = await open(port, `up ${size}`);
  const answer = readAll(socket);
  answer.catch(() => {});
  for (let left = size; left > 0 && !socket.destroyed; left -= BLOCK.length) {
    if (!socket.write(left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK)) await Promise.race([once(socket, "drain"), answer]);
  }
  const digest = await answer;
  socket.destroy();
  if (digest !== patternHash(size)) throw new Error("what the pod got is not what was sent");
}

/** Does `one` so many times, so many at once. */
export async function times(count: number, concurrency: number, one: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(count, concurrency) }, async () => {
      while (next < count) await one(next++);
    }),
  );
}
