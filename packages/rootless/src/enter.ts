/** Util-linux' `unshare`, by whom a command in namespaces of which the user is root has the user's own ids again. */
export function asUserLine(ids: { uid: number | string; gid: number | string }, command: readonly string[]): string[] {
  return ["unshare", "--user", `--map-user=${ids.uid}`, `--map-group=${ids.gid}`, "--", ...command];
}

/** Its parent is `nsenter`, which passes no signal on; so the command ends with it. After the ids: their change would take that back. */
export function enterLine(pid: number, ids: { uid: number; gid: number }, command: readonly string[]): string[] {
  const flags = ["--user", "--net", "--mount", "--uts", "--pid", "--preserve-credentials"];
  return ["nsenter", `--target=${pid}`, ...flags, "--", ...asUserLine(ids, ["setpriv", "--pdeathsig", "KILL", "--", ...command])];
}
