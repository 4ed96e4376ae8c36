import type { Entries } from "./entries.ts";
import type { Node } from "./nodes.ts";
import { createReadAhead, createRooms, type ReadAhead, type Stretch } from "./read-ahead.ts";
import { createAround, type ReadAround } from "./read-around.ts";
import { FileError, PIECE, request, writeHead } from "./sftp-packets.ts";
import type { SftpSession } from "./sftp-session.ts";

/** A file that a program has open, by a handle of the server's, which dies with its session. */
export interface OpenFile {
  readonly node: Node;
  readonly session: SftpSession;
  readonly remote: string;
  readonly ahead: ReadAhead;
  readonly around: ReadAround;
  /** The same file, by a handle that doesn't append, where this one does. */
  readonly inPlace?: Promise<OpenFile> | undefined;
  /** Undefined where more may be written at once; else resolves when that is so. Rejects with `EIO`. */
  room(): Promise<void> | undefined;
  /** Sends it; whether it was written is known after {@link settle}. `sent` as in {@link SftpSession.write}. */
  write(offset: number, data: Buffer, sent: () => void): void;
  /** Whether all that was written is answered. */
  readonly isSettled: boolean;
  /** Resolves when all that was written is answered. Rejects with the first failure since the last call. */
  settle(): Promise<void>;
}

/** With more than so much on its way and not answered, in bytes, a writer waits. */
const ON_ITS_WAY = 8 * 1024 * 1024;

/**
 * The files that are open, by number. Writes are answered before the server has them, as a disk's are; whether they arrived is said when the
 * file is synced or closed.
 */
export interface Files {
  add(node: Node, session: SftpSession, remote: string, besides?: Besides): number;
  /** Throws `EBADF`; `EIO` where its session has ended. */
  get(handle: number): OpenFile;
  /** One by which a node can be reached that has no path any more. */
  of(node: Node): OpenFile | undefined;
  remove(handle: number): OpenFile | undefined;
}

/** What was asked for with its opening. */
export interface Besides {
  first?: Stretch | undefined;
  /** A handle that doesn't append. */
  inPlace?: Promise<string> | undefined;
}

export function createFiles(entries: Pick<Entries, "ask" | "isSettled" | "isWritten">): Files {
  const rooms = createRooms();
  const around = createAround();
  const open = new Map<number, OpenFile>();
  let handles = 0;
  let onItsWay = 0;
  const roomFor: Array<() => void> = [];

  const make = (node: Node, session: SftpSession, remote: string, { first, inPlace: other }: Besides = {}): OpenFile => {
    const inPlace = other?.then((each) => make(node, session, each));
    // Whoever needs it is told.
    inPlace?.catch(() => {});
    let unanswered = 0;
    let failure: FileError | undefined;
    let settled: Array<() => void> = [];
    const answered = (bytes: number, error?: FileError): void => {
      failure ??= error;
      onItsWay -= bytes;
      if (onItsWay < ON_ITS_WAY) for (const go of roomFor.splice(0)) go();
      if (--unanswered > 0) return;
      const all = settled;
      settled = [];
      for (const go of all) go();
    };
    return {
      node,
      session,
      remote,
      ahead: createReadAhead({ node, session, remote, entries, rooms, first }),
      around: around({ node, session, remote, entries }),
      inPlace,
      room() {
        if (onItsWay < ON_ITS_WAY) return undefined;
        return (async () => {
          while (onItsWay >= ON_ITS_WAY && !session.ended) await new Promise<void>((resolve) => roomFor.push(resolve));
          if (session.ended) throw new FileError("EIO");
        })();
      },
      write(offset, data, sent) {
        session.together(() => {
          let left = Math.max(1, Math.ceil(data.length / PIECE));
          const pieceSent = (): void => {
            if (--left === 0) sent();
          };
          for (let at = 0; at < data.length; at += PIECE) {
            const piece = data.subarray(at, at + PIECE);
            unanswered++;
            onItsWay += piece.length;
            session.write(writeHead(remote, offset + at, piece.length), piece, pieceSent).then(
              () => answered(piece.length),
              (error: FileError) => answered(piece.length, error),
            );
          }
          if (data.length === 0) pieceSent();
        });
      },
      get isSettled() {
        return unanswered === 0;
      },
      async settle() {
        session.push();
        if (unanswered > 0) await new Promise<void>((resolve) => settled.push(resolve));
        const failed = failure;
        failure = undefined;
        if (failed) throw failed;
      },
    };
  };
  return {
    add(node, session, remote, besides) {
      const handle = ++handles;
      open.set(handle, make(node, session, remote, besides));
      return handle;
    },
    get(handle) {
      const file = open.get(handle);
      if (!file) throw new FileError("EBADF");
      if (file.session.ended) throw new FileError("EIO");
      return file;
    },
    of(node) {
      for (const file of open.values()) if (file.node === node && !file.session.ended) return file;
      return undefined;
    },
    remove(handle) {
      const file = open.get(handle);
      open.delete(handle);
      file?.ahead.close();
      file?.around.close();
      const close = ({ session, remote }: OpenFile): void => (session.ended ? undefined : session.later(request.close(remote)));
      if (file) close(file);
      file?.inPlace?.then(close, () => {});
      return file;
    },
  };
}
