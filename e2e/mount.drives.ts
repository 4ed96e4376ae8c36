import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { NOBODY, newUser, type Ran, type User } from "./cli.harness.ts";
import { canMount, type MountNamespace, openMountNamespace } from "./mount-namespace.ts";

const asRoot = process.getuid?.() === 0;

/** Whether an ordinary user can have drives here, by either driver: their programs, and a /dev/fuse, or root to lend one. */
export const canHaveDrives = await (async () => {
  const usable = (path: string, mode: number): Promise<boolean> =>
    access(path, mode).then(
      () => true,
      () => false,
    );
  const paths = ["/usr/bin/fusermount3", "/usr/bin/python3", "/usr/bin/sshfs"];
  const programs = await Promise.all(paths.map((path) => usable(path, constants.X_OK)));
  return programs.every(Boolean) && (!asRoot || canMount) && usable("/dev/fuse", constants.R_OK | constants.W_OK);
})();

/** A user who isn't root and may open /dev/fuse. Where that takes root to arrange, in a mount namespace of the test's own. */
export interface DriveUser extends User {
  /** A shell script as the user, who alone sees what is mounted. Never rejects. */
  sh(script: string): Promise<Ran>;
  /** What is mounted of ours, for the user. */
  mounts(): Promise<string[]>;
}

export async function newDriveUser(): Promise<DriveUser> {
  const namespace: MountNamespace | undefined = asRoot
    ? await openMountNamespace(`
        mount -t tmpfs -o mode=755 tmpfs /mnt
        mknod -m 666 /mnt/fuse c 10 229
        mount --bind /mnt/fuse /dev/fuse`)
    : undefined;
  const enter = (words: readonly string[]): readonly string[] =>
    namespace ? namespace.command(["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--", ...words]) : words;
  const user = await newUser({ enter });
  const dispose = user[Symbol.asyncDispose];
  return Object.assign(user, {
    sh(script: string): Promise<Ran> {
      const [program = "", ...args] = enter(["sh", "-c", script]);
      return new Promise((resolve) => {
        execFile(program, args, { cwd: "/", env: { ...process.env, HOME: user.home } }, (error, stdout, stderr) =>
          resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
        );
      });
    },
    async mounts() {
      const table = await readFile(`/proc/${namespace?.pid ?? "self"}/mountinfo`, "utf8");
      return table.split("\n").filter((line) => line.includes(` ${user.home}/`));
    },
    async [Symbol.asyncDispose]() {
      await namespace?.[Symbol.asyncDispose]();
      await dispose();
    },
  });
}
