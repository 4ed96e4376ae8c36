import { createDirectories, type Directory } from "./directories.ts";
import { createEntries, type EntriesOptions } from "./entries.ts";
import { createFiles, type OpenFile } from "./files.ts";
import type { Node } from "./nodes.ts";
import { isReadOnly, openFlags } from "./open-flags.ts";
import { KEEP_CACHE, NO_FLUSH, OLDEST_MINOR, RENAME_NOREPLACE, ROOT_ID } from "./protocol.ts";
import { createReads } from "./reads.ts";
import {
  type Attributes,
  attributesReply,
  createReply,
  directoryReply,
  doneReply,
  type Entry,
  entryReply,
  errorReply,
  initReply,
  openReply,
  statfsReply,
  textReply,
  writtenReply,
} from "./replies.ts";
import type { Changes, Of, Request } from "./requests.ts";
import { AS_IT_IS, request as ask, type Change, FileError, FLAGS, reply } from "./sftp-packets.ts";
import type { SftpSession } from "./sftp-session.ts";

export interface FileSystemOptions extends EntriesOptions {
  /** A session that stands. Rejects where there is none to be had. */
  session(): SftpSession | Promise<SftpSession>;
  /** How long names and attributes may be out of date, in s. */
  cacheSeconds: number;
}

/** Where a request came from. */
export interface Asker {
  /** Once. Takes the bytes at once. */
  respond(reply: Buffer): void;
  /** Something besides, before that. */
  tell(notice: Buffer): void;
  /** The request's bytes are needed for longer than this moment: until what this returns is called. */
  keep(): () => void;
}

export interface FileSystem {
  /** Answers a request of the kernel's; resolves when it is answered. Never rejects. */
  serve(request: Request, asker: Asker): Promise<void>;
}

const KIND = 0o170000;
const REGULAR = 0o100000;
const DIRECTORY = 0o040000;
const MODE_BITS = 0o7777;
/** Smaller writes are copied, so that their buffer is free at once. */
const COPIED = 16 * 1024;

/** A mount's files, which a file server has. */
export function createFileSystem({ remotePath, session: current, cacheSeconds, user }: FileSystemOptions): FileSystem {
  const { nodes, nodeOf, pathOf, shown, told, look, isSame, changed, forget } = createEntries({ remotePath, user });
  const files = createFiles();
  const directories = createDirectories();
  const reads = createReads();
  /** What may be answered early where a program is told to end. */
  const interruptible = new Map<number, () => void>();
  /** While a directory moves no path below it is known. */
  let moving: Promise<unknown> | undefined;

  /** Asks for several things at once. Of failures the first one counts. */
  const both = async <A, B>(session: SftpSession, first: () => Promise<A>, second: () => Promise<B>): Promise<[A, B]> => {
    const [one, other] = session.together(() => [first(), second()]);
    other.catch(() => {});
    return [await one, await other];
  };
  const makeEntry = async (parent: Node, name: string, packet: (path: string) => Buffer): Promise<Entry> => {
    const session = await current();
    const path = pathOf(parent, name);
    const [, attributes] = await both(
      session,
      () => session.ask(packet(path), reply.done),
      () => session.ask(ask.lstat(path), reply.attributes),
    );
    return look(parent, name, shown(attributes, session));
  };
  const attributesOf = async (session: SftpSession, node: Node, file?: OpenFile): Promise<Attributes> => {
    const by = file?.session === session ? file : nodes.path(node) === undefined ? files.of(node) : undefined;
    const packet = by ? ask.fstat(by.remote) : node.id === ROOT_ID ? ask.stat(remotePath) : ask.lstat(pathOf(node));
    return shown(await session.ask(packet, reply.attributes), session);
  };

  const setattr = async (node: Node, changes: Changes, handle: number | undefined): Promise<Attributes> => {
    const session = await current();
    const file = handle === undefined ? undefined : files.get(handle);
    const by = file ?? (nodes.path(node) === undefined ? files.of(node) : undefined);
    const { uid, gid, mode, size, atime, mtime } = changes;
    const theirs = (id: number | undefined, kind: "uid" | "gid"): number =>
      id === undefined ? AS_IT_IS : id === user[kind] ? session.user[kind] : id;
    const packet = (change: Change): Buffer => (by ? ask.fsetstat(by.remote, change) : ask.setstat(pathOf(node), change));
    const packets: Buffer[] = [];
    if (uid !== undefined || gid !== undefined) packets.push(packet({ uid: theirs(uid, "uid"), gid: theirs(gid, "gid") }));
    if (mode !== undefined) packets.push(packet({ mode: mode & MODE_BITS }));
    if (size !== undefined) packets.push(packet({ size }));
    if (atime !== undefined || mtime !== undefined)
      packets.push(ask.utimes(by ? { handle: by.remote } : { path: pathOf(node) }, atime, mtime));
    const [, after] = await both(
      session,
      () => Promise.all(packets.map((each) => session.ask(each, reply.done))),
      () => attributesOf(session, node, by),
    );
    return after;
  };

  const open = async (unique: number, node: Node, flags: number): Promise<Buffer> => {
    const session = await current();
    const path = pathOf(node);
    const [remote, found] = await both(
      session,
      () => session.ask(ask.open(path, openFlags(flags)), reply.handle),
      () => session.ask(ask.lstat(path), reply.attributes).catch(() => undefined),
    );
    const how = (found && isSame(node, found) ? KEEP_CACHE : 0) | (isReadOnly(flags) ? NO_FLUSH : 0);
    return openReply(unique, files.add(node, session, remote), how);
  };

  const create = async ({ unique, node, name, flags, mode }: Of<"create">): Promise<Buffer> => {
    const session = await current();
    const parent = nodeOf(node);
    const path = pathOf(parent, name);
    const [remote, attributes] = await both(
      session,
      () => session.ask(ask.open(path, openFlags(flags) | FLAGS.CREATE, mode & MODE_BITS), reply.handle),
      () => session.ask(ask.lstat(path), reply.attributes),
    );
    const entry = look(parent, name, shown(attributes, session));
    return createReply(unique, entry, cacheSeconds, files.add(nodeOf(entry.node), session, remote));
  };

  /** What programs open is made by CREATE; this is a plain file by mknod(2). SFTP has no other kind. */
  const mknod = async (unique: number, parent: Node, name: string, mode: number): Promise<Buffer> => {
    if ((mode & KIND) !== REGULAR) throw new FileError("EPERM");
    const session = await current();
    const path = pathOf(parent, name);
    const flags = FLAGS.WRITE | FLAGS.CREATE | FLAGS.EXCLUSIVE;
    const [remote, attributes] = await both(
      session,
      () => session.ask(ask.open(path, flags, mode & MODE_BITS), reply.handle),
      () => session.ask(ask.lstat(path), reply.attributes),
    );
    session.ask(ask.close(remote), () => {}).catch(() => {});
    return entryReply(unique, look(parent, name, shown(attributes, session)), cacheSeconds);
  };

  const rename = async (message: Of<"rename">, tell: Asker["tell"]): Promise<void> => {
    const { node, name, newParent, newName, flags } = message;
    if (flags & ~RENAME_NOREPLACE) throw new FileError("EINVAL");
    const session = await current();
    const [from, to] = [nodeOf(node), nodeOf(newParent)];
    const packet = flags & RENAME_NOREPLACE ? ask.rename : ask.posixRename;
    const replaced = nodes.child(to, newName);
    const done = session.ask(packet(pathOf(from, name), pathOf(to, newName)), reply.done).then(
      () => {
        nodes.move(from, name, to, newName);
        if (replaced) changed(replaced, tell);
      },
      (error: FileError) => {
        // The one failure that the server has no word of the system's for.
        throw flags & RENAME_NOREPLACE && error.code === "EIO" ? new FileError("EEXIST") : error;
      },
    );
    if (nodes.child(from, name)?.kind !== DIRECTORY) return done;
    const over = done
      .catch(() => {})
      .finally(() => {
        if (moving === over) moving = undefined;
      });
    moving = over;
    return done;
  };

  const write = async ({ unique, handle, offset, data }: Of<"write">, keep: Asker["keep"]): Promise<Buffer> => {
    const file = files.get(handle);
    const { length } = data;
    file.node.settled = undefined;
    if (length <= COPIED) await file.write(offset, Buffer.from(data), () => {});
    else await file.write(offset, data, keep());
    return writtenReply(unique, length);
  };

  const names = async (message: Of<"readdir" | "readdirplus">): Promise<Buffer> => {
    const { unique, handle, offset, size, type } = message;
    const directory: Directory = directories.get(handle);
    const { found, session } = await directory.names();
    const { node } = directory;
    const dots = 2;
    const entry = (index: number): Entry | undefined =>
      index < dots ? undefined : look(node, found[index - dots]!.name, shown(found[index - dots]!.attributes, session));
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
      { from: offset, size, cacheSeconds },
    );
  };

  /** What failed may have been done all the same. */
  const unsure = (message: Request): void => {
    for (const id of [message.node, message.type === "rename" ? message.newParent : 0]) {
      const directory = nodes.get(id);
      if (directory) directory.knownUntil = undefined;
    }
  };

  const answer = async (message: Request, { respond, tell, keep }: Asker): Promise<Buffer | undefined> => {
    const { unique, node: id } = message;
    switch (message.type) {
      case "init":
        if (message.minor < OLDEST_MINOR) return errorReply(unique, "EPROTO");
        return initReply(unique, message);
      case "lookup": {
        const parent = nodeOf(id);
        // What fills a directory asks for each name before it makes it.
        const absentMs = nodes.absent(parent, message.name);
        if (absentMs > 0) return entryReply(unique, undefined, absentMs / 1000);
        const session = await current();
        const path = pathOf(parent, message.name);
        try {
          const attributes = await session.ask(ask.lstat(path), reply.attributes);
          return entryReply(unique, look(parent, message.name, shown(attributes, session)), cacheSeconds);
        } catch (error) {
          if (codeOf(error) !== "ENOENT") throw error;
          return entryReply(unique, undefined, cacheSeconds);
        }
      }
      case "forget":
        for (const { node, lookups } of message.forgotten) forget(node, lookups);
        return undefined;
      case "getattr": {
        const node = nodeOf(id);
        const file = message.handle === undefined ? undefined : files.get(message.handle);
        return attributesReply(unique, told(node, await attributesOf(await current(), node, file)), cacheSeconds);
      }
      case "setattr": {
        const node = nodeOf(id);
        const after = told(node, await setattr(node, message.changes, message.handle));
        changed(node, tell);
        return attributesReply(unique, after, cacheSeconds);
      }
      case "readlink": {
        const session = await current();
        return textReply(unique, await session.ask(ask.readlink(pathOf(nodeOf(id))), reply.target));
      }
      case "symlink": {
        const made = await makeEntry(nodeOf(id), message.name, (path) => ask.symlink(message.target, path));
        return entryReply(unique, made, cacheSeconds);
      }
      case "mkdir": {
        const knownUntil = performance.now() + cacheSeconds * 1000;
        const made = await makeEntry(nodeOf(id), message.name, (path) => ask.mkdir(path, message.mode & MODE_BITS));
        nodeOf(made.node).knownUntil = knownUntil;
        return entryReply(unique, made, cacheSeconds);
      }
      case "mknod":
        return mknod(unique, nodeOf(id), message.name, message.mode);
      case "link": {
        const existing = nodeOf(message.existing);
        const from = pathOf(existing);
        const made = await makeEntry(nodeOf(id), message.name, (path) => ask.hardlink(from, path));
        told(existing, made.attributes);
        changed(nodeOf(made.node), tell);
        return entryReply(unique, made, cacheSeconds);
      }
      case "unlink":
      case "rmdir": {
        const session = await current();
        const parent = nodeOf(id);
        const packet = message.type === "unlink" ? ask.remove : ask.rmdir;
        await session.ask(packet(pathOf(parent, message.name)), reply.done);
        const removed = nodes.child(parent, message.name);
        nodes.remove(parent, message.name);
        if (removed) changed(removed, tell);
        return doneReply(unique);
      }
      case "rename":
        await rename(message, tell);
        return doneReply(unique);
      case "open":
        return open(unique, nodeOf(id), message.flags);
      case "create":
        return create(message);
      case "read":
        await reads.serve(files.get(message.handle), message, respond);
        return undefined;
      case "write":
        return write(message, keep);
      case "flush":
        await files.get(message.handle).settle();
        return doneReply(unique);
      case "fsync": {
        const file = files.get(message.handle);
        const synced = file.session.ask(ask.fsync(file.remote), reply.done);
        synced.catch(() => {});
        await file.settle();
        await synced;
        return doneReply(unique);
      }
      case "release":
        files.remove(message.handle);
        return doneReply(unique);
      case "statfs": {
        const session = await current();
        return statfsReply(unique, await session.ask(ask.statvfs(remotePath), reply.statvfs));
      }
      case "opendir": {
        const session = await current();
        const node = nodeOf(id);
        return openReply(unique, await directories.open(node, pathOf(node), session));
      }
      case "readdir":
      case "readdirplus":
        return names(message);
      case "releasedir":
        directories.remove(message.handle);
        return doneReply(unique);
      case "interrupt":
        interruptible.get(message.of)?.();
        return undefined;
      default:
        return errorReply(unique, "ENOSYS");
    }
  };

  return {
    async serve(message, { respond, tell, keep }) {
      const { unique, type } = message;
      let answered = false;
      const once = (bytes: Buffer): void => {
        if (answered) return;
        answered = true;
        respond(bytes);
      };
      // Nothing is changed by these: that their answer comes later doesn't matter.
      const harmless = type === "read" || type === "getattr" || type === "readlink" || type === "statfs" || type === "readdir";
      if (harmless) interruptible.set(unique, () => once(errorReply(unique, "EINTR")));
      try {
        if (moving && type !== "interrupt" && type !== "write") await moving;
        const bytes = await answer(message, { respond: once, tell, keep });
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
