import type { Asked, Entries } from "./entries.ts";
import type { Node } from "./nodes.ts";
import { DIRECTORY, KIND } from "./protocol.ts";
import type { Attributes } from "./replies.ts";
import { JUST_OPENED, reply, request } from "./sftp-packets.ts";
import type { SftpSession } from "./sftp-session.ts";

export interface Name {
  name: string;
  /** As the server tells them. */
  attributes: Attributes;
}

/** The names of a directory, as they were at one moment. */
export interface Listing {
  readonly session: SftpSession;
  readonly asked: Asked;
  /** Rejects with a `FileError`. */
  readonly found: Promise<readonly Name[]>;
}

/** What a listing says of a name. */
export interface Listed extends Pick<Listing, "session" | "asked"> {
  attributes: Attributes;
}

/**
 * What directories had in them a moment ago. Of those that programs read; and of those whose names are looked at one after the other, each of which is a
 * round trip: all of them come with one.
 */
export interface Listings {
  /** Resolves when the server has opened it; its first names have come with that. */
  ask(node: Node, session: SftpSession): Promise<Listing>;
  /** Whoever removes a tree, or looks through it, opens each directory twice: one of a moment ago, since when nothing was changed from here. */
  again(node: Node, session: SftpSession): Listing | undefined;
  /**
   * Undefined where the server has to be asked: nothing of the directory is known, or not of this name. So it is with one that the kernel knows: it asks for
   * that where it is to be made, and somebody else may have removed it (a lock). And with one that wasn't there: somebody may just have made it for who asks.
   */
  find(parent: Node, name: string): Promise<Listed | undefined>;
  /** Asks for a name of a directory by `ask`, which rejects where there is none; and for all of them where some were waited for. */
  lookUp<T>(parent: Node, name: string, session: SftpSession, ask: () => Promise<T>): Promise<T>;
}

/** Pages that are asked for at a time: at first, and at most. */
const PAGES = 2;
const MOST_PAGES = 16;
/** So many listings are remembered, of directories with no more than so many names. */
const REMEMBERED = 32;
const MOST_NAMES = 1_000;
/** As many names come with the opening, about. */
const FEW_NAMES = 250;
/**
 * After so long a wait for names of a directory, in ms, all are asked for, if they are few: far away that is with the second one, nearby with the fifth or so,
 * which take as long as a listing. After a longer one they may be many.
 */
const PATIENCE_MS = 1;
const LONG_MS = 10;
const MOST_PATIENCE_MS = 10_000;
/** So many names that needn't be asked for make a listing worth its while. */
const WORTH = 2;

interface Kept extends Listing {
  /** Whether all of it has come. */
  isThere: boolean;
  byName?: Map<string, Attributes>;
  /** So many names were found in it. */
  spared: number;
  /** Asked for by {@link Listings.lookUp}; how that turned out isn't looked at yet. */
  isTrial: boolean;
  /** The node's, as long as it can be relied on. */
  touched: Set<string>;
}

/** How a directory's names are asked for; times in ms. */
interface Pace {
  /** Spent waiting for one name after the other. */
  waited: number;
  /** How long that may be until all are asked for: 0 where the last listing was worth its while. */
  patience: number;
  last: { at: number; name: string | undefined };
}

export function createListings(entries: Pick<Entries, "nodes" | "pathOf" | "ask" | "isChanged">): Listings {
  const { nodes, pathOf, isChanged } = entries;
  const kept = new Map<Node, Kept>();
  const paces = new WeakMap<Node, Pace>();
  const keep = (node: Node, listing: Kept): void => {
    kept.delete(node);
    kept.set(node, listing);
    if (kept.size > REMEMBERED) kept.delete(kept.keys().next().value!);
  };
  const drop = (node: Node, listing: Kept): void => {
    if (kept.get(node) === listing) kept.delete(node);
  };
  const isOver = ({ asked }: Listing): boolean => asked.until <= performance.now();

  const begin = (node: Node, session: SftpSession, most: number) => {
    const asked = entries.ask();
    const { opened, pages } = session.together(() => ({
      opened: session.ask(request.opendir(pathOf(node)), reply.handle),
      pages: Array.from({ length: PAGES }, () => page(session, JUST_OPENED)),
    }));
    const found = opened.then((remote) => list(session, remote, pages, most));
    const listing: Kept = { session, asked, found, isThere: false, spared: 0, isTrial: false, touched: new Set() };
    node.touched = listing.touched;
    keep(node, listing);
    found.then(
      ({ length }) => {
        listing.isThere = true;
        if (length > Math.min(most, MOST_NAMES)) drop(node, listing);
      },
      () => drop(node, listing),
    );
    return { opened, listing };
  };

  const tryFor = async (node: Node, session: SftpSession, pace: Pace): Promise<void> => {
    const most = pace.patience === 0 || pace.waited >= LONG_MS ? MOST_NAMES : FEW_NAMES;
    pace.waited = 0;
    try {
      const { listing } = begin(node, session, most);
      listing.isTrial = true;
      const { length } = await listing.found;
      if (isOver(listing)) {
        // Too slow a way for so many.
        listing.isTrial = false;
        pace.patience = MOST_PATIENCE_MS;
        return;
      }
      if (length <= most) return;
    } catch {
      // It may be looked into, and not be read; unless that was lost with its session.
      if (session.ended) return;
    }
    pace.patience = most === FEW_NAMES ? LONG_MS : Number.POSITIVE_INFINITY;
  };

  return {
    async ask(node, session) {
      const { opened, listing } = begin(node, session, Number.POSITIVE_INFINITY);
      await opened;
      return listing;
    },
    again(node, session) {
      const listing = kept.get(node);
      return listing?.isThere && listing.session === session && !isOver(listing) && !isChanged(node, listing.asked)
        ? listing
        : undefined;
    },
    async find(parent, name) {
      const listing = kept.get(parent);
      // What a program reads may be long; the kernel is told its names by that.
      if (!listing || isOver(listing) || !(listing.isThere || listing.isTrial)) return undefined;
      const found = await listing.found.catch(() => undefined);
      // What is no longer kept has too many names, or not all of them.
      if (!found || kept.get(parent) !== listing || isOver(listing)) return undefined;
      if (parent.touched !== listing.touched || listing.touched.has(name)) return undefined;
      const child = nodes.child(parent, name);
      if (child && ((child.namedUntil ?? 0) > performance.now() || isChanged(child, listing.asked))) return undefined;
      listing.byName ??= new Map(found.map((each) => [each.name, each.attributes]));
      const attributes = listing.byName.get(name);
      // What has other names may have been changed by one of these.
      if (!attributes || ((attributes.mode & KIND) !== DIRECTORY && attributes.exact?.links !== 1)) return undefined;
      listing.spared++;
      return { attributes, session: listing.session, asked: listing.asked };
    },
    async lookUp(parent, name, session, ask) {
      const began = performance.now();
      const { until } = entries.ask();
      let pace = paces.get(parent);
      if (!pace) paces.set(parent, (pace = { waited: 0, patience: PATIENCE_MS, last: { at: began, name: undefined } }));
      const listing = kept.get(parent);
      const isKnown = listing && !isOver(listing);
      if (listing?.isTrial && !isKnown) {
        listing.isTrial = false;
        const longer = Math.min(2 * Math.max(pace.patience, PATIENCE_MS), MOST_PATIENCE_MS);
        pace.patience = listing.spared >= WORTH ? 0 : longer;
      }
      const { last } = pace;
      // To whoever looks at one name again and again the others are of no use.
      const isAnother = name !== last.name;
      if (began - last.at > until - began) pace.waited = 0;
      const answer = session.together(() => {
        const asked = ask();
        if (isAnother && !isKnown && pace.waited >= pace.patience) void tryFor(parent, session, pace);
        return asked;
      });
      const found = await answer;
      const at = performance.now();
      if (isAnother) pace.waited += at - began;
      pace.last = { at, name };
      return found;
    },
  };
}

function page(session: SftpSession, remote: string): Promise<readonly Name[]> {
  const asked = session.ask(request.readdir(remote), reply.names);
  asked.catch(() => {});
  return asked;
}

/**
 * Asks for more pages before it knows that there are so many: the way may be long. No more than `most` names, and some: whatever else is asked waits for
 * them.
 */
async function list(
  session: SftpSession,
  remote: string,
  asked: Array<Promise<readonly Name[]>>,
  most: number,
): Promise<readonly Name[]> {
  const found: Name[] = [];
  try {
    for (let at = 0; at < asked.length; at++) {
      const some = await asked[at]!;
      if (some.length === 0) break;
      found.push(...some.filter(({ name }) => name !== "." && name !== ".."));
      if (found.length > most) break;
      const ahead = Math.min(MOST_PAGES, 2 * (at + 1), Math.ceil((most + 1 - found.length) / some.length));
      session.together(() => {
        while (asked.length - at - 1 < ahead) asked.push(page(session, remote));
      });
    }
    return found;
  } finally {
    session.later(request.close(remote));
  }
}
