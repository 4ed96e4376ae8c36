import { expect, test } from "vitest";
import { createLinks } from "./links.ts";
import { createNodes, type Node } from "./nodes.ts";
import { ROOT_ID } from "./protocol.ts";

const attributes = (inode: bigint, links: number) => ({
  ...{ size: 1, mode: 0o100644, uid: 1, gid: 1, atime: 1, mtime: 1 },
  exact: { inode, links, blocks: 8n, atime: 1n, mtime: 1n, ctime: 1n },
});

test("names of one file know of each other, until they are others or forgotten", () => {
  const nodes = createNodes();
  const links = createLinks();
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => nodes.look(nodes.get(ROOT_ID)!, name, 0o100000)) as Node[];
  for (const node of [a!, b!, c!]) links.told(node, attributes(7n, 3));
  links.told(d!, attributes(8n, 2));
  expect([links.others(a!), links.others(d!)]).toEqual([[b, c], []]);
  links.forget(b!);
  expect([links.others(a!), links.others(b!)]).toEqual([[c], []]);
  links.told(c!, attributes(8n, 2));
  expect([links.others(a!), links.others(d!)]).toEqual([[], [c]]);
  // Of a name that was removed the file may be open.
  links.told(c!, attributes(8n, 1));
  expect(links.others(d!)).toEqual([c]);
  links.told(c!, attributes(9n, 1));
  expect(links.others(d!)).toEqual([]);
});

test("a file's only name is another node than those by which it is still open", () => {
  const nodes = createNodes();
  const links = createLinks();
  const [a, b, again, other] = ["a", "b", "c", "d"].map((name) => nodes.look(nodes.get(ROOT_ID)!, name, 0o100000)) as Node[];
  for (const node of [a!, b!]) links.told(node, attributes(7n, 2));
  links.told(again!, attributes(7n, 1));
  links.told(other!, attributes(8n, 1));
  expect([links.others(again!), links.others(b!), links.others(other!)]).toEqual([[a, b], [a, again], []]);
});
