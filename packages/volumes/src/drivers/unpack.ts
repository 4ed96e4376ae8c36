import {
  chmodSync,
  closeSync,
  fchmodSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  write,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { hasCode } from "@shipside/core";
import { volumesError } from "../errors.ts";
import type { TarEntry, TarSink } from "./tar-reader.ts";

const writeByThread = promisify(write);

export interface Unpacked {
  files: number;
  bytes: number;
  /** Names that were left out: devices, pipes, sockets, and links that lead out of the directory. */
  skipped: string[];
}

/** What is closed before {@link Unpacking.finish} has left only what is there so far. */
export interface Unpacking extends TarSink, AsyncDisposable {
  /** While large files wait to be written: no more should come until it resolves. Rejects with what the file system says. */
  readonly busy: Promise<void> | undefined;
  /** Rejects with what the file system says. */
  finish(): Promise<Unpacked>;
}

/** From this length on, in bytes, a thread writes it: what is smaller takes a tenth of that, done here and now. */
const LARGE = 256 * 1024;
/** A thread gets so much at a time, in bytes. */
const PIECE = 1024 * 1024;
/** So many pieces may wait for their thread. */
const MOST_WAITING = 8;

interface FileFacts {
  mode: number;
  /** Seconds since 1970; NaN where it isn't known. */
  mtime: number;
}

/** Does it after what was given before, also where that failed. */
type ByThread = (work: () => Promise<unknown>) => void;

interface OpenFile {
  write(bytes: Buffer): void;
  end(): void;
  /** Without what was to come. */
  abandon(): void;
}

/**
 * Unpacks into an empty directory that nobody else writes to. Files lose their write bits; owners, set-id bits and directories' times
 * aren't taken over. Symbolic links come last, so that no entry is ever written through one. What is given to it throws
 * `VOLUMES_PATH_UNSAFE` for a name that leads out, and what the file system says.
 */
export function unpackInto(directory: string): Unpacking {
  const result: Unpacked = { files: 0, bytes: 0, skipped: [] };
  const links: Array<{ name: string; target: string }> = [];
  const written = new Set<string>();
  const made = new Set<string>();
  /** Used again: what is made anew for each lets the collector go through the whole heap every now and then. */
  const pieces: Buffer[] = [];
  let file: OpenFile | undefined;
  /** What threads do, one after the other; never rejects. */
  let threads = Promise.resolve();
  let waiting = 0;
  let failure: unknown;

  const byThread: ByThread = (work) => {
    waiting++;
    const done = (): void => void waiting--;
    const failed = (error: unknown): void => {
      failure ??= error;
      done();
    };
    threads = threads.then(work).then(done, failed);
  };
  const settled = async (): Promise<void> => {
    await threads;
    if (failure !== undefined) throw failure;
  };
  const makeParent = (path: string): void => {
    const parent = dirname(path);
    if (made.has(parent)) return;
    mkdirSync(parent, { recursive: true });
    made.add(parent);
  };

  return {
    get busy() {
      return waiting > MOST_WAITING ? settled() : undefined;
    },
    entry({ name: raw, type, mode, mtime, target, size }: TarEntry) {
      const name = inside(raw);
      const path = join(directory, name);
      if (name === "") return;
      if (type === "directory") {
        mkdirSync(path, { recursive: true });
        // Its owner must be able to remove it.
        chmodSync(path, mode | 0o700);
      } else if (type === "file") {
        makeParent(path);
        const fd = openSync(path, "wx", 0o600);
        const as = { mode: (mode & ~0o222) | 0o400, mtime };
        file = size < LARGE ? smallFile(fd, as) : largeFile(fd, as, pieces, byThread);
        written.add(name);
        result.files++;
        result.bytes += size;
      } else if (type === "hardlink" && written.has(inside(target))) {
        makeParent(path);
        linkSync(join(directory, inside(target)), path);
        written.add(name);
        result.files++;
      } else if (type === "symlink" && staysInside(name, target)) {
        makeParent(path);
        links.push({ name, target });
      } else result.skipped.push(name);
    },
    data: (bytes) => file?.write(bytes),
    end() {
      file?.end();
      file = undefined;
    },
    async finish() {
      await settled();
      for (const { name, target } of links) {
        try {
          symlinkSync(target, join(directory, name));
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
      await threads;
    },
  };
}

function smallFile(fd: number, as: FileFacts): OpenFile {
  return {
    write(bytes) {
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    },
    end() {
      try {
        setFacts(fd, as);
      } finally {
        closeSync(fd);
      }
    },
    abandon: () => closeSync(fd),
  };
}

function largeFile(fd: number, as: FileFacts, pieces: Buffer[], byThread: ByThread): OpenFile {
  let piece: Buffer | undefined;
  let held = 0;
  const flush = (): void => {
    if (!piece) return;
    const [whole, length] = [piece, held];
    piece = undefined;
    held = 0;
    byThread(async () => {
      for (let done = 0; done < length; ) done += (await writeByThread(fd, whole, done, length - done)).bytesWritten;
      pieces.push(whole);
    });
  };
  return {
    write(bytes) {
      for (let at = 0; at < bytes.length; ) {
        piece ??= pieces.pop() ?? Buffer.allocUnsafeSlow(PIECE);
        const copied = bytes.copy(piece, held, at);
        at += copied;
        held += copied;
        if (held === PIECE) flush();
      }
    },
    end() {
      flush();
      byThread(async () => {
        try {
          setFacts(fd, as);
        } finally {
          closeSync(fd);
        }
      });
    },
    abandon: () => byThread(async () => closeSync(fd)),
  };
}

function setFacts(fd: number, { mode, mtime }: FileFacts): void {
  fchmodSync(fd, mode);
  if (Number.isFinite(mtime)) futimesSync(fd, mtime, mtime);
}

/** Without `.` and slashes at the ends; "" is the directory itself. */
function inside(name: string): string {
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
