import type { Asked } from "./entries.ts";
import type { Node } from "./nodes.ts";
import type { Attributes } from "./replies.ts";
import { FileError, reply, request } from "./sftp-packets.ts";
import type { SftpSession } from "./sftp-session.ts";

export interface Listing {
  session: SftpSession;
  found: ReadonlyArray<{ name: string; attributes: Attributes }>;
  asked: Asked;
}

/** A directory that a program reads: its names are those of one moment. */
export interface Directory {
  readonly node: Node;
  names(): Promise<Listing>;
}

export interface Directories {
  /** Resolves when the server has opened it; its names are under way by then. */
  open(node: Node, path: string, session: SftpSession, asked: Asked): Promise<number>;
  /** Throws `EBADF`. */
  get(handle: number): Directory;
  remove(handle: number): void;
}

/** Pages that are asked for at a time: at first, and at most. */
const PAGES = 2;
const MOST_PAGES = 16;

export function createDirectories(): Directories {
  const open = new Map<number, Directory>();
  let handles = 0;
  return {
    async open(node, path, session, asked) {
      const remote = await session.ask(request.opendir(path), reply.handle);
      const listing = list(session, remote).then((found) => ({ session, found, asked }));
      listing.catch(() => {});
      const handle = ++handles;
      open.set(handle, { node, names: () => listing });
      return handle;
    },
    get(handle) {
      const directory = open.get(handle);
      if (!directory) throw new FileError("EBADF");
      return directory;
    },
    remove: (handle) => void open.delete(handle),
  };
}

/** Asks for pages before it knows that there are so many: the way may be long. */
async function list(session: SftpSession, remote: string): Promise<Listing["found"]> {
  const page = (): ReturnType<typeof session.ask<ReturnType<typeof reply.names>>> => {
    const asked = session.ask(request.readdir(remote), reply.names);
    asked.catch(() => {});
    return asked;
  };
  const found: Array<Listing["found"][number]> = [];
  try {
    const asked = session.together(() => Array.from({ length: PAGES }, page));
    for (let at = 0; at < asked.length; at++) {
      const some = await asked[at]!;
      if (some.length === 0) break;
      found.push(...some);
      session.together(() => {
        while (asked.length - at - 1 < Math.min(MOST_PAGES, 2 * (at + 1))) asked.push(page());
      });
    }
    return found.filter(({ name }) => name !== "." && name !== "..");
  } finally {
    session.later(request.close(remote));
  }
}
