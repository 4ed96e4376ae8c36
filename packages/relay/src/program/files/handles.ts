import { close as closeCallback, closeSync } from "node:fs";
import { promisify } from "node:util";

const closeFile = promisify(closeCallback);

export interface OpenFile {
  fd: number;
  /** Bytes that were written to it and not yet synced: a volume on a network may send them off when it is closed. */
  unsynced: number;
}

export interface OpenDirectory {
  path: string;
  /** As they were when it was opened, and how many of them have been told. */
  names: readonly string[];
  at: number;
}

/** With no more than this unsynced, in bytes, a file is closed at once. */
const CLOSED_AT_ONCE = 1024 * 1024;
/** More than any program has open at a time, and fewer than a process may have. */
const MOST = 4096;

/** What one client has open: descriptors and directories, by names that it can't mistake. */
export interface Handles {
  add(opened: OpenFile | OpenDirectory): string;
  /** An empty one is what was opened last, so that a client can ask more of it in the same breath. Throws `EBADF`, also where that failed. */
  file(handle: string): OpenFile;
  /** The same. */
  directory(handle: string): OpenDirectory;
  /** A promise where that may take long. Throws `EBADF`. */
  close(handle: string): Promise<void> | undefined;
  closeAll(): Promise<void>;
  /** Throws `EMFILE` where no more may be opened. */
  reserve(): void;
}

export function createHandles(): Handles {
  const opened = new Map<string, OpenFile | OpenDirectory>();
  let count = 0;
  let last: string | undefined;
  const bad = (): Error => Object.assign(new Error("no such handle"), { code: "EBADF" });
  const find = (handle: string): OpenFile | OpenDirectory | undefined => opened.get(handle || (last ?? ""));
  const shut = (entry: OpenFile | OpenDirectory): Promise<void> | undefined => {
    if (!("fd" in entry)) return undefined;
    if (entry.unsynced > CLOSED_AT_ONCE) return closeFile(entry.fd);
    closeSync(entry.fd);
    return undefined;
  };
  return {
    reserve() {
      last = undefined;
      if (opened.size >= MOST) throw Object.assign(new Error("too many open files"), { code: "EMFILE" });
    },
    add(entry) {
      const handle = (count++).toString(36);
      opened.set(handle, entry);
      last = handle;
      return handle;
    },
    file(handle) {
      const entry = find(handle);
      if (!entry || !("fd" in entry)) throw bad();
      return entry;
    },
    directory(handle) {
      const entry = find(handle);
      if (!entry || "fd" in entry) throw bad();
      return entry;
    },
    close(handle) {
      const entry = opened.get(handle);
      if (!entry) throw bad();
      opened.delete(handle);
      return shut(entry);
    },
    async closeAll() {
      const all = [...opened.values()];
      opened.clear();
      await Promise.allSettled(all.map(async (each) => shut(each)));
    },
  };
}
