import { createLinks } from "./links.ts";
import { createNodes, type Node, type Nodes } from "./nodes.ts";
import { type Attributes, changedNotice, type Entry } from "./replies.ts";
import { FileError } from "./sftp-packets.ts";
import type { SftpSession } from "./sftp-session.ts";

export interface EntriesOptions {
  /** Absolute, as the server sees it: what is mounted. */
  remotePath: string;
  /** Whose files the server's own are here. */
  user: { uid: number; gid: number };
}

/** What the kernel was told of a mount's files. */
export interface Entries {
  readonly nodes: Nodes;
  /** Throws `ESTALE`. */
  nodeOf(id: number): Node;
  /** As the server knows it, or a name in it. Throws `ENOENT` for what has none any more. */
  pathOf(node: Node, name?: string): string;
  /** As this machine is to see them. */
  shown(attributes: Attributes, session: SftpSession): Attributes;
  told(node: Node, attributes: Attributes): Entry;
  look(parent: Node, name: string, attributes: Attributes): Entry;
  /** Whether it has the content of which the kernel has pages. */
  isSame(node: Node, found: Attributes): boolean;
  /** Other names of the same file: what the kernel knows by them isn't so any more. */
  changed(node: Node, tell: (notice: Buffer) => void): void;
  forget(id: number, lookups: number): void;
}

const KIND = 0o170000;
/** Within so many seconds of its change a file may change again without that showing: clocks differ, and a file system's may be coarse. */
const UNSETTLED_S = 2;

export function createEntries({ remotePath, user }: EntriesOptions): Entries {
  const nodes = createNodes();
  const links = createLinks();
  const entries: Entries = {
    nodes,
    nodeOf(id) {
      const node = nodes.get(id);
      if (!node) throw new FileError("ESTALE");
      return node;
    },
    pathOf(node, name) {
      const path = nodes.path(node);
      if (path === undefined) throw new FileError("ENOENT");
      return [remotePath, path, name].filter(Boolean).join("/");
    },
    shown: (attributes, { user: theirs }) => ({
      ...attributes,
      uid: attributes.uid === theirs.uid ? user.uid : attributes.uid,
      gid: attributes.gid === theirs.gid ? user.gid : attributes.gid,
    }),
    told(node, attributes) {
      links.told(node, attributes);
      node.settled = Date.now() / 1000 - attributes.mtime > UNSETTLED_S ? attributes : undefined;
      return { node: node.id, attributes };
    },
    look: (parent, name, attributes) => entries.told(nodes.look(parent, name, attributes.mode & KIND), attributes),
    isSame({ settled }, { size, mtime, exact }) {
      return settled?.size === size && settled.mtime === mtime && settled.exact?.mtime === exact?.mtime;
    },
    changed(node, tell) {
      for (const { id } of links.others(node)) tell(changedNotice(id));
    },
    forget(id, lookups) {
      const node = nodes.get(id);
      nodes.forget(id, lookups);
      if (node && !nodes.get(id)) links.forget(node);
    },
  };
  return entries;
}
