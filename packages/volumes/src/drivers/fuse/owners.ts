import { readFileSync } from "node:fs";

/** Who owns a file. */
export interface Owner {
  uid: number;
  gid: number;
}

/** This process's user, and the other ids that there are in its user namespace. */
export interface LocalUser extends Owner {
  /** Default: all are. */
  there?: Record<keyof Owner, (id: number) => boolean>;
}

/**
 * Whose a file is here. The server's user is this one; and so is whoever can't be named here, since the kernel lets nobody change a file of
 * such an owner's. Who may do what is the server's to say. Pure.
 */
export function ownerHere(owner: Owner, theirs: Owner, { there, ...user }: LocalUser): Owner {
  const here = (kind: keyof Owner): number =>
    owner[kind] === theirs[kind] || there?.[kind](owner[kind]) === false ? user[kind] : owner[kind];
  return { uid: here("uid"), gid: here("gid") };
}

export function localUser(): LocalUser {
  const ids = (kind: keyof Owner): ((id: number) => boolean) => mapped(readFileSync(`/proc/self/${kind}_map`, "latin1"));
  return { uid: process.getuid!(), gid: process.getgid!(), there: { uid: ids("uid"), gid: ids("gid") } };
}

/** Of lines as /proc/self/uid_map has them: user_namespaces(7). Pure. */
export function mapped(map: string): (id: number) => boolean {
  const lines = map.split("\n").filter((line) => line.trim() !== "");
  const ranges = lines
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([from = 0, , count = 0]) => [from, from + count] as const);
  return (id) => ranges.some(([from, until]) => id >= from && id < until);
}
