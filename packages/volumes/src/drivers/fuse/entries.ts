import { createLinks } from "./links.ts";
import { createNodes, type Known, type Node, type Nodes } from "./nodes.ts";
import { type LocalUser, ownerHere } from "./owners.ts";
import { DIRECTORY, KIND, REGULAR, ROOT_ID } from "./protocol.ts";
import { type Attributes, changedNotice, type Entry } from "./replies.ts";
import { FileError, request } from "./sftp-packets.ts";
import type { SftpSession } from "./sftp-session.ts";

export interface EntriesOptions {
  /** Absolute, as the server sees it: what is mounted. */
  remotePath: string;
  /** Whose files the server's own are here. */
  user: LocalUser;
  /** How long names and attributes may be out of date, in s. */
  cacheSeconds: number;
  /** Sends the kernel a notice: before an answer that is given after that. */
  notify(notice: Buffer): void;
}

/**
 * When a question was sent. A server answers in order, so its answer has in it all that was changed from here before, and nothing of what was
 * changed after.
 */
export interface Asked {
  readonly changes: number;
  /** Until when its answer may be taken as so, in ms. */
  readonly until: number;
}

/**
 * What the kernel was told of a mount's files. It asks again for much that it was told a moment ago: for what it changed itself, and for each name
 * before it makes something of that name. What is known of attributes, and of names that aren't there, is said without asking the server, and for no
 * longer than the kernel itself would have taken it as so; of names that are there only where that is sure enough.
 */
export interface Entries {
  readonly nodes: Nodes;
  /** Throws `ESTALE`. */
  nodeOf(id: number): Node;
  /** As the server knows it, or a name in it. Throws what {@link without} makes for what has none any more. */
  pathOf(node: Node, name?: string): string;
  /** What asks for its attributes by its path. */
  question(node: Node): Buffer;
  /** As this machine is to see them. */
  shown(attributes: Attributes, session: SftpSession): Attributes;
  /** To be called before a question is sent. */
  ask(): Asked;
  /** A change of these, by any of their names, is being sent. */
  change(...nodes: ReadonlyArray<Node | undefined>): void;
  /** The same, and its content is another then. */
  write(node: Node): void;
  /** What is known of it, and of what has this name in it, may not be so any more. */
  doubt(id: number, name: string | undefined): void;
  /** Whether it was changed after something was asked. */
  isChanged(node: Node, asked: Asked): boolean;
  /** Whether what was told of this name is to be asked anew: what has it, perhaps by another of its names, was changed from here after that was asked. */
  isPast(parent: Node, name: string, attributes: Attributes, asked: Asked): boolean;
  /** Whether another file has its name: these are that one's. */
  isReplaced(node: Node, attributes: Attributes): boolean;
  /** Whether its content was changed after something was asked. */
  isWritten(node: Node, asked: Asked): boolean;
  /** Whether it was last written long enough ago, as far as is known, for its time to show when it is written again. */
  isSettled(node: Node): boolean;
  /** What the server said of it. */
  told(node: Node, attributes: Attributes, asked: Asked): Entry;
  /** What was told, to the kernel, which asked for it. */
  seen(node: Node, entry: Entry): Entry;
  /**
   * The same, to the kernel, which has set some of it. It takes the time that it is told then, and keeps its pages, be they of before what another
   * wrote: so it is told the time that it knew, and asks again.
   */
  set(node: Node, entry: Entry): Entry;
  /** Something was put into this directory. */
  filled(directory: Node, asked: Asked): void;
  look(parent: Node, name: string, attributes: Attributes, asked: Asked): Entry;
  /** Somebody else has removed it, or put another file in its place: who has it open asks what it is by now. */
  gone(node: Node): void;
  /** What is known of it, which the kernel asks for; undefined where the server has to be asked. */
  known(node: Node): Entry | undefined;
  /**
   * A directory of this name into which something was put a moment ago, perhaps without what it is like since then. Counts as a lookup. Nothing else: the kernel
   * asks for a name that it knows where it is to be made, and somebody else may have removed it (a lock).
   */
  find(parent: Node, name: string): Entry | undefined;
  /** Whether it has the content of which the kernel has pages. From now on these are of what was found. */
  isSame(node: Node, found: Attributes | undefined): boolean;
  /** Other names of the same file: what the kernel knows by them isn't so any more. */
  changed(node: Node): void;
  forget(id: number, lookups: number): void;
}

/** Within so many seconds of its change a file may change again without that showing: clocks differ, and a file system's may be coarse. */
const UNSETTLED_S = 2;

export function createEntries({ remotePath, user, cacheSeconds, notify }: EntriesOptions): Entries {
  const nodes = createNodes();
  const links = createLinks();
  let changes = 0;
  const secondsTo = (until: number): number => Math.max(0, (until - performance.now()) / 1000);
  const named = (node: Node, entry: Entry): Entry => {
    node.namedUntil = performance.now() + entry.namedSeconds * 1000;
    return entries.seen(node, entry);
  };
  const entryOf = (node: Node, { attributes, until }: Known, namedUntil = until): Entry => {
    node.told = attributes;
    return { node: node.id, attributes, seconds: secondsTo(until), namedSeconds: secondsTo(namedUntil) };
  };
  const mark = (node: Node): void => {
    node.changed = changes;
    // What a directory was does for finding it by its name; what a file's pages are depends on its size.
    node.known = node.known && node.kind === DIRECTORY ? { ...node.known, until: 0 } : undefined;
  };
  const entries: Entries = {
    nodes,
    nodeOf(id) {
      const node = nodes.get(id);
      if (!node) throw new FileError("ESTALE");
      return node;
    },
    pathOf(node, name) {
      const path = nodes.path(node);
      if (path === undefined) throw without(node);
      return [remotePath, path, name].filter(Boolean).join("/");
    },
    question: (node) => (node.id === ROOT_ID ? request.stat : request.lstat)(entries.pathOf(node)),
    shown: (attributes, { user: theirs }) => ({ ...attributes, ...ownerHere(attributes, theirs, user) }),
    ask: () => ({ changes, until: performance.now() + cacheSeconds * 1000 }),
    change(...those) {
      changes++;
      for (const node of those) {
        if (!node) continue;
        mark(node);
        for (const each of links.others(node)) mark(each);
      }
    },
    write(node) {
      entries.change(node);
      node.written = changes;
      for (const each of links.others(node)) each.written = changes;
    },
    doubt(id, name) {
      const node = nodes.get(id);
      if (!node) return;
      nodes.doubt(node);
      const child = name === undefined ? undefined : nodes.child(node, name);
      entries.change(node, child);
      if (child) child.known = undefined;
    },
    isChanged: ({ changed = 0 }, asked) => changed > asked.changes,
    isWritten: ({ written = 0 }, asked) => written > asked.changes,
    isSettled: ({ told }) => told !== undefined && isOld(told),
    told(node, attributes, asked) {
      links.told(node, attributes);
      if (node.settled && !same(node.settled, attributes)) node.settled = undefined;
      // Somebody else has written to it: what was asked of it before isn't so any more.
      if (node.told && !same(node.told, attributes)) node.written = ++changes;
      node.sameUntil = Math.max(node.sameUntil ?? 0, asked.until);
      const { known } = node;
      // Of two answers the later one counts.
      if (known && known.until > asked.until) return entryOf(node, known);
      const found = { attributes, until: asked.until };
      if (!entries.isChanged(node, asked)) node.known = found;
      return entryOf(node, found);
    },
    seen(node, entry) {
      node.seen = entry.attributes;
      return entry;
    },
    set({ kind, seen }, entry) {
      const { attributes } = entry;
      if (kind !== REGULAR || !seen?.exact || !attributes.exact || same(seen, attributes)) return entry;
      const exact = { ...attributes.exact, mtime: seen.exact.mtime };
      return { ...entry, attributes: { ...attributes, mtime: seen.mtime, exact }, seconds: 0 };
    },
    filled(directory, { until }) {
      directory.filledUntil = until;
    },
    look(parent, name, attributes, asked) {
      const kind = attributes.mode & KIND;
      // Directories stay who they are: there are file systems that number anew what isn't open.
      const inode = kind === REGULAR ? attributes.exact?.inode : undefined;
      const before = nodes.child(parent, name);
      const node = nodes.look(parent, name, kind, inode);
      if (before && before !== node) entries.gone(before);
      return named(node, entries.told(node, attributes, asked));
    },
    gone(node) {
      if (node.parent) nodes.remove(node.parent, node.name);
      notify(changedNotice(node.id));
    },
    isPast(parent, name, { mode, exact }, asked) {
      const child = nodes.child(parent, name);
      if (entries.isChanged(child ?? parent, asked)) return true;
      if (!child && (parent.lost ?? 0) > asked.changes) return true;
      if (!exact || exact.links === 1 || (mode & KIND) === DIRECTORY) return false;
      return links.lost > asked.changes || [...links.of(exact.inode)].some((each) => entries.isChanged(each, asked));
    },
    isReplaced: ({ inode }, { exact }) => inode !== undefined && exact !== undefined && exact.inode !== inode,
    known(node) {
      node.isWanted = true;
      return node.known && node.known.until > performance.now() ? entryOf(node, node.known) : undefined;
    },
    find(parent, name) {
      const node = nodes.child(parent, name);
      const { known, filledUntil = 0 } = node ?? {};
      if (!node || !known || filledUntil <= performance.now()) return undefined;
      node.isWanted = true;
      return named(node, entryOf(nodes.look(parent, name, node.kind), known, filledUntil));
    },
    isSame(node, found) {
      const { settled } = node;
      node.settled = found && isOld(found) ? found : undefined;
      return settled !== undefined && found !== undefined && same(settled, found);
    },
    changed(node) {
      for (const { id } of links.others(node)) notify(changedNotice(id));
    },
    forget(id, lookups) {
      const node = nodes.get(id);
      nodes.forget(id, lookups);
      if (node && !nodes.get(id)) links.forget(node);
    },
  };
  return entries;
}

/** Of what has no name any more: a file by that name is looked up anew then, and who stands in a directory that was removed is told so, as on a disk. */
export const without = ({ kind }: Node): FileError => new FileError(kind === DIRECTORY ? "ENOENT" : "ESTALE");

const isOld = ({ mtime }: Attributes): boolean => Date.now() / 1000 - mtime > UNSETTLED_S;

/** Of the same content, as far as attributes tell. */
const same = (one: Attributes, other: Attributes): boolean =>
  one.size === other.size &&
  one.mtime === other.mtime &&
  one.exact?.mtime === other.exact?.mtime &&
  one.exact?.inode === other.exact?.inode;
