import { realpathSync } from "node:fs";
import { posix } from "node:path";

/** A path as Node's fs takes it. */
export const bytesOf = (path: string): Buffer => Buffer.from(path, "latin1");

/** The real path of a byte string. */
const realPathOf = (path: string): string => realpathSync.native(bytesOf(path), { encoding: "latin1" });

const denied = (path: string): Error => Object.assign(new Error(`${path} is outside of what is served`), { code: "EACCES" });

const isWithin = (path: string, root: string): boolean => path === root || path.startsWith(root === "/" ? "/" : `${root}/`);

/**
 * Keeps paths inside the roots. `..` is resolved as text. A link on the way may lead anywhere inside, and nowhere else; the last part is
 * never followed. Between looking and doing a link may still be put in the way by who writes to the volume: Node has no `openat2`.
 */
export interface Confinement {
  /** Absolute; throws `EACCES` outside of every root. A relative path is one in the first root. */
  absolute(path: string): string;
  /** The path with its parent's links resolved. Throws `EACCES` where that is outside. */
  resolve(path: string): string;
  /** The path with all its links resolved. */
  follow(path: string): string;
  /**
   * Throws `EACCES` where a link points out of its root. Whoever asks would follow it on their own machine, and who writes to the volume
   * could have a developer's programs read or write files there.
   */
  checkLink(path: string, target: string): void;
}

export function confineTo(roots: readonly string[]): Confinement {
  let real: string[] | undefined;
  const realRoot = (root: string): string => {
    try {
      return realPathOf(root);
    } catch {
      // One that isn't there has nothing in it.
      return root;
    }
  };
  const inside = (path: string, shown: string): string => {
    real ??= roots.map(realRoot);
    if (real.some((root) => isWithin(path, root))) return path;
    throw denied(shown);
  };
  const absolute = (path: string): string => {
    const at = posix.resolve(roots[0] ?? "/", path);
    if (!roots.some((root) => isWithin(at, root))) throw denied(path);
    return at;
  };
  return {
    absolute,
    resolve(path) {
      const at = absolute(path);
      if (roots.includes(at)) return at;
      return posix.join(inside(realPathOf(posix.dirname(at)), path), posix.basename(at));
    },
    follow(path) {
      return inside(realPathOf(absolute(path)), path);
    },
    checkLink(path, target) {
      const at = absolute(path);
      const root = roots.find((each) => isWithin(at, each))!;
      if (posix.isAbsolute(target) || !isWithin(posix.resolve(posix.dirname(at), target), root)) throw denied(target);
    },
  };
}
