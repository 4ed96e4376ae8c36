import type { Socket } from "node:net";
import { Duplex } from "node:stream";

export interface LinkOptions {
  /** Each way. Default: as fast as the machine. */
  bytesPerSecond?: number;
  /** Added to each way, in ms. Default 0. */
  latencyMs?: number;
}

/** What may be under way beyond what rate and latency make necessary, in bytes. */
const SLACK = 64 * 1024;

/**
 * One direction of a slow link: chunks come out in order, no faster than the rate, each `latencyMs` after it went in. `put` says
 * false where more is under way than the link holds; `roomy` is called when there is room again.
 */
class Line {
  readonly #link: () => LinkOptions;
  readonly #deliver: (chunk: Buffer | undefined) => boolean;
  readonly #roomy: () => void;
  #queue: Array<{ chunk: Buffer | undefined; at: number }> = [];
  #underWay = 0;
  #freeAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #full = false;
  #blocked = false;

  constructor(link: () => LinkOptions, deliver: (chunk: Buffer | undefined) => boolean, roomy: () => void) {
    this.#link = link;
    this.#deliver = deliver;
    this.#roomy = roomy;
  }

  /** Undefined is the end. */
  put(chunk: Buffer | undefined): boolean {
    const { bytesPerSecond = Number.POSITIVE_INFINITY, latencyMs = 0 } = this.#link();
    this.#freeAt = Math.max(performance.now(), this.#freeAt) + ((chunk?.length ?? 0) * 1000) / bytesPerSecond;
    this.#queue.push({ chunk, at: this.#freeAt + latencyMs });
    this.#underWay += chunk?.length ?? 0;
    this.#pump();
    this.#full = this.#underWay > this.#capacity();
    return !this.#full;
  }

  /** The receiver takes more again. */
  unblock(): void {
    this.#blocked = false;
    this.#pump();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
  }

  #capacity(): number {
    const { bytesPerSecond = Number.POSITIVE_INFINITY, latencyMs = 0 } = this.#link();
    const flight =
      bytesPerSecond === Number.POSITIVE_INFINITY ? (latencyMs > 0 ? 16 * 1024 * 1024 : 0) : (bytesPerSecond * latencyMs) / 1000;
    return flight + SLACK;
  }

  #pump(): void {
    clearTimeout(this.#timer);
    while (!this.#blocked && this.#queue.length > 0) {
      const { chunk, at } = this.#queue[0]!;
      const wait = at - performance.now();
      if (wait > 0.5) {
        this.#timer = setTimeout(() => this.#pump(), wait);
        break;
      }
      this.#queue.shift();
      this.#underWay -= chunk?.length ?? 0;
      this.#blocked = !this.#deliver(chunk);
    }
    if (!this.#full || this.#underWay > this.#capacity()) return;
    this.#full = false;
    this.#roomy();
  }
}

/** A socket behind a slow link. `link` is asked for each chunk, so the link may change while it stands. */
export function slowLink(socket: Socket, link: () => LinkOptions): Duplex {
  let taken: (() => void) | undefined;
  const inward = new Line(
    link,
    (chunk) => duplex.push(chunk ?? null),
    () => socket.resume(),
  );
  const outward = new Line(
    link,
    (chunk) => {
      if (chunk) return socket.write(chunk);
      socket.end();
      return true;
    },
    () => {
      const next = taken;
      taken = undefined;
      next?.();
    },
  );
  const duplex = new Duplex({
    allowHalfOpen: true,
    read: () => inward.unblock(),
    write(chunk: Buffer, _encoding, done) {
      if (outward.put(chunk)) done();
      else taken = done;
    },
    final(done) {
      outward.put(undefined);
      done();
    },
    destroy(error, done) {
      inward.stop();
      outward.stop();
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (chunk: Buffer) => {
    if (!inward.put(chunk)) socket.pause();
  });
  socket.on("end", () => inward.put(undefined));
  socket.on("drain", () => outward.unblock());
  socket.on("error", (error) => duplex.destroy(error));
  socket.on("close", () => {
    if (!duplex.readableEnded && !socket.readableEnded) duplex.destroy();
  });
  // What an HTTP or TLS server asks of a socket.
  return Object.assign(duplex, {
    setNoDelay: (on?: boolean) => socket.setNoDelay(on),
    setKeepAlive: (on?: boolean, delay?: number) => socket.setKeepAlive(on, delay),
    setTimeout: (ms: number, then?: () => void) => socket.setTimeout(ms, then),
    ref: () => socket.ref(),
    unref: () => socket.unref(),
    remoteAddress: socket.remoteAddress,
    remotePort: socket.remotePort,
  });
}
