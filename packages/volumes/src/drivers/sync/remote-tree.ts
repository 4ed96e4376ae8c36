import type { Duplex } from "node:stream";
import { hasCode } from "@shipside/core";
import { FLAGS, reply, request, type Told, writeHead } from "../fuse/sftp-packets.ts";
import { openSftpSession, type SftpSession } from "../fuse/sftp-session.ts";
import { partialOf } from "./aside.ts";
import {
  AWAY,
  changedAt,
  expectedOf,
  type FileItem,
  type Item,
  PARTIAL,
  plainItem,
  type Scan,
  stampedItem,
  type Tree,
  type WriteOptions,
} from "./tree.ts";

const CHUNK = 128 * 1024;
/** Folders that are listed at a time: a server has only so many open. */
const FOLDERS = 64;
/** How many reads, or writes, are under way at a time. */
const AHEAD = 8;
const TYPE = 0o170000;
const [DIRECTORY, LINK, FILE] = [0o040000, 0o120000, 0o100000];

/** A session as {@link remoteTree} needs it: with what tells files apart by more than whole seconds, where the server has that. */
export async function openRemote(stream: Duplex): Promise<SftpSession> {
  const session = await openSftpSession(stream);
  await session.ask(request.stamps(), reply.done).catch((error: unknown) => {
    if (!hasCode(error, "EOPNOTSUPP")) throw error;
  });
  return session;
}

/** A folder that a relay's file server has. `session` gives the one that stands. */
export function remoteTree(root: string, { session, ignored }: { session(): SftpSession; ignored(path: string): boolean }): Tree {
  const base = Buffer.from(root).toString("latin1");
  const at = (path: string): string => (path === "" ? base : `${base}/${path}`);
  /** What fails because the session is over says nothing about the file. */
  const sure = <T>(answer: Promise<T>): Promise<T> =>
    answer.catch((error: unknown) => {
      throw session().ended ? Object.assign(new Error("the way to the volume is gone", { cause: error }), { code: AWAY }) : error;
    });
  const ask: SftpSession["ask"] = (packet, read) => sure(session().ask(packet, read));

  const itemOf = async (path: string, attributes: Told): Promise<Item> => {
    switch (attributes.mode & TYPE) {
      case DIRECTORY:
        return { type: "directory" };
      case FILE:
        return fileItem(attributes);
      case LINK:
        // One that leads out isn't told.
        return await ask(request.readlink(at(path)), reply.target).then(
          (target) => ({ type: "link", target, stamp: attributes.stamp ?? "" }),
          (error: unknown) => {
            if (hasCode(error, AWAY)) throw error;
            return { type: "other" };
          },
        );
      default:
        return { type: "other" };
    }
  };
  const look = async (path: string): Promise<Item | undefined> => {
    try {
      return await itemOf(path, await ask(request.lstat(at(path)), reply.attributes));
    } catch (error) {
      if (hasCode(error, "ENOENT", "ENOTDIR")) return undefined;
      throw error;
    }
  };
  const isStill = async (path: string, item: Item | undefined): Promise<boolean> =>
    JSON.stringify(await look(path)) === JSON.stringify(item);
  /**
   * What is then at `path` and `keep`, by the server's names; undefined where it isn't what was expected. A server that can't do it in one turn is
   * asked for one after the other, and keeps nothing.
   */
  const replace = async (
    from: string | undefined,
    path: string,
    { expected, keep }: { expected: Item | undefined; keep: string },
  ): Promise<Map<string, Told> | undefined> => {
    const source = from === undefined ? "" : at(from);
    try {
      const names = await ask(request.replace(source, at(path), at(keep), expectedOf(expected)), reply.names);
      return new Map(names.map(({ name, attributes }) => [name, attributes]));
    } catch (error) {
      if (hasCode(error, "ESTALE")) return undefined;
      if (!hasCode(error, "EOPNOTSUPP")) throw error;
    }
    if (!(await isStill(path, expected))) return undefined;
    await ask(from === undefined ? request.remove(at(path)) : request.posixRename(source, at(path)), reply.done);
    return new Map();
  };
  const withFile = async <T>(path: string, flags: number, use: (handle: string) => Promise<T>, mode?: number): Promise<T> => {
    const handle = await ask(request.open(at(path), flags, mode), reply.handle);
    try {
      return await use(handle);
    } finally {
      await ask(request.close(handle), reply.done).catch(() => {});
    }
  };

  return {
    async scan() {
      const items = new Map<string, Item>();
      const missed: string[] = [];
      const aside: Array<{ path: string; since: number }> = [];
      const list = async (folder: string): Promise<string[]> => {
        const names: Array<{ name: string; attributes: Told }> = [];
        try {
          const handle = await ask(request.opendir(at(folder)), reply.handle);
          for (let page = await ask(request.readdir(handle), reply.names); page.length > 0; ) {
            names.push(...page);
            page = await ask(request.readdir(handle), reply.names);
          }
          await ask(request.close(handle), reply.done);
        } catch (error) {
          if (folder === "" || hasCode(error, AWAY)) throw error;
          missed.push(folder);
        }
        const folders: string[] = [];
        for (const { name, attributes } of names) {
          const path = folder === "" ? name : `${folder}/${name}`;
          if (name === "." || name === ".." || ignored(path)) continue;
          if (name.startsWith(PARTIAL)) {
            aside.push({ path, since: attributes.stamp === undefined ? attributes.mtime : changedAt(attributes.stamp) });
            continue;
          }
          const item = await itemOf(path, attributes);
          items.set(path, item);
          if (item.type === "directory") folders.push(path);
        }
        return folders;
      };
      for (let folders = [""]; folders.length > 0; ) {
        const inside = await Promise.all(folders.splice(0, FOLDERS).map(list));
        folders.push(...inside.flat());
      }
      return { items, missed, aside } satisfies Scan;
    },
    look,
    async read(path, into) {
      return await withFile(path, FLAGS.READ, async (handle) => {
        const before = await ask(request.fstat(handle), reply.attributes);
        if ((before.mode & TYPE) !== FILE) return undefined;
        const under: Array<Promise<Buffer>> = [];
        const readAt = async (offset: number): Promise<Buffer> => {
          const room = Buffer.allocUnsafe(CHUNK);
          return room.subarray(0, await sure(session().readInto(request.read(handle, offset, CHUNK), room)));
        };
        let [asked, done] = [0, 0];
        while (done < before.size) {
          while (under.length < AHEAD && asked < before.size) {
            const next = readAt(asked);
            next.catch(() => {});
            under.push(next);
            asked += CHUNK;
          }
          const chunk = await under.shift()!;
          // It has become shorter meanwhile, or came in a shorter piece than was asked for.
          if (chunk.length < Math.min(CHUNK, before.size - done)) return undefined;
          await into(chunk.length > before.size - done ? chunk.subarray(0, before.size - done) : chunk);
          done += chunk.length;
        }
        const item = fileItem(before);
        return (await isStill(path, item)) ? item : undefined;
      });
    },
    async write(path, { mode, instead, keep, fill }: WriteOptions) {
      const aside = partialOf(path);
      let moved = false;
      try {
        const made = await withFile(
          aside,
          FLAGS.WRITE | FLAGS.CREATE | FLAGS.TRUNCATE,
          async (handle) => {
            const under = new Set<Promise<void>>();
            let offset = 0;
            const whole = await fill(async (chunk) => {
              for (let from = 0; from < chunk.length; from += CHUNK) {
                const piece = chunk.subarray(from, from + CHUNK);
                const sent = sure(session().write(writeHead(handle, offset, piece.length), piece, () => {}));
                offset += piece.length;
                under.add(sent);
                sent.then(
                  () => under.delete(sent),
                  () => {},
                );
                if (under.size >= AHEAD) await Promise.race(under);
              }
            });
            await Promise.all(under);
            if (!whole) return undefined;
            await ask(request.fsetstat(handle, { mode: mode & 0o777 }), reply.done);
            await ask(request.fsync(handle), reply.done);
            return await ask(request.fstat(handle), reply.attributes);
          },
          0o600,
        );
        const after = made && (await replace(aside, path, { expected: instead, keep }));
        if (!after) return undefined;
        moved = true;
        const kept = after.get(at(keep));
        return { item: fileItem(after.get(at(path)) ?? made), ...(kept && { kept: fileItem(kept) }) };
      } finally {
        if (!moved) await ask(request.remove(at(aside)), reply.done).catch(() => {});
      }
    },
    async makeDirectory(path) {
      await ask(request.mkdir(at(path), 0o777), reply.done).catch(async (error: unknown) => {
        if ((await look(path))?.type !== "directory") throw error;
      });
    },
    makeLink: (path, target) => ask(request.symlink(target, at(path)), reply.done),
    chmod: (path, mode) => ask(request.setstat(at(path), { mode: mode & 0o777 }), reply.done),
    rename: (from, to) => ask(request.rename(at(from), at(to)), reply.done),
    async drop(name) {
      await ask(request.remove(at(name)), reply.done).catch((error: unknown) => {
        if (!hasCode(error, "ENOENT")) throw error;
      });
    },
    async remove(path, item, keep) {
      if (item.type !== "directory") {
        const after = await replace(undefined, path, { expected: item, keep });
        if (!after) return undefined;
        const kept = after.get(at(keep));
        if (kept && item.type === "file") return { kept: fileItem(kept) };
        if (kept) await ask(request.remove(at(keep)), reply.done);
        return {};
      }
      return await ask(request.rmdir(at(path)), reply.done).then(
        () => ({}),
        (error: unknown) => {
          if (hasCode(error, "ENOTEMPTY", "EEXIST")) return undefined;
          throw error;
        },
      );
    },
  };
}

const fileItem = (told: Told): FileItem => (told.stamp === undefined ? plainItem(told) : stampedItem(told.stamp));
