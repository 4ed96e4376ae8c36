import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";

export interface At {
  host: string;
  port: number;
}

export interface Load {
  perSecond: number;
  /** Microseconds. */
  p50: number;
  p99: number;
}

const open = async (at: At): Promise<Socket> => {
  const socket = connect({ ...at, noDelay: true });
  await once(socket, "connect");
  socket.on("error", () => {});
  return socket;
};

const head = (flagged: boolean, line: string, more = ""): string =>
  `${line} HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench/1\r\nAccept: */*\r\n${flagged ? "X-User: me\r\n" : ""}${more}\r\n`;

/** Kept-alive connections, each asking again as soon as it has its answer. */
export async function ask(
  at: At,
  { flagged, connections, ms }: { flagged: boolean; connections: number; ms: number },
): Promise<Load> {
  const request = Buffer.from(head(flagged, "GET /"));
  const took: number[] = [];
  const until = performance.now() + ms;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = await open(at);
      await new Promise<void>((resolve, reject) => {
        let began = 0;
        const next = (): void => {
          began = performance.now();
          socket.write(request);
        };
        socket.on("data", (chunk: Buffer) => {
          if (chunk[chunk.length - 1] !== 10) return;
          const now = performance.now();
          took.push((now - began) * 1000);
          if (now < until) next();
          else resolve();
        });
        socket.once("close", () => reject(new Error(`${at.host}:${at.port} closed the connection`)));
        next();
      });
      socket.removeAllListeners("close");
      socket.destroy();
    }),
  );
  took.sort((a, b) => a - b);
  return { perSecond: took.length / (ms / 1000), p50: took[took.length >> 1]!, p99: took[Math.floor(took.length * 0.99)]! };
}

/** MiB a second. */
export async function download(at: At, flagged: boolean, bytes: number): Promise<number> {
  const socket = await open(at);
  const began = performance.now();
  socket.write(head(flagged, `GET /bulk/${bytes}`));
  let got = 0;
  for await (const chunk of socket) {
    got += (chunk as Buffer).length;
    if (got >= bytes) break;
  }
  socket.destroy();
  return bytes / 1024 / 1024 / ((performance.now() - began) / 1000);
}

export async function upload(at: At, flagged: boolean, bytes: number): Promise<number> {
  const socket = await open(at);
  const chunk = Buffer.alloc(65_536, "y");
  const began = performance.now();
  socket.write(head(flagged, "POST /", `Content-Length: ${bytes}\r\n`));
  for (let left = bytes; left > 0; left -= chunk.length) {
    if (!socket.write(left < chunk.length ? chunk.subarray(0, left) : chunk)) await once(socket, "drain");
  }
  await once(socket, "data");
  socket.destroy();
  return bytes / 1024 / 1024 / ((performance.now() - began) / 1000);
}

/** Unary calls with trailers, over one session, so many at a time. */
export async function calls(
  at: At,
  { flagged, parallel, ms }: { flagged: boolean; parallel: number; ms: number },
): Promise<number> {
  const session = connectHttp2(`http://${at.host}:${at.port}`);
  session.on("error", () => {});
  const message = Buffer.alloc(32, "m");
  const until = performance.now() + ms;
  let done = 0;
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (performance.now() < until) {
        const call = session.request({
          ":method": "POST",
          ":path": "/svc/Call",
          te: "trailers",
          ...(flagged && { "x-user": "me" }),
        });
        const trailers = once(call, "trailers");
        call.resume();
        call.end(message);
        await trailers;
        done++;
      }
    }),
  );
  session.destroy();
  return done / (ms / 1000);
}

/** Opens so many WebSockets that nobody says anything on. Returns how to close them. */
export async function idleWebSockets(at: At, count: number, flagged: boolean): Promise<() => void> {
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i += 50) {
    await Promise.all(
      Array.from({ length: Math.min(50, count - i) }, async () => {
        const socket = await open(at);
        sockets.push(socket);
        socket.write(head(flagged, "GET /ws", "Upgrade: websocket\r\nConnection: Upgrade\r\n"));
        await once(socket, "data");
      }),
    );
  }
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}
