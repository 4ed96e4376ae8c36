import { DIRECTORY, ROOT_ID } from "./protocol.ts";
import type { Attributes } from "./replies.ts";

/** What the kernel knows by a number, and a file server by its path. */
export interface Node {
  readonly id: number;
  /** Undefined for the root, and where nothing has this path any more. */
  parent: Node | undefined;
  name: string;
  /** How often the kernel was told of it, and hasn't forgotten. */
  lookups: number;
  /** The kind of file: the upper bits of its mode. */
  kind: number;
  /** Of a plain file: its number on the server, where that tells it. */
  inode?: bigint | undefined;
  /** What it was when it was last opened, where its time was by then old enough to tell another content: that of its pages. */
  settled?: Attributes | undefined;
  /** What the server last said of it. */
  known?: Known | undefined;
  /** What the kernel was last told. */
  told?: Attributes;
  /** Until then, in ms, its content may be taken to be of that. */
  sameUntil?: number;
  /** And by an answer of which it drops the pages of another content. */
  seen?: Attributes;
  /** Of a directory: the kernel has asked for it, and wasn't told yet what it is since it was last changed from here. */
  isWanted?: boolean;
  /** Of a directory into which something was put from here: until then, in ms, it may be taken to be there. */
  filledUntil?: number | undefined;
  /** The count of changes with the last one of it, and with the last one of its content. */
  changed?: number;
  written?: number;
  /** Of a directory made a moment ago: until then, in ms, nothing is in it but what was put in here. */
  knownUntil?: number | undefined;
  /** Of a directory: names that it hasn't, each with the time until which that is known, in ms. */
  missing?: Map<string, number> | undefined;
  /** Of a directory that was listed: names of which something else has become known since. Undefined where the listing can't be relied on. */
  touched?: Set<string> | undefined;
  /** Of a directory: the count of changes with the last one of a name in it that the kernel has forgotten. */
  lost?: number;
  /** The kernel was told that its name is this one's until then, in ms. */
  namedUntil?: number;
}

/** So many names are kept of those that a directory hasn't. */
const MOST_MISSING = 1_000;
/** And of those of which something became known since it was listed: more than a listing has. */
const MOST_TOUCHED = 10_000;

/** Times in ms. */
export interface Known {
  readonly attributes: Attributes;
  /** Until then they may be taken as so: 0 where it was changed from here. */
  readonly until: number;
}

/** Which numbers the kernel was told. A number is never given twice. Pure. */
export interface Nodes {
  readonly size: number;
  /** Undefined where the number was never given, or is forgotten. */
  get(id: number): Node | undefined;
  /** The one of this name, kind and number, made where there is none. Counts as a lookup. */
  look(parent: Node, name: string, kind: number, inode?: bigint): Node;
  child(parent: Node, name: string): Node | undefined;
  /** A directory has nothing of this name: so the server said, and it may be said again until then, in ms. */
  miss(parent: Node, name: string, until: number): void;
  /** For how long to come it is known that a directory has nothing of this name, in ms; 0 where it has, or may have. */
  absent(parent: Node, name: string): number;
  /** What a directory has, and hasn't, isn't known any more. */
  doubt(parent: Node): void;
  forget(id: number, lookups: number): void;
  /** Nothing has this name any more. */
  remove(parent: Node, name: string): void;
  /** It has another name now, and what had that has none. */
  move(parent: Node, name: string, newParent: Node, newName: string): void;
  /** Below the root, without a slash at its beginning; undefined for what has been removed. */
  path(node: Node): string | undefined;
}

export function createNodes(): Nodes {
  const root: Node = { id: ROOT_ID, parent: undefined, name: "", lookups: 1, kind: DIRECTORY };
  const all = new Map<number, Node>([[ROOT_ID, root]]);
  const named = new Map<Node, Map<string, Node>>();
  let ids = ROOT_ID;

  const touch = (parent: Node, name: string): void => {
    if (parent.touched?.add(name) && parent.touched.size > MOST_TOUCHED) parent.touched = undefined;
  };
  const place = (node: Node, parent: Node, name: string): void => {
    node.parent = parent;
    node.name = name;
    let names = named.get(parent);
    if (!names) named.set(parent, (names = new Map()));
    names.set(name, node);
    parent.missing?.delete(name);
    touch(parent, name);
  };
  const displace = (node: Node): void => {
    if (node.parent) touch(node.parent, node.name);
    const names = node.parent && named.get(node.parent);
    if (names?.get(node.name) === node) {
      names.delete(node.name);
      if (names.size === 0) named.delete(node.parent!);
    }
    node.parent = undefined;
    node.known = undefined;
    node.filledUntil = undefined;
  };
  const nodes: Nodes = {
    get size() {
      return all.size;
    },
    get: (id) => all.get(id),
    child: (parent, name) => named.get(parent)?.get(name),
    miss(parent, name, until) {
      if (!parent.missing || parent.missing.size >= MOST_MISSING) parent.missing = new Map();
      parent.missing.set(name, until);
      touch(parent, name);
    },
    absent(parent, name) {
      const until = Math.max(parent.knownUntil ?? 0, parent.missing?.get(name) ?? 0);
      return until === 0 || nodes.child(parent, name) ? 0 : Math.max(0, until - performance.now());
    },
    doubt(parent) {
      parent.knownUntil = undefined;
      parent.missing = undefined;
      parent.touched = undefined;
    },
    look(parent, name, kind, inode) {
      let node = nodes.child(parent, name);
      // A file that is a directory now is another one, and so is what was put in its place: who has that one open has another file.
      if (node && (node.kind !== kind || node.inode !== inode)) {
        displace(node);
        node = undefined;
      }
      if (!node) {
        node = { id: ++ids, parent, name, lookups: 0, kind, inode };
        all.set(node.id, node);
        place(node, parent, name);
      }
      node.lookups++;
      return node;
    },
    forget(id, lookups) {
      const node = all.get(id);
      if (!node || node === root) return;
      node.lookups -= lookups;
      if (node.lookups > 0) return;
      // It is still there.
      if (node.parent) {
        node.parent.knownUntil = undefined;
        node.parent.lost = Math.max(node.parent.lost ?? 0, node.changed ?? 0);
      }
      displace(node);
      all.delete(id);
    },
    remove(parent, name) {
      touch(parent, name);
      const node = nodes.child(parent, name);
      if (node) displace(node);
    },
    move(parent, name, newParent, newName) {
      nodes.remove(newParent, newName);
      const node = nodes.child(parent, name);
      touch(parent, name);
      if (!node) {
        nodes.doubt(newParent);
        return;
      }
      displace(node);
      place(node, newParent, newName);
    },
    path(node) {
      const parts: string[] = [];
      let at: Node | undefined = node;
      for (; at && at !== root; at = at.parent) parts.push(at.name);
      return at === root ? parts.reverse().join("/") : undefined;
    },
  };
  return nodes;
}
