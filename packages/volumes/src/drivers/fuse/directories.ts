import type { Listing, Listings } from "./listings.ts";
import type { Node } from "./nodes.ts";
import { FileError } from "./sftp-packets.ts";
import type { SftpSession } from "./sftp-session.ts";

/** A directory that a program reads: its names are those of one moment. */
export interface Directory {
  readonly node: Node;
  readonly listing: Listing;
}

/** The directories that are open, by number. */
export interface Directories {
  /** Resolves when the server has opened it, if it has to. */
  open(node: Node, session: SftpSession): Promise<number>;
  /** Throws `EBADF`. */
  get(handle: number): Directory;
  remove(handle: number): void;
}

export function createDirectories(listings: Listings): Directories {
  const open = new Map<number, Directory>();
  let handles = 0;
  return {
    async open(node, session) {
      const listing = listings.again(node, session) ?? (await listings.ask(node, session));
      open.set(++handles, { node, listing });
      return handles;
    },
    get(handle) {
      const directory = open.get(handle);
      if (!directory) throw new FileError("EBADF");
      return directory;
    },
    remove: (handle) => void open.delete(handle),
  };
}
