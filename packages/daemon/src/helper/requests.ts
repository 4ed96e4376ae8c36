import type { ErrorJson, HostsEntry } from "@shipside/core";

/** Of the words between daemon and helper. Both come from one release, except where an installed helper is older or newer. */
export const HELPER_PROTOCOL = 2;

/** All that a daemon may ask. There is nothing else, and no field but these. */
export type HelperRequest =
  | { id: number; op: "hello" }
  /** A listening socket on an address of the pool; the answer carries it. Port 0: any free one. */
  | { id: number; op: "listen"; address: string; port: number }
  /** The same for UDP: a bound socket. */
  | { id: number; op: "bind"; address: string; port: number }
  /** The daemon has closed it: what was made for the address can go. */
  | { id: number; op: "unlisten"; address: string; port: number }
  | { id: number; op: "unbind"; address: string; port: number }
  /** Replaces the user's names in the hosts file. */
  | { id: number; op: "hosts.apply"; entries: HostsEntry[] }
  | { id: number; op: "hosts.restore" }
  /** Undo everything, answer, end. */
  | { id: number; op: "bye" };

/** What the daemon (or what starts it) says once, of its own accord. */
export type StartWord = { ready: true } | { error: { code: string; message: string; hint?: string } };

/** `id` is null where the message had none that could be read. */
export type HelperAnswer = { id: number; result: unknown } | { id: number | null; error: ErrorJson };

export interface HelperResults {
  /** `version`: of the program that runs as root, which may have been installed before the daemon's. */
  hello: { protocol: number; pid: number; version: string };
  listen: { address: string; port: number };
  bind: { address: string; port: number };
  unlisten: Record<string, never>;
  unbind: Record<string, never>;
  "hosts.apply": { added: string[]; removed: string[]; unchanged: boolean };
  "hosts.restore": Record<string, never>;
  bye: Record<string, never>;
}

/** So that a daemon gone mad exhausts neither root's memory nor the disk. Far above what a large cluster needs. */
export const LIMITS = {
  /** Of both protocols. */
  listeners: 8_192,
  entries: 8_192,
  names: 32_768,
  /** Of all addresses and names of one request. */
  hostsBytes: 1024 * 1024,
  /** Requests that wait for their turn. */
  waiting: 1_024,
  /** Sockets that the daemon doesn't take: each is a descriptor of root's. */
  handing: 64,
  /** Answers that the daemon doesn't take. */
  unsent: 4_096,
  /** Of the helper, in bytes: a line without an end on the channel would grow it for ever. */
  memory: 384 * 1024 * 1024,
} as const;

/** Whose lines of the hosts file the helper writes: one owner a user, so that they are found without any record. */
export const hostsOwnerName = (uid: number): string => `shipside-helper-${uid}`;
