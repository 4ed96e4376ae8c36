import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fstabEntry } from "../fstab.ts";
import { findTool } from "../programs.ts";
import type { Launch, RootView } from "./protocol.ts";

/** Everything is mounted by one program, which takes a few milliseconds where one a mount would take as many for each. */
const ENTER = '"$1" -T "$2" -a && shift 2 && exec "$@"';

/** Prepares a container's root, and gives the command that mounts it in a namespace of its own and then becomes the container. */
export function viewArgv(launch: Launch, view: RootView): string[] {
  const table = join(view.base, "fstab");
  writeFileSync(table, prepare(view));
  const sh = findTool("sh");
  // The shell's own PWD isn't the container's.
  const clean = "PWD" in launch.env ? [] : ["--unset=PWD"];
  const program = [findTool("chroot"), join(view.base, "root"), findTool("env"), `--chdir=${launch.cwd}`, ...clean, ...launch.argv];
  return [
    findTool("unshare"),
    "--mount",
    "--propagation",
    "unchanged",
    sh,
    "-ec",
    ENTER,
    "enter",
    findTool("mount"),
    table,
    ...program,
  ];
}

/** The command that joins a running container's root and then becomes `argv`, where its first process is. */
export function enterArgv(pid: number, argv: readonly string[]): string[] {
  return [findTool("nsenter"), "--target", String(pid), "--mount", "--root", "--wd", ...argv];
}

/** Makes all directories, links and mount points, and returns the mounts as an fstab. */
function prepare(view: RootView): string {
  const root = join(view.base, "root");
  const lines: string[] = [];
  mkdirSync(root, { recursive: true });
  /** Where a path of the container is made before anything is mounted: in the layer over its directory, or in the root itself. */
  const layers = new Map<string, string>();
  const place = (at: string): string => {
    for (let parent = at; parent !== "/"; parent = dirname(parent)) {
      const layer = layers.get(parent);
      if (layer !== undefined) return join(layer, at.slice(parent.length));
    }
    return join(root, at);
  };
  for (const [index, path] of view.overlays.entries()) {
    const upper = join(view.base, `upper${index}`);
    const work = join(view.base, `work${index}`);
    mkdirSync(upper);
    mkdirSync(work);
    // The mount shows the upper directory's own mode: /tmp must stay writable for all.
    chmodSync(upper, statSync(path).mode & 0o7777);
    mkdirSync(join(root, path), { recursive: true });
    layers.set(path, upper);
    lines.push(fstabEntry("overlay", join(root, path), "overlay", `lowerdir=${path},upperdir=${upper},workdir=${work},userxattr`));
  }
  for (const path of view.directories) mkdirSync(place(path), { recursive: true });
  for (const { at, target } of view.links) {
    mkdirSync(dirname(place(at)), { recursive: true });
    if (!existsSync(place(at))) symlinkSync(target, place(at));
  }
  for (const { at, source, file, readOnly, recursive } of view.binds) {
    const point = place(at);
    mkdirSync(file ? dirname(point) : point, { recursive: true });
    if (file && !existsSync(point)) writeFileSync(point, "");
    lines.push(fstabEntry(source, join(root, at), "none", `${recursive ? "rbind" : "bind"}${readOnly ? ",ro" : ""}`));
    // What is mounted inside a volume needs its mount point there, as runc makes it.
    if (!file && source !== at) layers.set(at, source);
  }
  return `${lines.join("\n")}\n`;
}
