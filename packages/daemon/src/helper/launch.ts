import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The program that becomes the user, and then the daemon. It lies where this one lies: nobody says where. */
export const LAUNCHER = new URL(`../launch/launcher${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

export interface LaunchOptions {
  uid: number;
  gid: number;
  launcher: URL;
  /** Its standard error is ours (a service manager's journal); else nowhere: root's log isn't the daemon's to fill. */
  keepStderr: boolean;
}

/** Starts it as root, with an empty environment, nothing inherited but the channel, which is descriptor 0 so that it outlives an exec. */
export function launch({ uid, gid, launcher, keepStderr }: LaunchOptions): ChildProcess {
  const conditions = launcher.pathname.endsWith(".ts") ? ["--conditions=@shipside/source"] : [];
  const args = [...conditions, fileURLToPath(launcher), "--uid", String(uid), "--gid", String(gid)];
  return spawn(process.execPath, args, {
    stdio: ["ipc", "ignore", keepStderr ? "inherit" : "ignore"],
    env: {},
    cwd: "/",
    serialization: "json",
  });
}

/** For `ps` and messages: passwd(5)'s name, else the number (users of a directory service have no line). */
export async function userName(uid: number): Promise<string> {
  const passwd = await readFile("/etc/passwd", "utf8").catch(() => "");
  for (const line of passwd.split("\n")) {
    const [name = "", , number] = line.split(":");
    if (number === String(uid) && /^[\w.-]{1,64}$/.test(name)) return name;
  }
  return `uid ${uid}`;
}
