import { closeSync, constants, lstatSync, mkdirSync, openSync, renameSync, rmdirSync, unlinkSync } from "node:fs";
import * as fs from "node:fs/promises";
import { hasCode } from "@shipside/core";
import { fileStamp, type Replacement, replaceIfSame } from "@shipside/relay";
import { partialOf } from "./aside.ts";
import { expectedOf, type Item, PARTIAL, type Scan, stampedItem, type Tree, type WriteOptions } from "./tree.ts";

const CHUNK = 256 * 1024;
/** What is written here is its user's to read and write, whatever its mode there; or nobody's to write. */
const fit = (mode: number, readOnly: boolean): number => (readOnly ? (mode | 0o400) & 0o555 : (mode | 0o600) & 0o777);

export interface LocalTreeOptions {
  ignored(path: string): boolean;
  /** Files lose their write bits. */
  readOnly?: boolean;
}

/** A folder of this machine. */
export async function localTree(root: string, { ignored, readOnly = false }: LocalTreeOptions): Promise<Tree> {
  const at = (path: string): Buffer => Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, "latin1")]);
  const identity = async (): Promise<string> => {
    const { dev, ino, birthtimeNs } = await fs.lstat(root, { bigint: true });
    return `${dev}:${ino}:${birthtimeNs}`;
  };
  const mine = await identity();
  /** An empty folder in its place (a drive that was taken off) is not one from which all was deleted. */
  const assertMine = async (): Promise<void> => {
    if ((await identity()) !== mine) throw Object.assign(new Error(`${root} is not the folder it was`), { code: "ESTALE" });
  };
  const itemAt = async (path: string): Promise<Item | undefined> => {
    const stats = await fs.lstat(at(path), { bigint: true }).catch((error: unknown) => {
      if (!hasCode(error, "ENOENT", "ENOTDIR")) throw error;
    });
    if (!stats) return undefined;
    if (stats.isDirectory()) return { type: "directory" };
    const stamp = fileStamp(stats);
    if (stats.isSymbolicLink()) return { type: "link", target: (await fs.readlink(at(path), "buffer")).toString("latin1"), stamp };
    return stats.isFile() ? stampedItem(stamp) : { type: "other" };
  };
  /** False where it isn't what it was. */
  const replace = (replacement: Replacement): boolean => {
    try {
      replaceIfSame(replacement);
      return true;
    } catch (error) {
      if (hasCode(error, "ESTALE")) return false;
      throw error;
    }
  };
  const nowAt = (path: string) => stampedItem(fileStamp(lstatSync(at(path), { bigint: true })));

  return {
    async scan() {
      await assertMine();
      const items = new Map<string, Item>();
      const missed: string[] = [];
      const aside: Array<{ path: string; since: number }> = [];
      const walk = async (folder: string): Promise<void> => {
        try {
          const names = await fs.readdir(at(folder), { encoding: "buffer" });
          const within = (name: string): string => (folder === "" ? name : `${folder}/${name}`);
          const all = names.map((raw) => raw.toString("latin1"));
          for (const path of all.filter((name) => name.startsWith(PARTIAL)).map(within))
            aside.push({ path, since: ((await fs.lstat(at(path)).catch(() => undefined))?.ctimeMs ?? Date.now()) / 1000 });
          const paths = all.filter((name) => !name.startsWith(PARTIAL)).map(within);
          const found = await Promise.all(
            paths.filter((path) => !ignored(path)).map(async (path) => ({ path, item: await itemAt(path) })),
          );
          for (const { path, item } of found) {
            // Gone between the two: the next scan says so.
            if (!item) missed.push(folder);
            else items.set(path, item);
            if (item?.type === "directory") await walk(path);
          }
        } catch {
          missed.push(folder);
        }
      };
      await walk("");
      await assertMine();
      return { items, missed, aside } satisfies Scan;
    },
    look: itemAt,
    async read(path, into) {
      await using file = await fs.open(at(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      const before = await file.stat({ bigint: true });
      if (!before.isFile()) return undefined;
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK);
        if (bytesRead === 0) break;
        await into(buffer.subarray(0, bytesRead));
      }
      const [item, now] = [stampedItem(fileStamp(before)), await itemAt(path)];
      return now?.type === "file" && now.stamp === item.stamp ? item : undefined;
    },
    async write(path, { mode, instead, keep, fill }: WriteOptions) {
      const aside = at(partialOf(path));
      let moved = false;
      try {
        const file = await fs.open(aside, "w", 0o600);
        try {
          if (!(await fill(async (chunk) => void (await writeAll(file, chunk))))) return undefined;
          await file.chmod(fit(mode, readOnly));
          await file.sync();
        } finally {
          await file.close();
        }
        if (!replace({ from: aside, to: at(path), keep: at(keep), expected: expectedOf(instead) })) return undefined;
        moved = true;
        // Within the same turn. To be renamed is a change of the file's own, of which its stamp tells.
        return { item: nowAt(path), ...(instead && { kept: nowAt(keep) }) };
      } finally {
        if (!moved) await fs.rm(aside, { force: true });
      }
    },
    async makeDirectory(path) {
      await fs.mkdir(at(path)).catch(async (error: unknown) => {
        if (!hasCode(error, "EEXIST") || (await itemAt(path))?.type !== "directory") throw error;
      });
    },
    makeLink: (path, target) => fs.symlink(Buffer.from(target, "latin1"), at(path)),
    chmod: (path, mode) => fs.chmod(at(path), fit(mode, readOnly)),
    async rename(from, to) {
      const isFolder = lstatSync(at(from)).isDirectory();
      // The name is taken first, so that nothing which comes to stand there, or in the place of `from`, is replaced.
      if (isFolder) mkdirSync(at(to));
      else closeSync(openSync(at(to), "wx"));
      try {
        renameSync(at(from), at(to));
      } catch (error) {
        if (isFolder) rmdirSync(at(to));
        else unlinkSync(at(to));
        throw error;
      }
    },
    drop: (name) => fs.rm(at(name), { force: true }),
    async remove(path, item, keep) {
      if (item.type !== "directory") {
        if (!replace({ to: at(path), keep: at(keep), expected: expectedOf(item) })) return undefined;
        if (item.type === "file") return { kept: nowAt(keep) };
        await fs.unlink(at(keep));
        return {};
      }
      return await fs.rmdir(at(path)).then(
        () => ({}),
        (error: unknown) => {
          if (hasCode(error, "ENOTEMPTY", "EEXIST", "ENOTDIR")) return undefined;
          throw error;
        },
      );
    },
  };
}

async function writeAll(file: fs.FileHandle, chunk: Buffer): Promise<void> {
  for (let done = 0; done < chunk.length; ) done += (await file.write(chunk, done)).bytesWritten;
}
