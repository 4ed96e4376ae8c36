import { chmodSync, linkSync, mkdirSync, symlinkSync } from "node:fs";
import { hasCode } from "@shipside/core";
import { volumesError } from "../errors.ts";
import type { TarEntry, TarSink } from "./tar-reader.ts";
import { type FileToBe, writeFiles } from "./write-files.ts";

export interface Unpacked {
  files: number;
  bytes: number;
  /** Names that were left out: devices, pipes, sockets, and links that lead out of the directory. */
  skipped: string[];
}

/** What is closed before {@link Unpacking.finish} has left only what is there so far. */
export interface Unpacking extends TarSink, AsyncDisposable {
  /** What has come; it changes. */
  readonly soFar: Readonly<Unpacked>;
  /** While too much waits to be written: no more should come until it resolves. Rejects with what the file system says. */
  readonly busy: Promise<void> | undefined;
  /** Rejects with what the file system says. */
  finish(): Promise<Unpacked>;
}

/**
 * Unpacks into an empty directory that nobody else writes to. Files lose their write bits; owners, set-id bits and directories' times
 * aren't taken over. Links come last, and the symbolic ones after all others, so that no entry is ever written through one. What is given
 * to it throws `VOLUMES_PATH_UNSAFE` for a name that leads out, and what the file system says.
 */
export function unpackInto(directory: string): Unpacking {
  const result: Unpacked = { files: 0, bytes: 0, skipped: [] };
  const hardLinks: Array<[existing: string, path: string]> = [];
  const links: Array<{ name: string; target: string }> = [];
  const written = new Set<string>();
  const made = new Set<string>();
  const files = writeFiles();
  const pathOf = (name: string): string => (name === "" ? directory : `${directory}/${name}`);
  let file: FileToBe | undefined;

  const makeDirectory = (name: string): void => {
    if (made.has(name)) return;
    mkdirSync(pathOf(name), { recursive: true });
    made.add(name);
  };

  return {
    soFar: result,
    get busy() {
      return files.busy;
    },
    entry({ name: raw, type, mode, mtime, target, size }: TarEntry) {
      const name = inside(raw);
      if (name === "") return;
      const path = pathOf(name);
      if (type === "directory") {
        makeDirectory(name);
        // Its owner must be able to remove it.
        chmodSync(path, mode | 0o700);
      } else if (type === "file") {
        makeDirectory(parentOf(name));
        file = files.begin(path, size, { mode: (mode & ~0o222) | 0o400, mtime });
        written.add(name);
        result.files++;
      } else if (type === "hardlink" && written.has(inside(target))) {
        makeDirectory(parentOf(name));
        hardLinks.push([pathOf(inside(target)), path]);
        written.add(name);
        result.files++;
      } else if (type === "symlink" && staysInside(name, target)) {
        makeDirectory(parentOf(name));
        links.push({ name, target });
      } else result.skipped.push(name);
    },
    data(bytes) {
      if (!file) return;
      file.write(bytes);
      result.bytes += bytes.length;
    },
    end() {
      file?.end();
      file = undefined;
    },
    async finish() {
      await files.settled();
      for (const [existing, path] of hardLinks) linkSync(existing, path);
      for (const { name, target } of links) {
        try {
          symlinkSync(target, pathOf(name));
        } catch (error) {
          if (!hasCode(error, "EEXIST")) throw error;
          result.skipped.push(name);
        }
      }
      return result;
    },
    async [Symbol.asyncDispose]() {
      file?.abandon();
      file = undefined;
      await files[Symbol.asyncDispose]();
    },
  };
}

/** Of what {@link inside} has made of a name. */
const parentOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf("/")));

/** A part that is empty, `.` or `..`; or a NUL. */
const ODD = /(?:^|\/)\.{0,2}(?:\/|$)|\0/;

/** Without `.` and slashes at the ends; "" is the directory itself. */
function inside(name: string): string {
  // As `tar` names most.
  const plain = name.slice(name.startsWith("./") ? 2 : 0, name.endsWith("/") ? -1 : undefined);
  if (!ODD.test(plain)) return plain;
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || name.includes("\0")) {
    throw volumesError(
      "VOLUMES_PATH_UNSAFE",
      `the archive has an entry ${JSON.stringify(name)}, which would lead out of its directory`,
    );
  }
  return parts.join("/");
}

/**
 * Only as many `..` as the link is deep, and none after a name: that name may be a link itself, and its `..` another place than it
 * seems. A link whose parents are real directories and which keeps to this can't lead out, whatever other such links it goes through.
 */
function staysInside(name: string, target: string): boolean {
  if (target === "" || target.startsWith("/") || /[\0\\]/.test(target)) return false;
  const parts = target.split("/").filter((part) => part !== "" && part !== ".");
  const ups = parts.findIndex((part) => part !== "..");
  const leading = ups === -1 ? parts.length : ups;
  return leading < name.split("/").length && !parts.slice(leading).includes("..");
}
