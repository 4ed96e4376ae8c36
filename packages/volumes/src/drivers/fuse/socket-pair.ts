import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Two connected sockets, one of which can be given to a child process. By a directory that only this user can look into, and that is gone at once. */
export async function socketPair(): Promise<[near: Socket, far: Socket]> {
  const directory = await mkdtemp(join(tmpdir(), "shipside-pair-"));
  const server = createServer({ allowHalfOpen: true });
  try {
    server.listen(join(directory, "socket"));
    await once(server, "listening");
    const far = connect({ path: join(directory, "socket"), allowHalfOpen: true });
    far.on("error", () => {});
    const [[near]] = (await Promise.all([once(server, "connection"), once(far, "connect")])) as [[Socket], unknown];
    near.on("error", () => {});
    return [near, far];
  } finally {
    server.close();
    await rm(directory, { recursive: true, force: true });
  }
}
