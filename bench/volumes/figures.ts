import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, fsyncSync, mkdirSync, openSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Mounted } from "./mounts.ts";
import type { Project } from "./project.ts";

export interface Scale {
  bulkBytes: number;
  /** Of 4 KiB each. */
  operations: number;
  files: number;
  project: Project;
}

export interface Figure {
  name: string;
  unit: string;
  /** The ratio ours / OpenSSH's that is asked for, on loopback and with 20 ms there and back. */
  must: { loopback: number; far: number; kind: "atLeast" | "atMost" };
  /** Of one round: each has files of its own, so that no cache knows them. */
  measure(mounted: Mounted, scale: Scale): number;
}

const MIB = 1024 * 1024;
const BLOCK = 4096;
const chunk = Buffer.alloc(MIB, "0123456789abcdef");
let count = 0;
const fresh = (name: string): string => `${name}-${count++}`;

/** Seconds that it took. */
function seconds(work: () => void): number {
  const began = performance.now();
  work();
  return (performance.now() - began) / 1000;
}

function fill(path: string, bytes: number): void {
  const fd = openSync(path, "w");
  for (let done = 0; done < bytes; done += MIB) writeSync(fd, chunk, 0, Math.min(MIB, bytes - done));
  // Or what is measured would wait for these to reach the disk.
  fsyncSync(fd);
  closeSync(fd);
}

/** The same places for both of a round. */
function randomPlaces(operations: number, bytes: number): number[] {
  let state = 12_345;
  return Array.from({ length: operations }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state % (bytes / BLOCK)) * BLOCK;
  });
}

/** A hundred files in each directory. */
function makeTree(root: string, files: number, text: (each: number) => string): void {
  for (let made = 0; made < files; made++) {
    const directory = join(root, `directory-${Math.floor(made / 100)}`);
    if (made % 100 === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file-${made}`), text(made));
  }
}

function withFile<T>(mounted: Mounted, flags: string, bytes: number, work: (fd: number) => T): T {
  const name = fresh("file");
  // Written where it lies: no cache of the mount has any of it.
  fill(join(mounted.remote, name), bytes);
  const fd = openSync(join(mounted.local, name), flags);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
    rmSync(join(mounted.remote, name));
  }
}

export const FIGURES: readonly Figure[] = [
  {
    name: "sequential write, with fsync",
    unit: "MiB/s",
    must: { loopback: 1.5, far: 1, kind: "atLeast" },
    measure({ local, remote }, { bulkBytes }) {
      const name = fresh("written");
      const took = seconds(() => {
        const fd = openSync(join(local, name), "w");
        for (let done = 0; done < bulkBytes; done += MIB) writeSync(fd, chunk);
        fsyncSync(fd);
        closeSync(fd);
      });
      rmSync(join(remote, name));
      return bulkBytes / MIB / took;
    },
  },
  {
    name: "sequential read",
    unit: "MiB/s",
    must: { loopback: 1.5, far: 5, kind: "atLeast" },
    measure: (mounted, { bulkBytes }) =>
      withFile(mounted, "r", bulkBytes, (fd) => {
        const into = Buffer.alloc(MIB);
        const took = seconds(() => {
          for (let done = 0; done < bulkBytes; ) done += readSync(fd, into, 0, MIB, done);
        });
        return bulkBytes / MIB / took;
      }),
  },
  {
    name: "random reads of 4 KiB",
    unit: "1/s",
    must: { loopback: 1, far: 1, kind: "atLeast" },
    measure: (mounted, { operations }) =>
      withFile(mounted, "r", 256 * MIB, (fd) => {
        const into = Buffer.alloc(BLOCK);
        const places = randomPlaces(operations, 256 * MIB);
        return operations / seconds(() => places.forEach((at) => void readSync(fd, into, 0, BLOCK, at)));
      }),
  },
  {
    name: "random writes of 4 KiB, fsync at the end",
    unit: "1/s",
    must: { loopback: 1, far: 1, kind: "atLeast" },
    measure: (mounted, { operations }) =>
      withFile(mounted, "r+", 256 * MIB, (fd) => {
        const places = randomPlaces(operations, 256 * MIB);
        const took = seconds(() => {
          for (const at of places) writeSync(fd, chunk, 0, BLOCK, at);
          fsyncSync(fd);
        });
        return operations / took;
      }),
  },
  {
    name: "git clone and npm install",
    unit: "s",
    must: { loopback: 1, far: 1, kind: "atMost" },
    measure({ local, remote }, { project }) {
      const name = fresh("project");
      const took = seconds(() => {
        project.clone(join(local, name));
        project.install(join(local, name));
      });
      rmSync(join(remote, name), { recursive: true });
      return took;
    },
  },
  {
    name: "git status of what nobody has looked at",
    unit: "s",
    must: { loopback: 1, far: 1, kind: "atMost" },
    measure({ local, remote }, { project }) {
      const name = fresh("repository");
      project.clone(join(remote, name));
      // Or git reads all of them: what changed in the second in which it looked may have changed after that.
      execFileSync("find", [join(remote, name, "lib"), "-type", "f", "-exec", "touch", "-d", "1 hour ago", "{}", "+"]);
      project.status(join(remote, name));
      const took = seconds(() => project.status(join(local, name)));
      rmSync(join(remote, name), { recursive: true });
      return took;
    },
  },
  {
    name: "ls -lR of many files",
    unit: "s",
    must: { loopback: 1, far: 1, kind: "atMost" },
    measure({ local, remote }, { files }) {
      const name = fresh("tree");
      makeTree(join(remote, name), files, () => "x");
      const took = seconds(() => execFileSync("ls", ["-lR", join(local, name)], { stdio: ["ignore", "ignore", "inherit"] }));
      rmSync(join(remote, name), { recursive: true });
      return took;
    },
  },
  {
    name: "grep -r of small files",
    unit: "s",
    must: { loopback: 1, far: 1, kind: "atMost" },
    measure({ local, remote }, { files }) {
      const name = fresh("texts");
      makeTree(join(remote, name), files / 20, (each) => "some text\n".repeat(1 + (each % 500)));
      // It finds nothing, and says so by its exit code.
      const took = seconds(() => void spawnSync("grep", ["-r", "another", join(local, name)]));
      rmSync(join(remote, name), { recursive: true });
      return took;
    },
  },
  {
    name: "rm -r of many files",
    unit: "s",
    must: { loopback: 1, far: 1, kind: "atMost" },
    measure({ local, remote }, { files }) {
      const name = fresh("unwanted");
      makeTree(join(remote, name), files / 20, () => "x");
      return seconds(() => execFileSync("rm", ["-r", join(local, name)]));
    },
  },
];
