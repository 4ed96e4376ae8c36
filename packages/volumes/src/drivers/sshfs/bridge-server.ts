import { chmod, mkdtemp, readdir, rm, stat, symlink } from "node:fs/promises";
import { connect, createServer, type Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Closable, createCloser, type Logger, readInLargePieces, splice } from "@shipside/core";

/** For sshfs: it splits its command at spaces and its options at commas. */
const PLAIN_PATH = /^[\w./-]+$/;
const PREFIX = "shipside-sshfs-";
const YOUNG_MS = 1_000;
const BEAT_MS = 1_000;
/** Having stood still for longer, in ms, this process may have been given up by the bridges: they are sooner patient than that. */
const STANDSTILL_MS = 4_000;
/** How long a stream to the volume may take to open, in ms: an operation on the mount waits as long. */
const OPEN_MS = 5_000;

export interface BridgeServer extends Closable {
  /** What sshfs is to run in place of ssh. */
  readonly command: string;
  /** Takes what a bridge sends by the channel that sshfs was started with: its id and sshfs's socket. */
  take(id: unknown, socket: unknown): void;
}

export interface BridgeServerOptions {
  /** A fresh SFTP stream. Asked each time sshfs connects, also after it was lost. */
  open(signal: AbortSignal): Promise<Duplex>;
  logger: Logger;
}

/**
 * Joins sshfs with streams to the volume, and keeps the bridges of one mount, which bring its sockets, sure that this process lives; by a
 * socket in a directory that only this user can look into.
 */
export async function serveBridges({ open, logger }: BridgeServerOptions): Promise<BridgeServer> {
  const closer = createCloser();
  const lifetime = new AbortController();
  await sweepBridges();
  const directory = await mkdtemp(join(baseDirectory(), PREFIX));
  closer.defer(() => rm(directory, { recursive: true, force: true }));
  const bridges = new Map<number, Socket>();
  const carried = new Set<Socket>();
  let beaten = performance.now();

  /** A bridge that has heard nothing for a while throws away what sshfs sends: what follows would be the middle of something. */
  const cutAfterStandstill = (): void => {
    if (performance.now() - beaten > STANDSTILL_MS) for (const socket of carried) socket.destroy();
  };
  const timer = setInterval(() => {
    cutAfterStandstill();
    beaten = performance.now();
    for (const bridge of bridges.values()) bridge.write(".");
  }, BEAT_MS);
  timer.unref();
  closer.defer(() => clearInterval(timer));

  const carry = async (bridge: Socket, socket: Socket): Promise<void> => {
    carried.add(socket);
    socket.on("error", () => {});
    bridge.once("close", () => socket.destroy());
    // sshfs sees the end of it when both have let it go.
    socket.once("close", () => {
      carried.delete(socket);
      bridge.destroy();
    });
    socket.allowHalfOpen = true;
    const until = AbortSignal.any([lifetime.signal, AbortSignal.timeout(OPEN_MS)]);
    try {
      const stream = await open(until);
      stream.on("error", () => {});
      socket.on("data", cutAfterStandstill);
      const { error } = await splice(socket, stream, { signal: lifetime.signal });
      if (error && !lifetime.signal.aborted) logger.debug("a stream to a volume was lost", { error: error.message });
    } catch (error) {
      logger.debug("no stream to a volume", { error: (error as Error).message });
      socket.destroy();
    }
  };

  /** Of bridges, also of those that only look whether somebody is there. */
  const connections = new Set<Socket>();
  const server = createServer((bridge) => {
    connections.add(bridge);
    bridge.once("close", () => connections.delete(bridge));
    bridge.on("error", () => {});
    bridge.once("data", (said: Buffer) => {
      const id = Number(said);
      bridges.set(id, bridge);
      bridge.once("close", () => bridges.delete(id));
      bridge.write(".");
    });
  });
  try {
    const path = join(directory, "socket");
    await listen(server, path);
    closer.defer(async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      lifetime.abort();
      for (const socket of [...carried, ...connections]) socket.destroy();
      await closed;
    });
    await chmod(path, 0o600);
    // By links: where Node and this package are may have any name.
    await symlink(process.execPath, join(directory, "node"));
    await symlink(bridgeProgram(), join(directory, "bridge"));
    const command = [join(directory, "node"), join(directory, "bridge"), path].join(" ");
    const take: BridgeServer["take"] = (id, socket) => {
      if (!(socket instanceof Socket)) return;
      const bridge = bridges.get(id as number);
      if (bridge && !lifetime.signal.aborted) void carry(bridge, readInLargePieces(socket));
      else socket.destroy();
    };
    return { command, take, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

const baseDirectory = (): string => (PLAIN_PATH.test(tmpdir()) ? tmpdir() : "/tmp");

/**
 * Removes what processes that were killed left for their bridges. A bridge does so itself, but there may be none: one whose process stood still
 * for too long has ended, and the next comes with the next use of the mount.
 */
export async function sweepBridges(): Promise<void> {
  const base = baseDirectory();
  const names = (await readdir(base).catch(() => [])).filter((name) => name.startsWith(PREFIX));
  await Promise.all(
    names.map(async (name) => {
      const directory = join(base, name);
      // A socket that is just being made refuses as one does that nobody has any more.
      const found = await stat(join(directory, "socket")).catch(() => undefined);
      if (!found || found.uid !== process.getuid?.() || Date.now() - found.mtimeMs < YOUNG_MS) return;
      if (await isRefused(join(directory, "socket"))) await rm(directory, { recursive: true, force: true }).catch(() => {});
    }),
  );
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const look = connect(path, () => {
      look.destroy();
      resolve(false);
    });
    look.on("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
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
