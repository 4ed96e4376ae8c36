import { randomBytes } from "node:crypto";
import { type BigIntStats, constants } from "node:fs";
import * as fs from "node:fs/promises";
import { hasCode } from "@shipside/core";
import { type FileItem, type Item, PARTIAL, parentOf, type Scan, type Tree, type WriteOptions } from "./tree.ts";

const CHUNK = 256 * 1024;
/** What is written here is its user's to read and write, whatever its mode there; or nobody's to write. */
const fit = (mode: number, readOnly: boolean): number => (readOnly ? (mode | 0o400) & 0o555 : (mode | 0o600) & 0o777);

export interface LocalTree extends Tree {
  /** To a name that nothing has. */
  rename(from: string, to: string): Promise<void>;
}

export interface LocalTreeOptions {
  ignored(path: string): boolean;
  /** Files lose their write bits. */
  readOnly?: boolean;
}

/** A folder of this machine. */
export async function localTree(root: string, { ignored, readOnly = false }: LocalTreeOptions): Promise<LocalTree> {
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
    if (stats.isSymbolicLink()) return { type: "link", target: (await fs.readlink(at(path), "buffer")).toString("latin1") };
    return stats.isFile() ? fileItem(stats) : { type: "other" };
  };
  const isStill = async (path: string, item: Item | undefined): Promise<boolean> =>
    JSON.stringify(await itemAt(path)) === JSON.stringify(item);

  return {
    async scan() {
      await assertMine();
      const items = new Map<string, Item>();
      const missed: string[] = [];
      const walk = async (folder: string): Promise<void> => {
        try {
          const names = await fs.readdir(at(folder), { encoding: "buffer" });
          const paths = names
            .map((raw) => raw.toString("latin1"))
            .filter((name) => !name.startsWith(PARTIAL))
            .map((name) => (folder === "" ? name : `${folder}/${name}`));
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
      return { items, missed } satisfies Scan;
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
      const item = fileItem(before);
      return (await isStill(path, item)) ? item : undefined;
    },
    async write(path, { mode, instead, fill }: WriteOptions) {
      const aside = at(partialOf(path));
      try {
        const file = await fs.open(aside, "w", 0o600);
        try {
          if (!(await fill(async (chunk) => void (await writeAll(file, chunk))))) return undefined;
          await file.chmod(fit(mode, readOnly));
          await file.sync();
        } finally {
          await file.close();
        }
        if (!(await isStill(path, instead))) return undefined;
        await fs.rename(aside, at(path));
        // The rename is a change of the file's own, of which its stamp tells.
        const item = await itemAt(path);
        return item?.type === "file" ? item : undefined;
      } finally {
        await fs.rm(aside, { force: true });
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
      if (await itemAt(to)) throw Object.assign(new Error(`${to} is there already`), { code: "EEXIST" });
      await fs.rename(at(from), at(to));
    },
    async remove(path, item) {
      if (!(await isStill(path, item))) return false;
      if (item.type !== "directory") {
        await fs.unlink(at(path));
        return true;
      }
      return await fs.rmdir(at(path)).then(
        () => true,
        (error: unknown) => {
          if (hasCode(error, "ENOTEMPTY", "EEXIST")) return false;
          throw error;
        },
      );
    },
  };
}

async function writeAll(file: fs.FileHandle, chunk: Buffer): Promise<void> {
  for (let done = 0; done < chunk.length; ) done += (await file.write(chunk, done)).bytesWritten;
}

function fileItem({ size, mode, mtimeNs, ctimeNs, ino }: BigIntStats): FileItem {
  const stamp = `${size}:${mtimeNs}:${ctimeNs}:${ino}`;
  return { type: "file", size: Number(size), mode: Number(mode) & 0o777, mtime: Number(mtimeNs / 1_000_000_000n), stamp };
}

/** Beside the file, and nobody else's: several may copy the same one. */
export const partialOf = (path: string): string =>
  [parentOf(path), `${PARTIAL}${randomBytes(8).toString("hex")}`].filter((part) => part !== "").join("/");
