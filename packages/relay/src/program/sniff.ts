import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { serveHttp1 } from "./http1.ts";
import { serveHttp2 } from "./http2.ts";
import { serveConnection } from "./tcp.ts";
import type { TlsEnd } from "./tls-end.ts";
import type { PortContext } from "./upstream.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** The first byte of a TLS connection (RFC 8446, 5.1). */
const TLS = 0x16;

/** Looks at the first bytes, and lets those serve who know what they begin; `tls`: who ends that of this port. */
export async function serveHttp(
  socket: Socket,
  context: PortContext,
  peer: { address: string; port: number },
  tls?: TlsEnd,
): Promise<void> {
  let first: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = await firstChunk(socket);
    if (!chunk) break;
    first = first.length > 0 ? Buffer.concat([first, chunk]) : chunk;
    if (first[0] === TLS && tls) return tls.take(socket, first);
    if (first[0] === TLS) return serveConnection(socket, context, { peer, first });
    const same = Math.min(first.length, PREFACE.length);
    if (first.compare(PREFACE, 0, same, 0, same) !== 0) break;
    if (same === PREFACE.length) return serveHttp2(socket, context, { peer, first });
  }
  return serveHttp1(socket, context, { peer, first });
}

/** One chunk, and the stream stands still again; undefined where there is none any more. */
function firstChunk(stream: Duplex): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const done = (chunk?: Buffer): void => {
      stream.off("data", done);
      stream.off("end", onEnd);
      stream.off("close", onEnd);
      stream.pause();
      resolve(chunk);
    };
    const onEnd = (): void => done();
    stream.on("data", done);
    stream.on("end", onEnd);
    stream.on("close", onEnd);
    stream.resume();
  });
}
