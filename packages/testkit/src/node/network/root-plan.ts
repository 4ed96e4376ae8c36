import type { RootView } from "../agent/protocol.ts";
import type { ContainerMount } from "./network.ts";

/** What the plan needs to know of this machine. */
export interface HostTree {
  /** A directory's entries, or undefined where it can't be read. */
  entries(directory: string): ReadonlyArray<{ name: string; kind: "directory" | "file" | "other" | { link: string } }> | undefined;
  /** The path with this machine's symbolic links followed, as far as it exists. */
  real(path: string): string;
  /** Where other file systems are mounted. */
  mountPoints: readonly string[];
  /** Whether an overlay over this directory is known to work; it has no mount below it. */
  overlayable(directory: string): boolean;
}

/** Always shared, whatever is below. */
const SYSTEM = new Set(["/dev", "/proc", "/sys"]);
/** Sockets and state of the machine's own services: a container has its own, empty. */
const PRIVATE = new Set(["/run"]);

/**
 * A container's root made from this machine's: its directories under overlays, so that nothing a container writes outside its volumes
 * reaches the machine, and that mount points can be made which the machine hasn't got. A directory that can't carry an overlay
 * (because something is mounted below it) is shared as it is, or, where a mount point is wanted in it, made anew entry by entry.
 */
export function planRoot(
  tree: HostTree,
  request: { base: string; mounts: readonly ContainerMount[]; links: RootView["links"]; workingDir: string },
): RootView {
  const directories: string[] = [];
  const overlays: string[] = [];
  const binds: Array<RootView["binds"][number]> = [];
  const links: Array<RootView["links"][number]> = [...request.links];
  // A mount at /var/run/x belongs where /var/run leads: a link can't hold a mount point.
  const mounts = request.mounts.map((mount) => ({ ...mount, at: tree.real(mount.at) })).sort((a, b) => a.at.length - b.at.length);
  const taken = new Set([...mounts.map((mount) => mount.at), ...request.links.map((link) => link.at)]);
  const wanted = [...taken, request.workingDir];
  const isBelow = (path: string, directory: string): boolean => path.startsWith(`${directory}/`);

  const add = (path: string): void => {
    if (SYSTEM.has(path)) {
      binds.push({ at: path, source: path, file: false, readOnly: false, recursive: true });
      return;
    }
    if (PRIVATE.has(path)) {
      directories.push(path);
      return;
    }
    const mounted = tree.mountPoints.some((point) => isBelow(point, path));
    if (!mounted && tree.overlayable(path)) {
      overlays.push(path);
    } else if (wanted.some((point) => isBelow(point, path))) {
      directories.push(path);
      split(path);
    } else binds.push({ at: path, source: path, file: false, readOnly: false, recursive: true });
  };
  const split = (directory: string): void => {
    for (const { name, kind } of tree.entries(directory) ?? []) {
      const path = directory === "/" ? `/${name}` : `${directory}/${name}`;
      if (taken.has(path)) continue;
      if (kind === "directory") add(path);
      else if (typeof kind === "object") links.push({ at: path, target: kind.link });
      else if (kind === "file" && directory !== "/")
        binds.push({ at: path, source: path, file: true, readOnly: false, recursive: false });
    }
  };
  split("/");
  if (request.workingDir !== "/" && !taken.has(request.workingDir)) directories.push(request.workingDir);
  return {
    base: request.base,
    directories,
    overlays,
    links,
    binds: [...binds, ...mounts.map((mount) => ({ ...mount, recursive: true }))],
  };
}
