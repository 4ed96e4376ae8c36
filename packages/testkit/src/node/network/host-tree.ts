import { readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { join, posix } from "node:path";
import { parseMountInfo } from "@shipside/core";
import type { HostTree } from "./root-plan.ts";

/** Where something is mounted: as this process sees it, or as a copy of another's mountinfo says. */
export function mountPoints(file = "/proc/self/mountinfo"): string[] {
  return parseMountInfo(readFileSync(file, "utf8")).map(({ path }) => path);
}

/** Directories in the root that may carry an overlay: nothing is mounted below them, and no character needs care. */
export function overlayCandidates(): string[] {
  const points = mountPoints();
  return readdirSync("/", { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !["dev", "proc", "sys", "run"].includes(entry.name) && /^[\w.-]+$/.test(entry.name))
    .map((entry) => `/${entry.name}`)
    .filter((path) => !points.some((point) => point.startsWith(`${path}/`)));
}

/** This machine, where overlays over `overlayable` were tried and worked, with what is mounted as `mounted` tells. */
export function hostTree(overlayable: readonly string[], mounted: readonly string[]): HostTree {
  const works = new Set(overlayable);
  return {
    mountPoints: mounted.filter((point) => point !== "/"),
    // What is below such a directory, or on a sibling of it, is on a file system that was tried.
    overlayable: (directory) =>
      works.has(directory) || (works.size > 0 && directory.lastIndexOf("/") > 0 && /^[\w./-]+$/.test(directory)),
    real(path) {
      const whole = posix.resolve(path);
      for (let parent = whole; parent !== "/"; parent = posix.dirname(parent)) {
        try {
          return posix.join(realpathSync(parent), whole.slice(parent.length));
        } catch {
          // It doesn't exist: its parent may.
        }
      }
      return whole;
    },
    entries(directory) {
      try {
        return readdirSync(directory, { withFileTypes: true }).map((entry) => ({
          name: entry.name,
          kind: entry.isDirectory()
            ? "directory"
            : entry.isSymbolicLink()
              ? { link: readlinkSync(join(directory, entry.name)) }
              : entry.isFile()
                ? "file"
                : "other",
        }));
      } catch {
        return undefined;
      }
    },
  };
}
