import { close as closeCallback } from "node:fs";
import { promisify } from "node:util";

const closeFile = promisify(closeCallback);

export interface OpenDirectory {
  path: string;
  /** As they were when it was opened, and how many of them have been told. */
  names: readonly string[];
  at: number;
}

/** More than any program has open at a time, and fewer than a process may have. */
const MOST = 4096;

/** What one client has open: descriptors and directories, by names that it can't mistake. */
export interface Handles {
  add(opened: number | OpenDirectory): string;
  /** Throws `EBADF`. */
  file(handle: string): number;
  /** Throws `EBADF`. */
  directory(handle: string): OpenDirectory;
  close(handle: string): Promise<void>;
  closeAll(): Promise<void>;
  /** Throws `EMFILE` where no more may be opened. */
  reserve(): void;
}

export function createHandles(): Handles {
  const opened = new Map<string, number | OpenDirectory>();
  let count = 0;
  const bad = (): Error => Object.assign(new Error("no such handle"), { code: "EBADF" });
  const shut = async (entry: number | OpenDirectory): Promise<void> => {
    if (typeof entry === "number") await closeFile(entry);
  };
  return {
    reserve() {
      if (opened.size >= MOST) throw Object.assign(new Error("too many open files"), { code: "EMFILE" });
    },
    add(entry) {
      const handle = (count++).toString(36);
      opened.set(handle, entry);
      return handle;
    },
    file(handle) {
      const entry = opened.get(handle);
      if (typeof entry !== "number") throw bad();
      return entry;
    },
    directory(handle) {
      const entry = opened.get(handle);
      if (typeof entry !== "object") throw bad();
      return entry;
    },
    async close(handle) {
      const entry = opened.get(handle);
      if (entry === undefined) throw bad();
      opened.delete(handle);
      await shut(entry);
    },
    async closeAll() {
      const all = [...opened.values()];
      opened.clear();
      await Promise.allSettled(all.map(shut));
    },
  };
}
