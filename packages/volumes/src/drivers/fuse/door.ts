import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where they are. */
export const DOORS = tmpdir();

/**
 * Lets one process of this user's connect to this one: `invite` tells it where. By a directory that only this user can look into, and that is
 * gone when this resolves. Rejects where nobody has come until `signal`.
 */
export async function openDoor(invite: (path: string) => void, signal: AbortSignal): Promise<Socket> {
  const directory = await mkdtemp(join(DOORS, "shipside-door-"));
  const server = createServer({ allowHalfOpen: true });
  try {
    const path = join(directory, "socket");
    server.listen(path);
    await once(server, "listening", { signal });
    const came = once(server, "connection", { signal }) as Promise<[Socket]>;
    invite(path);
    const [socket] = await came;
    socket.on("error", () => {});
    return socket;
  } finally {
    server.close();
    await rm(directory, { recursive: true, force: true });
  }
}
