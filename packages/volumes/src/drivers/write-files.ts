import { close, closeSync, fchmodSync, fstatSync, futimesSync, open, openSync, write, writeSync } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { fileMemory, PIECE, type Piece } from "./file-memory.ts";

export interface FileFacts {
  /** Permission bits. */
  mode: number;
  /** Seconds since 1970; NaN where it isn't known. */
  mtime: number;
}

/** A file that is being told. */
export interface FileToBe {
  write(bytes: Buffer): void;
  end(): void;
  /** Without what was to come. */
  abandon(): void;
}

/** Writes new files, many of them at a time. What is closed before it has settled has written only some of them. */
export interface FileWriting extends AsyncDisposable {
  /** Its directory must be there. What goes wrong is told by `busy` and `settled`, and no more files are begun then. */
  begin(path: string, size: number, facts: FileFacts): FileToBe;
  /** While too much waits to be written: no more should come until it resolves. Rejects with what the file system says. */
  readonly busy: Promise<void> | undefined;
  /** All that has ended is written. Rejects with what the file system says. */
  settled(): Promise<void>;
}

/** From this length on, in bytes, a thread writes a file, piece by piece: what is smaller is kept until it is whole. */
const LARGE = 256 * 1024;
/** So much may wait, in bytes, each file taken for a header more than it is long. */
const MOST_HELD = 8 * 1024 * 1024;
const HEADER = 512;
/** Small files that are being made. Node has four threads for them. */
const AT_A_TIME = 16;
/** A file that is made in less is made sooner than a thread could be asked to, in ms. */
const QUICK_MS = 0.1;
/** One that took longer than this, in ms, says no more: a busy machine gives the processor to others meanwhile. */
const LONG_MS = 1;

const writeByThread = promisify(write);
const closeByThread = promisify(close);

interface SmallFile {
  path: string;
  piece: Piece;
  facts: FileFacts;
}

export interface FileWritingOptions {
  /**
   * How much longer than quickly files may take to be made before threads make the others, in ms, of all together less what others were quicker;
   * default 10.
   */
  patienceMs?: number;
}

/**
 * To make a file may take the file system a hundred times as long as to write a small one, and one after the other where they are in one
 * directory. Where it does, threads make the small ones, of all the directories that wait in turn; else they are made at once, which is
 * less work.
 */
export function writeFiles({ patienceMs = 10 }: FileWritingOptions = {}): FileWriting {
  const memory = fileMemory();
  const byDirectory = new Map<string, SmallFile[]>();
  const waiters = new Map<() => void, () => boolean>();
  /** Whether a file that is made with a mode has it: what a umask takes off must be given back. */
  const asAsked = new Map<number, boolean>();
  let held = 0;
  let patience = patienceMs;
  /** Small files that are being made, and what is under way of large ones. */
  let making = 0;
  let running = 0;
  let failure: { error: unknown } | undefined;

  const look = (): void => {
    for (const [resolve, met] of waiters) if (met() && waiters.delete(resolve)) resolve();
  };
  const until = (met: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      waiters.set(resolve, met);
      look();
    });
  const untilOrFailed = async (met: () => boolean): Promise<void> => {
    await until(() => failure !== undefined || met());
    if (failure) throw failure.error;
  };
  const idle = (): boolean => making === 0 && running === 0;
  const fail = (error: unknown): void => {
    failure ??= { error };
    for (const files of byDirectory.values()) for (const file of files) release(file);
    byDirectory.clear();
  };
  const release = ({ piece }: SmallFile): void => {
    held -= piece.bytes.length + HEADER;
    piece.free();
  };
  const setFacts = (fd: number, { mode, mtime }: FileFacts): void => {
    if (!asAsked.has(mode)) asAsked.set(mode, (fstatSync(fd).mode & 0o777) === mode);
    if (!asAsked.get(mode)) fchmodSync(fd, mode);
    if (Number.isFinite(mtime)) futimesSync(fd, mtime, mtime);
  };

  const next = (): SmallFile | undefined => {
    for (const [directory, files] of byDirectory) {
      byDirectory.delete(directory);
      const file = files.shift();
      if (files.length > 0) byDirectory.set(directory, files);
      return file;
    }
    return undefined;
  };
  const makeSmallFiles = (): void => {
    while (making < AT_A_TIME) {
      const file = next();
      if (!file) return;
      make(file);
    }
  };
  const fill = (fd: number, { piece: { bytes }, facts }: SmallFile): void => {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
      setFacts(fd, facts);
    } finally {
      closeSync(fd);
    }
  };
  const makeAtOnce = (file: SmallFile): void => {
    const began = performance.now();
    try {
      const fd = openSync(file.path, "wx", file.facts.mode);
      const late = Math.min(performance.now() - began, LONG_MS) - QUICK_MS;
      patience = Math.min(patienceMs, patience - late);
      fill(fd, file);
    } catch (error) {
      fail(error);
    }
    release(file);
  };
  const make = (file: SmallFile): void => {
    making++;
    open(file.path, "wx", file.facts.mode, (error, fd) => {
      making--;
      try {
        if (error) throw error;
        fill(fd, file);
      } catch (reason) {
        fail(reason);
      }
      release(file);
      makeSmallFiles();
      look();
    });
  };

  const smallFile = (path: string, size: number, facts: FileFacts): FileToBe => {
    const piece = memory.take(size);
    held += size + HEADER;
    const file = { path, piece, facts };
    let at = 0;
    return {
      write: (bytes) => void (at += bytes.copy(piece.bytes, at)),
      end() {
        if (failure) return release(file);
        if (patience > 0) return makeAtOnce(file);
        const directory = dirname(path);
        const files = byDirectory.get(directory);
        if (files) files.push(file);
        else byDirectory.set(directory, [file]);
        makeSmallFiles();
      },
      abandon: () => release(file),
    };
  };

  const largeFile = (path: string, size: number, facts: FileFacts): FileToBe => {
    const fd = openSync(path, "wx", facts.mode);
    let left = size;
    let piece: Piece | undefined;
    let filled = 0;
    let written = Promise.resolve();
    const byThread = (work: () => Promise<unknown>, bytes = 0): void => {
      running++;
      held += bytes;
      const after = (): void => {
        running--;
        held -= bytes;
        look();
      };
      written = written
        .then(work)
        .catch(fail)
        .then(() => after());
    };
    const flush = (): void => {
      const full = piece;
      if (!full) return;
      piece = undefined;
      filled = 0;
      byThread(async () => {
        const { bytes } = full;
        for (let done = 0; done < bytes.length && !failure; ) done += (await writeByThread(fd, bytes, done)).bytesWritten;
        full.free();
      }, full.bytes.length);
    };
    return {
      write(bytes) {
        for (let at = 0; at < bytes.length; ) {
          piece ??= memory.take(Math.min(PIECE, left));
          const copied = bytes.copy(piece.bytes, filled, at);
          at += copied;
          filled += copied;
          left -= copied;
          if (filled === piece.bytes.length) flush();
        }
      },
      end() {
        byThread(async () => {
          try {
            setFacts(fd, facts);
          } finally {
            await closeByThread(fd);
          }
        });
      },
      abandon: () => byThread(() => closeByThread(fd)),
    };
  };

  return {
    begin: (path, size, facts) => (size < LARGE ? smallFile : largeFile)(path, size, facts),
    get busy() {
      return failure || held > MOST_HELD ? untilOrFailed(() => held <= MOST_HELD / 2) : undefined;
    },
    settled: () => untilOrFailed(idle),
    [Symbol.asyncDispose]() {
      fail(new Error("closed before it was whole"));
      return until(idle);
    },
  };
}
