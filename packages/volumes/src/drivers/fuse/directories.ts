import type { Asked, Entries } from "./entries.ts";
import type { Node } from "./nodes.ts";
import type { Attributes } from "./replies.ts";
import { FileError, JUST_OPENED, reply, request } from "./sftp-packets.ts";
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
  /**
   * Resolves when the server has opened it; its first names have come with that. Whoever removes a tree, or looks through it, opens each directory twice:
   * what was listed a moment ago, and not changed from here since, is so again.
   */
  open(node: Node, path: string, session: SftpSession, asked: Asked): Promise<number>;
  /** Throws `EBADF`. */
  get(handle: number): Directory;
  remove(handle: number): void;
}

/** Pages that are asked for at a time: at first, and at most. */
const PAGES = 2;
const MOST_PAGES = 16;

/** So many listings are remembered, of directories with no more than so many names. */
const REMEMBERED = 32;
const MOST_NAMES = 1_000;

export function createDirectories({ isChanged }: Pick<Entries, "isChanged">): Directories {
  const open = new Map<number, Directory>();
  const remembered = new Map<Node, Listing>();
  let handles = 0;
  const add = (directory: Directory): number => {
    open.set(++handles, directory);
    return handles;
  };
  const remember = (node: Node, listing: Listing): void => {
    remembered.delete(node);
    if (listing.found.length > MOST_NAMES) return;
    remembered.set(node, listing);
    if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value!);
  };
  return {
    async open(node, path, session, asked) {
      const before = remembered.get(node);
      if (before?.session === session && before.asked.until > performance.now() && !isChanged(node, before.asked))
        return add({ node, names: async () => before });
      const { opened, pages } = session.together(() => ({
        opened: session.ask(request.opendir(path), reply.handle),
        pages: Array.from({ length: PAGES }, () => page(session, JUST_OPENED)),
      }));
      const remote = await opened;
      const listing = list(session, remote, pages).then((found) => ({ session, found, asked }));
      listing.then(
        (listed) => remember(node, listed),
        () => {},
      );
      return add({ node, names: () => listing });
    },
    get(handle) {
      const directory = open.get(handle);
      if (!directory) throw new FileError("EBADF");
      return directory;
    },
    remove: (handle) => void open.delete(handle),
  };
}

type Page = Listing["found"];

function page(session: SftpSession, remote: string): Promise<Page> {
  const asked = session.ask(request.readdir(remote), reply.names);
  asked.catch(() => {});
  return asked;
}

/** Asks for more pages before it knows that there are so many: the way may be long. */
async function list(session: SftpSession, remote: string, asked: Array<Promise<Page>>): Promise<Page> {
  const found: Array<Page[number]> = [];
  try {
    for (let at = 0; at < asked.length; at++) {
      const some = await asked[at]!;
      if (some.length === 0) break;
      found.push(...some);
      session.together(() => {
        while (asked.length - at - 1 < Math.min(MOST_PAGES, 2 * (at + 1))) asked.push(page(session, remote));
      });
    }
    return found.filter(({ name }) => name !== "." && name !== "..");
  } finally {
    session.later(request.close(remote));
  }
}
