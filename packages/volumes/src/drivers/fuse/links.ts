import type { Node } from "./nodes.ts";
import type { Attributes } from "./replies.ts";

/** Which nodes are one file, by several names of it: the kernel knows each by itself, and of none that a change of another is one of it. Pure. */
export interface Links {
  /** What a node was told to be. */
  told(node: Node, attributes: Attributes): void;
  /** Of the same file. */
  others(node: Node): Node[];
  /** All that are told to be the file of this number, one of whose names they have. */
  of(inode: bigint): Iterable<Node>;
  forget(node: Node): void;
  /** The count of changes with the last one of a node that was forgotten. */
  readonly lost: number;
}

export function createLinks(): Links {
  const inodes = new Map<Node, bigint>();
  const sharing = new Map<bigint, Set<Node>>();
  let lost = 0;
  const links: Links = {
    get lost() {
      return lost;
    },
    told(node, { exact }) {
      // Of two names of a file that is open by both, one may be removed.
      if (exact && inodes.get(node) === exact.inode) return;
      // And its last name may be told anew, while it is open by one that was removed.
      const inode = exact && (exact.links > 1 || sharing.has(exact.inode)) ? exact.inode : undefined;
      links.forget(node);
      if (inode === undefined) return;
      inodes.set(node, inode);
      const nodes = sharing.get(inode) ?? new Set();
      sharing.set(inode, nodes.add(node));
    },
    others(node) {
      const inode = inodes.get(node);
      // Each write asks.
      if (inode === undefined) return [];
      return [...(sharing.get(inode) ?? [])].filter((each) => each !== node);
    },
    of: (inode) => sharing.get(inode) ?? [],
    forget(node) {
      const inode = inodes.get(node);
      if (inode === undefined) return;
      inodes.delete(node);
      lost = Math.max(lost, node.changed ?? 0);
      const nodes = sharing.get(inode);
      nodes?.delete(node);
      if (nodes?.size === 0) sharing.delete(inode);
    },
  };
  return links;
}
