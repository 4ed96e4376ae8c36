import type { Closable } from "../closer.ts";

/** One address and the names that resolve to it, in the order in which they are written. */
export interface HostsEntry {
  /** IPv4 or IPv6 address. */
  address: string;
  /** RFC 1123 names, at least one. */
  names: readonly string[];
}

/** A name that a line outside our block already gives another address. Resolvers take the first line, so ours may not be seen. */
export interface HostsConflict {
  name: string;
  ours: string;
  theirs: string;
  /** 1-based line number in the file. */
  line: number;
  /** Where it is a line of another hosts owner: that owner's name. */
  owner?: string;
}

/** What `apply` would change. Lines are as written, without end of line. */
export interface HostsPlan {
  added: readonly string[];
  removed: readonly string[];
  conflicts: readonly HostsConflict[];
  /** Nothing would be written. */
  unchanged: boolean;
}

/**
 * One owner's names on the machine (or in a namespace): the real hosts file, a private copy, or a resolver.
 * `apply` replaces the owner's whole set; `restore` takes all of it out. Other owners' names and everything else stay as they are.
 */
export interface HostsOwner extends Closable {
  /** Needs no privilege and changes nothing. */
  plan(entries: readonly HostsEntry[]): Promise<HostsPlan>;
  apply(entries: readonly HostsEntry[]): Promise<HostsPlan>;
  restore(): Promise<void>;
}
