// A program that uses a service: `node client.ts ADDRESS PORT WORK AMOUNT`, and it prints what it did in a second. See ../transport/program.ts.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { BLOCK } from "../transport/program.ts";

const [address = "", port = "", work = "", given = ""] = process.argv.slice(2);
const amount = Number(given);

async function open(line: string): Promise<Socket> {
  const socket = connect({ host: address, port: Number(port), noDelay: true, allowHalfOpen: true });
  await once(socket, "connect");
  socket.write(`${line}\n`);
  return socket;
}

/** One byte there and back over a new connection. */
async function roundTrip(): Promise<void> {
  const socket = await open("echo");
  socket.write("x");
  await once(socket, "data");
  socket.destroy();
}

async function connections(parallel: number): Promise<void> {
  let left = amount;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await roundTrip();
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

async function download(): Promise<void> {
  const socket = await open(`down ${amount}`);
  let got = 0;
  for await (const chunk of socket) got += (chunk as Buffer).length;
  if (got !== amount) throw new Error(`${got} bytes instead of ${amount}`);
}

async function upload(): Promise<void> {
  const socket = await open(`up ${amount}`);
  const answered = once(socket, "data");
  for (let left = amount; left > 0; left -= BLOCK.length) {
    if (!socket.write(left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK)) await once(socket, "drain");
  }
  await answered;
  socket.destroy();
}

const works: Record<string, () => Promise<void>> = {
  one: () => connections(1),
  sixteen: () => connections(16),
  download,
  upload,
};
const began = performance.now();
await works[work]!();
console.log(amount / ((performance.now() - began) / 1000));
process.exit(0);
