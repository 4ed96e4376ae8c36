/** Util-linux' `unshare`, by whom a command in namespaces of which the user is root has the user's own ids again. */
export function asUserLine(ids: { uid: number | string; gid: number | string }, command: readonly string[]): string[] {
  return ["unshare", "--user", `--map-user=${ids.uid}`, `--map-group=${ids.gid}`, "--", ...command];
}

/**
 * Without ids it is their root. Its parent is `nsenter`, which passes no signal on; so the command ends with it. After the ids: their change
 * would take that back.
 */
export function enterLine(pid: number, ids: { uid: number; gid: number } | undefined, command: readonly string[]): string[] {
  const flags = ["--user", "--net", "--mount", "--uts", "--pid", "--preserve-credentials"];
  const bound = ["setpriv", "--pdeathsig", "KILL", "--", ...command];
  return ["nsenter", `--target=${pid}`, ...flags, "--", ...(ids ? asUserLine(ids, bound) : bound)];
}
