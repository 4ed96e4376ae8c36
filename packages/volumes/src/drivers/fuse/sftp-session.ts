import type { Duplex } from "node:stream";
import { FileError, initPacket, putId, REPLY_TYPES, reply, request } from "./sftp-packets.ts";

/** A session with a file server, which answers in the order in which it is asked: many requests are under way at a time. */
export interface SftpSession {
  /** Whom the server runs as. */
  readonly user: { uid: number; gid: number };
  readonly ended: boolean;
  /** Sends a packet, and reads its reply, which is a view that holds for that moment. Rejects with a `FileError`: `EIO` where the session ends. */
  ask<T>(packet: Buffer, read: (frame: Buffer) => T): Promise<T>;
  /** Sends what is in two pieces. `sent` is told when the second isn't needed any more: at once where it is no longer than {@link COPIED}. */
  write(head: Buffer, data: Buffer, sent: () => void): Promise<void>;
  /** Sends a packet whose answer nobody needs, with what is sent next or in a moment. */
  later(packet: Buffer): void;
  /** Reads into a place. Resolves with how many bytes there were. */
  readInto(packet: Buffer, into: Buffer): Promise<number>;
  /** What may wait a moment for others doesn't any longer. */
  push(): void;
  /** What is sent until the end of `work` leaves together. */
  together<T>(work: () => T): T;
  end(): void;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  read: (frame: Buffer) => unknown;
  /** Of a READ: where its data goes. */
  into?: Buffer;
}

/** The longest that a server sends, in bytes: a READ's, or a page of names. */
const LONGEST = 300 * 1024;
/** The shortest: length, type, and an id or a version. */
const SHORTEST = 9;
/** How long what nobody waits for may wait for others, in ms. */
const HELD_MS = 1;
/** What isn't longer is copied to what leaves with it, in bytes; and how much that is at most. */
export const COPIED = 16 * 1024;
const BATCH = 64 * 1024;
/** Length, type, id, and a DATA's own length. */
const DATA_HEAD = 13;

/** Who brings a stream's bytes: each chunk is a view for that moment. */
export type Incoming = (take: (chunk: Buffer) => void) => void;

/** Begins a session on a stream, which is its own from then on. Its bytes come as `data`, unless they are brought in another way. */
export async function openSftpSession(
  stream: Duplex,
  incoming: Incoming = (take) => stream.on("data", take),
): Promise<SftpSession> {
  // In the order of the answers.
  const waiting: Waiting[] = [];
  let first = 0;
  let ids = 0;
  let ended = false;

  const end = (): void => {
    if (ended) return;
    ended = true;
    clearTimeout(held);
    stream.destroy();
    for (const { reject } of waiting.splice(0).slice(first)) reject(new FileError("EIO"));
    first = 0;
  };
  const next = (): Waiting | undefined => {
    const found = waiting[first++];
    if (first > 256 && first * 2 > waiting.length) {
      waiting.splice(0, first);
      first = 0;
    }
    return found;
  };
  const answered = (frame: Buffer): void => {
    const found = next();
    if (!found) {
      end();
      return;
    }
    try {
      found.resolve(found.read(frame));
    } catch (error) {
      found.reject(error as Error);
    }
  };
  const take = frameReader(
    answered,
    () => waiting[first]?.into,
    (length) => next()?.resolve(length),
    end,
  );

  stream.on("error", end);
  stream.on("close", end);
  stream.on("end", end);
  incoming(take);

  const enqueue = <T>(packet: Buffer, read: Waiting["read"], into?: Buffer): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (ended) return reject(new FileError("EIO"));
      putId(packet, ids++ >>> 0);
      waiting.push({ resolve: resolve as Waiting["resolve"], reject, read, ...(into && { into }) });
    });
  const batch = createBatch(stream);
  let held: NodeJS.Timeout | undefined;
  /** {@link together} is under way, so many times; and with its end what is there leaves. */
  let gathering = 0;
  let isUrgent = false;
  const release = (): void => {
    clearTimeout(held);
    held = undefined;
    isUrgent = false;
    batch.send();
  };
  const push = (): void => {
    if (gathering > 0) isUrgent = true;
    else release();
  };
  /** Nobody waits for the answer: many small ones leave together, and wake those on the way once. */
  const hold = (): void => {
    if (!batch.isEmpty) held ??= setTimeout(release, HELD_MS);
  };
  const send = (packet: Buffer): void => {
    if (ended) return;
    batch.put(packet);
    push();
  };
  const ask: SftpSession["ask"] = (packet, read) => {
    const answer = enqueue<ReturnType<typeof read>>(packet, read);
    send(packet);
    return answer;
  };
  const together: SftpSession["together"] = (work) => {
    gathering++;
    stream.cork();
    try {
      return work();
    } finally {
      gathering--;
      if (isUrgent && gathering === 0) release();
      stream.uncork();
    }
  };

  const greeted = new Promise<void>((resolve, reject) => waiting.push({ resolve: () => resolve(), reject, read: version }));
  stream.write(initPacket());
  greeted.catch(() => {});
  const user = await ask(request.stat("."), reply.attributes);
  await greeted;
  return {
    user,
    get ended() {
      return ended;
    },
    ask,
    write(head, data, sent) {
      const answer = enqueue<void>(head, reply.done);
      if (ended) {
        sent();
        return answer;
      }
      batch.put(head);
      batch.put(data, sent);
      hold();
      return answer;
    },
    later(packet) {
      enqueue(packet, () => {}).catch(() => {});
      if (ended) return;
      batch.put(packet);
      hold();
    },
    readInto(packet, into) {
      const answer = enqueue<number>(packet, nothingMore, into);
      send(packet);
      return answer;
    },
    push,
    together,
    end,
  };
}

/** What leaves together, in one piece: to hand a stream many small ones took longer than all else of a small write. */
function createBatch(stream: Duplex) {
  // Never used again: a stream of a link's has said that it took what is still to be sent.
  let room = Buffer.alloc(0);
  let from = 0;
  let to = 0;
  const send = (): void => {
    if (from === to) return;
    stream.write(room.subarray(from, to));
    from = to;
  };
  return {
    get isEmpty() {
      return from === to;
    },
    /** `done` is told when the bytes aren't needed any more. */
    put(bytes: Buffer, done?: () => void): void {
      if (bytes.length > COPIED) {
        send();
        stream.write(bytes, done);
        return;
      }
      if (to + bytes.length > room.length) {
        send();
        room = Buffer.allocUnsafeSlow(BATCH);
        from = to = 0;
      }
      to += bytes.copy(room, to);
      done?.();
    },
    send,
  };
}

/** Asks for several things at once. Of failures the first one counts. */
export async function both<A, B>(session: SftpSession, first: () => Promise<A>, second: () => Promise<B>): Promise<[A, B]> {
  const [one, other] = session.together(() => [first(), second()]);
  other.catch(() => {});
  return [await one, await other];
}

function version(frame: Buffer): void {
  if (frame[0] !== REPLY_TYPES.VERSION || frame.readUInt32BE(1) !== 3) throw new FileError("EPROTO");
}

/** A READ that has no data is at the end of the file, or failed. */
function nothingMore(frame: Buffer): number {
  if (frame[0] === REPLY_TYPES.STATUS && frame.readUInt32BE(5) === 1) return 0;
  reply.done(frame);
  throw new FileError("EIO");
}

/**
 * Cuts a stream of bytes into packets. The data of a READ goes to its place as it comes; any other packet is put together, and is a view
 * for that moment.
 */
function frameReader(
  packet: (frame: Buffer) => void,
  place: () => Buffer | undefined,
  placed: (length: number) => void,
  broken: () => void,
): (chunk: Buffer) => void {
  let room = Buffer.allocUnsafe(4096);
  let held = 0;
  /** What is still to come of data, and where it goes. */
  let data: { into: Buffer; at: number; left: number } | undefined;
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      if (data) {
        const length = Math.min(data.left, chunk.length - at);
        chunk.copy(data.into, data.at, at, at + length);
        at += length;
        data.at += length;
        data.left -= length;
        if (data.left > 0) return;
        const { at: whole } = data;
        data = undefined;
        placed(whole);
        continue;
      }
      const wanted = held < 4 ? SHORTEST : 4 + room.readUInt32BE(0);
      if (wanted < SHORTEST || wanted > LONGEST) return broken();
      const isData = held >= 5 && room[4] === REPLY_TYPES.DATA;
      const least = held < 5 ? 5 : isData ? DATA_HEAD : wanted;
      if (room.length < least) {
        const larger = Buffer.allocUnsafe(least);
        room.copy(larger, 0, 0, held);
        room = larger;
      }
      const length = Math.min(least - held, chunk.length - at);
      chunk.copy(room, held, at, at + length);
      at += length;
      held += length;
      if (held < least || held === 5) continue;
      held = 0;
      if (!isData) {
        packet(room.subarray(4, wanted));
        continue;
      }
      const [into, size] = [place(), room.readUInt32BE(9)];
      if (!into || size > into.length || size !== room.readUInt32BE(0) - 9 || size === 0) return broken();
      data = { into, at: 0, left: size };
    }
  };
}
