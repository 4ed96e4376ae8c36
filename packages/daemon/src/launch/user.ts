import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { daemonError } from "../errors.ts";
import type { UserIds } from "./request.ts";

export interface UserInfo extends UserIds {
  /** Undefined for a uid that the user database doesn't know. */
  name?: string;
  shell?: string;
  home: string;
  /** Where the login manager made one. */
  runtimeDir?: string;
}

/** Who asked sudo or doas for root, or undefined where root is nobody's but its own. Throws `ROOT_USER_UNKNOWN`. */
export function userBehindRoot(env: NodeJS.ProcessEnv): UserInfo | undefined {
  const ids = idsBehindRoot(env);
  if (!ids || ids.uid === 0) return undefined;
  const runtimeDir = `/run/user/${ids.uid}`;
  return { ...ids, ...lookUp(ids), ...(statSync(runtimeDir, { throwIfNoEntry: false })?.uid === ids.uid && { runtimeDir }) };
}

function idsBehindRoot(env: NodeJS.ProcessEnv): UserIds | undefined {
  const { SUDO_UID: uid, SUDO_GID: gid, DOAS_USER: name } = env;
  if (uid !== undefined && gid !== undefined && /^\d+$/.test(uid) && /^\d+$/.test(gid))
    return { uid: Number(uid), gid: Number(gid) };
  if (name === undefined) return undefined;
  const id = (what: "-u" | "-g"): number => Number(execFileSync("/usr/bin/id", [what, "--", name], { encoding: "utf8" }));
  try {
    return { uid: id("-u"), gid: id("-g") };
  } catch (cause) {
    throw daemonError("ROOT_USER_UNKNOWN", `doas was run by ${JSON.stringify(name)}, whom id(1) doesn't know`, {
      hint: "run `shipside start` as the user, without doas",
      cause,
    });
  }
}

/** Asked of the user database by a process that is the user: only its own entry can be asked for from Node. */
function lookUp({ uid, gid }: UserIds): Pick<UserInfo, "name" | "shell" | "home"> {
  const program = "try { process.stdout.write(JSON.stringify(os.userInfo())) } catch {}";
  let said: string;
  try {
    said = execFileSync(process.execPath, ["-e", program], { uid, gid, env: {}, cwd: "/", encoding: "utf8" });
  } catch (cause) {
    throw daemonError("ROOT_USER_UNKNOWN", `uid ${uid}, who asked for root, can't run ${process.execPath}`, {
      hint: "run `shipside start` as the user, without sudo, with a Node that the user has",
      cause,
    });
  }
  const { username, shell, homedir } = JSON.parse(said || "{}") as { username?: string; shell?: string; homedir?: string };
  return { home: homedir ?? "/", ...(username !== undefined && { name: username }), ...(shell && { shell }) };
}
