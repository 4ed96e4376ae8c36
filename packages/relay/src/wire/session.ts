import type { ClientSessionOptions, Http2Session, ServerOptions } from "node:http2";
import type { Duplex } from "node:stream";

/**
 * What one stream may hold that nobody reads, in bytes, at either end: with d ms there and back, a stream carries no more than that in d ms.
 * A developer's machine has the room; a hundred stalled streams must fit the pod.
 */
const STREAM_WINDOW = { ours: 4 * 1024 * 1024, relay: 1024 * 1024 } as const;
/** What all streams together may have on the way. */
const SESSION_WINDOW = 64 * 1024 * 1024;

/** For the session of one end. The limits are those of a link between two ends of one owner, not of a server open to anybody. */
export const sessionOptions = (end: keyof typeof STREAM_WINDOW) =>
  ({
    settings: { initialWindowSize: STREAM_WINDOW[end], maxFrameSize: 65_536, maxConcurrentStreams: 100_000, enablePush: false },
    peerMaxConcurrentStreams: 100_000,
    maxSessionMemory: 1024,
    // A connection that ends by a reset is an ordinary thing here: the guards against floods of resets would end the link.
    streamResetBurst: 1_000_000,
    streamResetRate: 1_000_000,
  }) satisfies ClientSessionOptions & ServerOptions & Record<string, unknown>;

/** An end is asked this often for a sign of life, in ms. */
const PING_MS = 1_000;

/**
 * Raises the session's own window, keeps both ends known to be alive, and ends the session when nothing has come for `silenceMs`. Bytes of
 * any kind count: a ping's answer may have to wait behind a bulk transfer.
 */
export function tendSession(session: Http2Session, wire: Duplex & { bytesRead?: number }, silenceMs: number): void {
  session.on("error", () => {});
  wire.on("error", () => {});
  const open = (): void => session.setLocalWindowSize(SESSION_WINDOW);
  if (session.connecting) session.once("connect", open);
  else open();

  let heard = performance.now();
  let ticked = heard;
  let bytes = wire.bytesRead ?? 0;
  const hear = (): void => {
    heard = performance.now();
  };
  // A socket's bytes never come by here (http2 reads its handle), and are counted by it; those of any other stream do.
  if (wire.bytesRead === undefined) wire.on("data", hear);
  const timer = setInterval(() => {
    const now = performance.now();
    // This process itself stood still: what has come meanwhile is not yet read.
    if (now - ticked > 2 * PING_MS) heard = now;
    ticked = now;
    if (wire.bytesRead !== undefined && wire.bytesRead !== bytes) {
      bytes = wire.bytesRead;
      heard = now;
    }
    if (now - heard > silenceMs) {
      session.destroy(new Error(`the other end of the link has been silent for ${Math.round(now - heard)} ms`));
      wire.destroy();
      return;
    }
    if (!session.closed && !session.destroyed) session.ping((error) => !error && hear());
  }, PING_MS);
  timer.unref();
  session.once("close", () => {
    clearInterval(timer);
    wire.destroy();
  });
}
