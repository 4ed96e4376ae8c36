import type { Asked, Entries } from "./entries.ts";
import type { Files } from "./files.ts";
import type { Listings } from "./listings.ts";
import type { Moves } from "./moves.ts";
import type { Node } from "./nodes.ts";
import { needsPlace, openFlags } from "./open-flags.ts";
import { DIRECTORY, KIND, MODE_BITS, REGULAR, RENAME_NOREPLACE } from "./protocol.ts";
import { type Attributes, absentReply, createReply, doneReply, type Entry, entryReply } from "./replies.ts";
import type { Of } from "./requests.ts";
import { request as ask, FileError, FLAGS, reply } from "./sftp-packets.ts";
import { both, type SftpSession } from "./sftp-session.ts";

/** What finds, makes and takes away names in directories. All reject with a `FileError`. */
export interface NameOperations {
  lookup(message: OfName): Promise<Buffer>;
  create(message: Of<"create">): Promise<Buffer>;
  mknod(message: Of<"mknod" | "mkdir">): Promise<Buffer>;
  mkdir(message: Of<"mknod" | "mkdir">): Promise<Buffer>;
  symlink(message: Of<"symlink">): Promise<Buffer>;
  link(message: Of<"link">): Promise<Buffer>;
  remove(message: OfName): Promise<Buffer>;
  rename(message: Of<"rename">): Promise<Buffer>;
}

type OfName = Of<"lookup" | "unlink" | "rmdir">;

export interface NameOperationsOptions {
  entries: Entries;
  files: Files;
  listings: Listings;
  moves: Moves;
}

export function createNameOperations({ entries, files, listings, moves }: NameOperationsOptions): NameOperations {
  const { nodes, nodeOf, pathOf, shown, look } = entries;

  /** Whoever makes many files one after the other often asks for their directory before each. */
  const refresh = async (session: SftpSession, parent: Node, asked: Asked): Promise<void> => {
    try {
      const attributes = await session.ask(entries.question(parent), reply.attributes);
      entries.told(parent, shown(attributes, session), asked);
      // Or the next one brings what this one couldn't.
      parent.isWanted = entries.isChanged(parent, asked);
    } catch {
      // It is asked for when it is needed.
    }
  };

  /**
   * Asks for something of this name to be made, and for what it is then. `close`: what is open by that, where nobody will have it. `of`: whose path that takes, too.
   */
  const make = <T>(
    parent: Node,
    name: string,
    packet: (path: string) => Buffer,
    read: (frame: Buffer) => T,
    { close, of }: { close?: (made: T) => Buffer; of?: Node } = {},
  ): Promise<{ made: T; entry: Entry; session: SftpSession }> =>
    moves.between(async (session) => {
      const path = pathOf(parent, name);
      // What has this name may be emptied.
      entries.change(parent, nodes.child(parent, name));
      const asked = entries.ask();
      const [made, attributes] = await session.together(() => {
        const making = session.ask(packet(path), read);
        const done = both(
          session,
          () => making,
          () => session.ask(ask.lstat(path), reply.attributes),
        );
        done.catch(async () => close && session.later(close(await making))).catch(() => {});
        if (parent.isWanted) void refresh(session, parent, asked);
        return done;
      });
      entries.filled(parent, asked);
      const entry = look(parent, name, shown(attributes, session), asked);
      // What was asked before is of what had this name then.
      nodeOf(entry.node).changed ??= asked.changes;
      return { made, entry, session };
    }, of);

  const renamed = async (session: SftpSession, packet: Buffer, path: string): Promise<Attributes | undefined> => {
    const [, attributes] = await both(
      session,
      () => session.ask(packet, reply.done),
      () => session.ask(ask.lstat(path), reply.attributes).catch(() => undefined),
    );
    return attributes;
  };

  return {
    async lookup({ unique, node, name }) {
      const parent = nodeOf(node);
      // Whoever makes something asks for its name before, and again when it is made.
      const absentMs = nodes.absent(parent, name);
      if (absentMs > 0) return absentReply(unique, absentMs / 1000);
      const found = entries.find(parent, name);
      if (found) return entryReply(unique, found);
      const listed = await listings.find(parent, name);
      if (listed) return entryReply(unique, look(parent, name, shown(listed.attributes, listed.session), listed.asked));
      return moves.between(async (session) => {
        const asked = entries.ask();
        const packet = ask.lstat(pathOf(parent, name));
        try {
          const attributes = await listings.lookUp(parent, name, session, () => session.ask(packet, reply.attributes));
          return entryReply(unique, look(parent, name, shown(attributes, session), asked));
        } catch (error) {
          if (!(error instanceof FileError) || error.code !== "ENOENT") throw error;
          nodes.miss(parent, name, asked.until);
          return absentReply(unique, Math.max(0, asked.until - performance.now()) / 1000);
        }
      });
    },
    async create({ unique, node, name, flags, mode }) {
      const packet = (path: string): Buffer => ask.open(path, openFlags(flags) | FLAGS.CREATE, mode & MODE_BITS);
      const { made, entry, session } = await make(nodeOf(node), name, packet, reply.handle, { close: ask.close });
      const file = nodeOf(entry.node);
      const openInPlace = (): Promise<string> => session.ask(ask.open(pathOf(file), FLAGS.WRITE), reply.handle);
      const inPlace = needsPlace(flags) ? moves.between(openInPlace) : undefined;
      return createReply(unique, entry, files.add(file, session, made, { inPlace }));
    },
    /** What programs open is made by CREATE; this is a plain file by mknod(2). SFTP has no other kind. */
    async mknod({ unique, node, name, mode }) {
      if ((mode & KIND) !== REGULAR) throw new FileError("EPERM");
      const flags = FLAGS.WRITE | FLAGS.CREATE | FLAGS.EXCLUSIVE;
      const packet = (path: string): Buffer => ask.open(path, flags, mode & MODE_BITS);
      const { made, entry, session } = await make(nodeOf(node), name, packet, reply.handle, { close: ask.close });
      session.later(ask.close(made));
      return entryReply(unique, entry);
    },
    async mkdir({ unique, node, name, mode }) {
      const { until } = entries.ask();
      const { entry } = await make(nodeOf(node), name, (path) => ask.mkdir(path, mode & MODE_BITS), reply.done);
      nodeOf(entry.node).knownUntil = until;
      return entryReply(unique, entry);
    },
    async symlink({ unique, node, name, target }) {
      const { entry } = await make(nodeOf(node), name, (path) => ask.symlink(target, path), reply.done);
      return entryReply(unique, entry);
    },
    async link({ unique, node, existing: id, name }) {
      const existing = nodeOf(id);
      let asked = entries.ask();
      const packet = (path: string): Buffer => {
        entries.change(existing);
        asked = entries.ask();
        return ask.hardlink(pathOf(existing), path);
      };
      const { entry } = await make(nodeOf(node), name, packet, reply.done, { of: existing });
      entries.told(existing, entry.attributes, asked);
      entries.changed(nodeOf(entry.node));
      return entryReply(unique, entry);
    },
    remove: ({ unique, node, name, type }) =>
      moves.between(async (session) => {
        const parent = nodeOf(node);
        const packet = type === "unlink" ? ask.remove : ask.rmdir;
        entries.change(parent, nodes.child(parent, name));
        const { until } = entries.ask();
        await session.ask(packet(pathOf(parent, name)), reply.done);
        const removed = nodes.child(parent, name);
        nodes.remove(parent, name);
        nodes.miss(parent, name, until);
        if (removed) entries.changed(removed);
        return doneReply(unique);
      }),
    async rename({ unique, node, name, newParent, newName, flags }) {
      if (flags & ~RENAME_NOREPLACE) throw new FileError("EINVAL");
      return moves.between((session) => {
        const [from, to] = [nodeOf(node), nodeOf(newParent)];
        const packet = flags & RENAME_NOREPLACE ? ask.rename : ask.posixRename;
        const [moved, replaced] = [nodes.child(from, name), nodes.child(to, newName)];
        entries.change(from, to, moved, replaced);
        const asked = entries.ask();
        const path = pathOf(to, newName);
        const work = async (): Promise<Buffer> => {
          const attributes = await renamed(session, packet(pathOf(from, name), path), path).catch((error: FileError) => {
            // The one failure that the server has no word of the system's for.
            throw flags & RENAME_NOREPLACE && error.code === "EIO" ? new FileError("EEXIST") : error;
          });
          nodes.move(from, name, to, newName);
          // Of two links to the same file rename(2) takes none away.
          if (attributes?.exact?.links === 1 || (attributes && (attributes.mode & KIND) === DIRECTORY))
            nodes.miss(from, name, asked.until);
          else nodes.doubt(from);
          if (replaced) entries.changed(replaced);
          if (moved && attributes && !entries.isReplaced(moved, attributes)) entries.told(moved, shown(attributes, session), asked);
          return doneReply(unique);
        };
        const done = work();
        if (moved) moves.begin(moved, done);
        return done;
      });
    },
  };
}
