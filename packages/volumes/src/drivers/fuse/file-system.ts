import { createDirectories } from "./directories.ts";
import { createEntries, type EntriesOptions, without } from "./entries.ts";
import { createFiles, type OpenFile } from "./files.ts";
import { createListings } from "./listings.ts";
import { createMoves } from "./moves.ts";
import { createNameOperations } from "./name-operations.ts";
import type { Node } from "./nodes.ts";
import { empties, isReadOnly, needsPlace, openFlags } from "./open-flags.ts";
import { DIRECTORY, KEEP_CACHE, MODE_BITS, NO_FLUSH, OLDEST_MINOR } from "./protocol.ts";
import { askFor, type Stretch } from "./read-ahead.ts";
import { createReads } from "./reads.ts";
import {
  attributesReply,
  directoryReply,
  doneReply,
  type Entry,
  errorReply,
  initReply,
  openReply,
  statfsReply,
  textReply,
  writtenReply,
} from "./replies.ts";
import type { Changes, Of, Request } from "./requests.ts";
import { AS_IT_IS, type Change, FileError, FLAGS, JUST_OPENED, reply, request } from "./sftp-packets.ts";
import { both, COPIED, type SftpSession } from "./sftp-session.ts";

export interface FileSystemOptions extends EntriesOptions {
  /** A session that stands. Rejects where there is none to be had. */
  session(): SftpSession | Promise<SftpSession>;
}

/** Where a request came from. */
export interface Asker {
  /** Once. Takes the bytes at once. */
  respond(reply: Buffer): void;
  /** The request's bytes are needed for longer than this moment: until what this returns is called. */
  keep(): () => void;
}

export interface FileSystem {
  /** Answers a request of the kernel's; resolves when it is answered. Never rejects. */
  serve(request: Request, asker: Asker): Promise<void>;
}

/** A file that comes with its opening is no larger, in bytes. */
const SMALL = 64 * 1024;
/** As much as the kernel asks for whoever reads a few bytes of a file's beginning. */
const HEAD = 16 * 1024;
const PAGE = 4096;
/** What was asked for longer, in ms, is no longer waited for by who has a signal. */
const PATIENCE_MS = 1_000;

/** A mount's files, which a file server has. */
export function createFileSystem(options: FileSystemOptions): FileSystem {
  const { remotePath, user } = options;
  const entries = createEntries(options);
  const { nodes, nodeOf, pathOf, question, shown, told, look, known, isSame, isReplaced, changed, forget } = entries;
  const files = createFiles(entries);
  const listings = createListings(entries);
  const moves = createMoves(options.session);
  const named = createNameOperations({ entries, files, listings, moves });
  const directories = createDirectories(listings);
  const reads = createReads();
  /** What may be answered early where a program is told to end, and since when it waits, in ms. */
  const interruptible = new Map<number, { since: number; giveUp(): void }>();
  /** The kernel tells of every signal, of a timer's too; and whoever has it begin again must not find it given up. */
  const interrupt = (unique: number): void => {
    const found = interruptible.get(unique);
    if (found) setTimeout(() => interruptible.get(unique)?.giveUp(), found.since + PATIENCE_MS - performance.now()).unref();
  };

  const gone = (node: Node): FileError => {
    entries.gone(node);
    return without(node);
  };

  /** Asks the server, of the handle where one is given, or where it has no name any more. */
  const ask = async (session: SftpSession, node: Node, file?: OpenFile): Promise<Entry> => {
    const by = file?.session === session ? file : nodes.path(node) === undefined ? files.of(node) : undefined;
    const packet = by ? request.fstat(by.remote) : question(node);
    const asked = entries.ask();
    const found = await session.ask(packet, reply.attributes).catch((error: FileError) => {
      if (by || error.code !== "ENOENT") throw error;
    });
    if (found && (by || !isReplaced(node, found))) return told(node, shown(found, session), asked);
    const error = gone(node);
    const opened = files.of(node);
    if (!opened) throw error;
    return ask(session, node, opened);
  };

  const setattr = async (session: SftpSession, node: Node, changes: Changes, handle: number | undefined): Promise<Entry> => {
    const file = handle === undefined ? undefined : files.get(handle);
    const by = file ?? (nodes.path(node) === undefined ? files.of(node) : undefined);
    const { uid, gid, mode, size, atime, mtime } = changes;
    const theirs = (id: number | undefined, kind: "uid" | "gid"): number =>
      id === undefined ? AS_IT_IS : id === user[kind] ? session.user[kind] : id;
    const packet = (change: Change): Buffer => (by ? request.fsetstat(by.remote, change) : request.setstat(pathOf(node), change));
    const packets: Buffer[] = [];
    if (uid !== undefined || gid !== undefined) packets.push(packet({ uid: theirs(uid, "uid"), gid: theirs(gid, "gid") }));
    if (mode !== undefined) packets.push(packet({ mode: mode & MODE_BITS }));
    if (size !== undefined) packets.push(packet({ size }));
    if (atime !== undefined || mtime !== undefined)
      packets.push(request.utimes(by ? { handle: by.remote } : { path: pathOf(node) }, atime, mtime));
    if (size === undefined) entries.change(node);
    else entries.write(node);
    const [, after] = await both(
      session,
      () => Promise.all(packets.map((each) => session.ask(each, reply.done))),
      () => ask(session, node, by),
    );
    return after;
  };

  /**
   * Of what is being opened, unless the kernel has pages of it: all where it is small (whole pages, and a byte more than there is, so that its end is seen),
   * else its head, which is all that many look at.
   */
  const askForHead = (node: Node, session: SftpSession): Stretch | undefined => {
    const size = node.known?.attributes.size ?? 0;
    if (size === 0 || node.settled) return undefined;
    const place = Buffer.allocUnsafe(size > SMALL ? HEAD : (Math.floor(size / PAGE) + 1) * PAGE);
    return askFor({ node, session, remote: JUST_OPENED, entries }, 0, place);
  };

  const open = async (session: SftpSession, node: Node, { unique, flags }: Of<"open">): Promise<Buffer> => {
    const path = pathOf(node);
    if (empties(flags)) entries.write(node);
    const asked = entries.ask();
    const opening = session.together(() => ({
      remote: session.ask(request.open(path, openFlags(flags)), reply.handle),
      first: isReadOnly(flags) ? askForHead(node, session) : undefined,
      inPlace: needsPlace(flags) ? session.ask(request.open(path, FLAGS.WRITE), reply.handle) : undefined,
      found: session.ask(request.lstat(path), reply.attributes).catch(() => undefined),
    }));
    const { inPlace } = opening;
    const close = (each: string): void => session.later(request.close(each));
    // Not to be had where the other isn't, and whoever needs it is told.
    inPlace?.catch(() => {});
    const [remote, found] = await Promise.all([opening.remote, opening.found]).catch((error: FileError) => {
      // Whoever has it made by its opening makes it then.
      throw error.code === "ENOENT" ? gone(node) : error;
    });
    if (found && isReplaced(node, found)) {
      close(remote);
      inPlace?.then(close, () => {});
      throw gone(node);
    }
    const how = (isSame(node, found) ? KEEP_CACHE : 0) | (isReadOnly(flags) ? NO_FLUSH : 0);
    if (found) told(node, shown(found, session), asked);
    if (empties(flags)) changed(node);
    return openReply(unique, files.add(node, session, remote, opening), how);
  };

  const read = async (message: Of<"read">, respond: Asker["respond"]): Promise<undefined> => {
    const file = files.get(message.handle);
    await reads.serve(file, message, (bytes, asked) => {
      // By being read, too: when it was.
      if (asked) entries.change(file.node);
      respond(bytes);
    });
  };

  /** Its content, with what is sent next. */
  const becomesAnother = (node: Node): void => {
    node.settled = undefined;
    entries.write(node);
    changed(node);
  };

  /** What was written in memory has its place, though the handle by which it comes appends. */
  const writeInPlace = async (file: OpenFile, { unique, offset, data }: Of<"write">): Promise<Buffer> => {
    await file.room();
    becomesAnother(file.node);
    file.write(offset, data, () => {});
    await file.settle();
    return writtenReply(unique, data.length);
  };

  const write = async (message: Of<"write">, { respond, keep }: Asker): Promise<Buffer | undefined> => {
    const { unique, handle, offset, data, ofMemory } = message;
    const file = files.get(handle);
    if (ofMemory && file.inPlace) {
      const copied = { ...message, data: Buffer.from(data) };
      return writeInPlace(await file.inPlace, copied);
    }
    const room = file.room();
    const done = room || data.length > COPIED ? keep() : () => {};
    try {
      if (room) await room;
    } catch (error) {
      done();
      throw error;
    }
    becomesAnother(file.node);
    // Whoever writes goes on while it is being sent.
    respond(writtenReply(unique, data.length));
    file.write(offset, data, done);
    return undefined;
  };

  /** What was written mostly is looked at next: that comes with the last answer. */
  const flush = async (file: OpenFile): Promise<void> => {
    if (file.isSettled) return file.settle();
    await both(
      file.session,
      () => file.settle(),
      () => ask(file.session, file.node, file).catch(() => undefined),
    );
  };

  const names = async (message: Of<"readdir" | "readdirplus">): Promise<Buffer> => {
    const { unique, handle, offset, size, type } = message;
    const { node, listing } = directories.get(handle);
    const { session, asked } = listing;
    const found = await listing.found;
    const dots = 2;
    const entry = (index: number): Entry | undefined => {
      if (index < dots) return undefined;
      const { name, attributes } = found[index - dots]!;
      // Of before a change from here, and maybe gone: the kernel looks it up by itself.
      if (entries.isPast(node, name, attributes, asked)) return undefined;
      return look(node, name, shown(attributes, session), asked);
    };
    return directoryReply(
      unique,
      {
        length: found.length + dots,
        at(index) {
          if (index < dots) return { name: ".".repeat(index + 1), mode: DIRECTORY };
          const { name, attributes } = found[index - dots]!;
          return { name, mode: attributes.mode };
        },
        ...(type === "readdirplus" && { entry }),
      },
      { from: offset, size },
    );
  };

  /** What failed may have been done all the same. */
  const unsure = (message: Request): void => {
    entries.doubt(message.node, "name" in message ? message.name : undefined);
    if (message.type === "rename") entries.doubt(message.newParent, message.newName);
  };

  const answer = async (message: Request, { respond, keep }: Asker): Promise<Buffer | undefined> => {
    const { unique, node: id } = message;
    switch (message.type) {
      case "init":
        if (message.minor < OLDEST_MINOR) return errorReply(unique, "EPROTO");
        return initReply(unique, message);
      case "lookup":
        return named.lookup(message);
      case "create":
        return named.create(message);
      case "mknod":
        return named.mknod(message);
      case "mkdir":
        return named.mkdir(message);
      case "symlink":
        return named.symlink(message);
      case "link":
        return named.link(message);
      case "rename":
        return named.rename(message);
      case "unlink":
      case "rmdir":
        return named.remove(message);
      case "forget":
        for (const { node, lookups } of message.forgotten) forget(node, lookups);
        return undefined;
      case "getattr": {
        const node = nodeOf(id);
        const file = message.handle === undefined ? undefined : files.get(message.handle);
        return attributesReply(
          unique,
          entries.seen(node, known(node) ?? (await moves.between((session) => ask(session, node, file), node))),
        );
      }
      case "setattr": {
        const node = nodeOf(id);
        const after = await moves.between((session) => setattr(session, node, message.changes, message.handle), node);
        changed(node);
        return attributesReply(unique, entries.set(node, after));
      }
      case "readlink": {
        const node = nodeOf(id);
        const target = await moves.between((session) => session.ask(request.readlink(pathOf(node)), reply.target), node);
        return textReply(unique, target);
      }
      case "open":
        return moves.between((session) => open(session, nodeOf(id), message), nodeOf(id));
      case "read":
        return read(message, respond);
      case "write":
        return write(message, { respond, keep });
      case "flush":
        await flush(files.get(message.handle));
        return doneReply(unique);
      case "fsync": {
        const file = files.get(message.handle);
        const synced = file.session.ask(request.fsync(file.remote), reply.done);
        synced.catch(() => {});
        await file.settle();
        await synced;
        return doneReply(unique);
      }
      case "release":
        files.remove(message.handle);
        return doneReply(unique);
      case "statfs":
        return statfsReply(unique, await moves.between((session) => session.ask(request.statvfs(remotePath), reply.statvfs)));
      case "opendir":
        return openReply(unique, await moves.between((session) => directories.open(nodeOf(id), session)));
      case "readdir":
      case "readdirplus":
        return names(message);
      case "releasedir":
        directories.remove(message.handle);
        return doneReply(unique);
      case "interrupt":
        interrupt(message.of);
        return undefined;
      default:
        return errorReply(unique, "ENOSYS");
    }
  };

  return {
    async serve(message, { respond, keep }) {
      const { unique, type } = message;
      let answered = false;
      const once = (bytes: Buffer): void => {
        if (answered) return;
        answered = true;
        respond(bytes);
      };
      // Nothing is changed by these: that their answer comes later doesn't matter.
      const harmless = type === "read" || type === "getattr" || type === "readlink" || type === "statfs" || type === "readdir";
      if (harmless) interruptible.set(unique, { since: performance.now(), giveUp: () => once(errorReply(unique, "EINTR")) });
      try {
        const moving = type === "interrupt" || type === "write" ? undefined : moves.of(nodes.get(message.node));
        if (moving) await moving;
        const bytes = await answer(message, { respond: once, keep });
        if (bytes) once(bytes);
      } catch (error) {
        unsure(message);
        once(errorReply(unique, codeOf(error)));
      } finally {
        if (harmless) interruptible.delete(unique);
      }
    },
  };
}

const codeOf = (error: unknown): FileError["code"] => (error instanceof FileError ? error.code : "EIO");
