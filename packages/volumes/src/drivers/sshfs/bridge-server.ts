import { chmod, mkdtemp, rm, symlink } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Closable, createCloser, type Logger, splice } from "@shipside/core";

/** For sshfs: it splits its command at spaces and its options at commas. */
const PLAIN_PATH = /^[\w./-]+$/;
const BEAT_MS = 1_000;
/** How long a stream to the volume may take to open, in ms: an operation on the mount waits as long. */
const OPEN_MS = 5_000;

export interface BridgeServer extends Closable {
  /** What sshfs is to run in place of ssh. */
  readonly command: string;
}

export interface BridgeServerOptions {
  /** A fresh SFTP stream. Asked each time sshfs connects, also after it was lost. */
  open(signal: AbortSignal): Promise<Duplex>;
  logger: Logger;
}

/** Lets the bridges of one mount in, by a socket in a directory that only this user can look into. */
export async function serveBridges({ open, logger }: BridgeServerOptions): Promise<BridgeServer> {
  const closer = createCloser();
  const lifetime = new AbortController();
  const base = PLAIN_PATH.test(tmpdir()) ? tmpdir() : "/tmp";
  const directory = await mkdtemp(join(base, "shipside-sshfs-"));
  closer.defer(() => rm(directory, { recursive: true, force: true }));
  const sockets = new Set<Socket>();

  const carry = async (socket: Socket): Promise<void> => {
    const until = AbortSignal.any([lifetime.signal, AbortSignal.timeout(OPEN_MS)]);
    try {
      const stream = await open(until);
      stream.on("error", () => {});
      const { error } = await splice(socket, stream, { signal: lifetime.signal });
      if (error && !lifetime.signal.aborted) logger.debug("a stream to a volume was lost", { error: error.message });
    } catch (error) {
      logger.debug("no stream to a volume", { error: (error as Error).message });
      socket.destroy();
    }
  };
  const beat = (socket: Socket): void => {
    const timer = setInterval(() => socket.write("."), BEAT_MS);
    socket.resume();
    socket.once("close", () => clearInterval(timer));
  };

  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.once("readable", () => {
      const purpose = (socket.read(1) as Buffer | null)?.toString();
      if (purpose === "d") void carry(socket);
      else if (purpose === "h") beat(socket);
      else socket.destroy();
    });
  });
  try {
    const path = join(directory, "socket");
    await listen(server, path);
    closer.defer(async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      lifetime.abort();
      for (const socket of sockets) socket.destroy();
      await closed;
    });
    await chmod(path, 0o600);
    // By links: where Node and this package are may have any name.
    await symlink(process.execPath, join(directory, "node"));
    await symlink(bridgeProgram(), join(directory, "bridge"));
    const command = [join(directory, "node"), join(directory, "bridge"), path].join(" ");
    return { command, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

/** As a source beside this one, or where the build puts it. */
function bridgeProgram(): string {
  const from = import.meta.url;
  return fileURLToPath(new URL(from.endsWith(".ts") ? "./bridge.ts" : "./drivers/sshfs/bridge.js", from));
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.on("error", () => {});
}
