import { chmod, mkdir, readdir, readlink, symlink, unlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { mount, run } from "./program.ts";

/** Covered while a mirror is made; whichever is no part of it. */
const SCRATCH = ["/mnt", "/media", "/srv"];
const TABLE = ".shipside-fstab";
const OLD_ROOT = ".shipside-old";
/** Nobody makes anything in it: it would go with the namespaces. */
const MODE = 0o555;

/** Puts a folder in memory in the place of one, with all that is in that, so that more can be put into it. */
export async function mirror(folder: string): Promise<void> {
  const scratch = SCRATCH.find((path) => path !== folder && !folder.startsWith(`${path}/`))!;
  const entries = await readdir(folder, { withFileTypes: true });
  await mount(["-t", "tmpfs", "-o", "mode=755", "shipside", scratch]);
  const lines: string[] = [];
  for (const entry of entries) {
    const [from, to] = [join(folder, entry.name), join(scratch, entry.name)];
    if (entry.isSymbolicLink()) {
      await symlink(await readlink(from), to);
      continue;
    }
    if (entry.isDirectory()) await mkdir(to);
    else await writeFile(to, "");
    // Covered just now: it follows when it is seen again.
    if (from !== scratch) lines.push(`${escaped(from)} ${escaped(to)} none rbind 0 0`);
  }
  // All by one process.
  const table = join(scratch, TABLE);
  await writeFile(table, `${lines.join("\n")}\n`);
  await mount(["--all", "--fstab", table]);
  await unlink(table);
  if (folder === "/") await becomeRoot(scratch);
  else {
    await chmod(scratch, MODE);
    await mount(["--rbind", scratch, folder]);
    await run("umount", ["-l", scratch]);
  }
}

/** Also of all processes here whose root is the old one: pivot_root(2). */
async function becomeRoot(scratch: string): Promise<void> {
  const name = basename(scratch);
  await mkdir(join(scratch, OLD_ROOT));
  const script = `cd "$1" && pivot_root . ${OLD_ROOT} && mount --rbind /${OLD_ROOT}/${name} /${name} && umount -l /${OLD_ROOT} && rmdir /${OLD_ROOT}`;
  await run("sh", ["-c", script, "sh", scratch]);
  process.chdir("/");
  await chmod("/", MODE);
}

/** fstab(5). */
const escaped = (path: string): string =>
  path.replace(/[\\\s#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
