import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createEntries } from "./entries.ts";
import { ROOT_ID } from "./protocol.ts";
import type { Attributes } from "./replies.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const file = (more: Partial<Attributes> = {}): Attributes => ({
  ...{ size: 1, mode: 0o100644, uid: 0, gid: 0, atime: 100, mtime: 100, ...more },
});
const directory = file({ mode: 0o040755 });

function world() {
  const entries = createEntries({ remotePath: "/v", user: { uid: 0, gid: 0 }, cacheSeconds: 2 });
  const root = entries.nodeOf(ROOT_ID);
  const look = (name: string, attributes: Attributes) => entries.nodeOf(entries.look(root, name, attributes, entries.ask()).node);
  return { ...entries, root, look };
}

test("what was told is known for as long as it was true when it was asked, and no longer", () => {
  const { root, look, known, find } = world();
  const f = look("f", file());
  vi.advanceTimersByTime(1_500);
  expect(known(f)).toMatchObject({ node: f.id, attributes: file(), seconds: 0.5 });
  expect(find(root, "f")).toMatchObject({ node: f.id, seconds: 0.5, namedSeconds: 0.5 });
  expect(f.lookups).toBe(2);
  vi.advanceTimersByTime(500);
  expect([known(f), find(root, "f"), f.lookups]).toEqual([undefined, undefined, 2]);
});

test("what is changed from here isn't known until it was asked for after that", () => {
  const { look, known, change, ask, told } = world();
  const f = look("f", file());
  const before = ask();
  change(f);
  expect(known(f)).toBeUndefined();
  told(f, file({ size: 2 }), before);
  expect(known(f)).toBeUndefined();
  const after = ask();
  told(f, file({ size: 3 }), after);
  expect(known(f)?.attributes.size).toBe(3);
  // An answer that was asked for before that one: of a listing that took its time.
  vi.advanceTimersByTime(10);
  told(f, file({ size: 4 }), ask());
  expect(told(f, file({ size: 3 }), after).attributes.size).toBe(4);
  expect(known(f)?.attributes.size).toBe(4);
});

test("by another name of the same file it is changed as well", () => {
  const { look, known, change } = world();
  const exact = { inode: 7n, links: 2, blocks: 0n, atime: 0n, mtime: 0n, ctime: 0n };
  const [one, other] = [look("one", file({ exact })), look("other", file({ exact }))];
  change(one);
  expect([known(one), known(other)]).toEqual([undefined, undefined]);
});

test("a directory into which something is put has its name all the same, a file that is written is asked for", () => {
  const { root, look, known, find, change } = world();
  const [d, f] = [look("d", directory), look("f", file())];
  change(d, f);
  expect(known(d)).toBeUndefined();
  expect(find(root, "d")).toMatchObject({ node: d.id, seconds: 0, namedSeconds: 2 });
  expect(find(root, "f")).toBeUndefined();
});

test("of what failed nothing is known, nor of what has the name that it was about", () => {
  const { nodes, root, look, known, find, doubt } = world();
  const [d, other] = [look("d", directory), look("other", directory)];
  nodes.miss(root, "none", performance.now() + 1_000);
  doubt(root.id, "d");
  expect([known(d), find(root, "d"), nodes.absent(root, "none")]).toEqual([undefined, undefined, 0]);
  expect(find(root, "other")?.node).toBe(other.id);
});

test("of what was asked by its handle the name isn't known, nor of what was moved or removed", () => {
  const { nodes, root, look, known, find, told, ask } = world();
  const f = look("f", file());
  vi.advanceTimersByTime(1_000);
  told(f, file(), ask(), { named: false });
  vi.advanceTimersByTime(1_500);
  expect([known(f)?.seconds, find(root, "f")]).toEqual([0.5, undefined]);
  const d = look("d", directory);
  nodes.move(root, "d", root, "e");
  expect([find(root, "d"), find(root, "e")]).toEqual([undefined, undefined]);
  nodes.remove(root, "e");
  expect(known(d)).toBeUndefined();
});

test("a name that isn't there is known not to be, until something has it, or that is in doubt", () => {
  const { nodes, root, look } = world();
  const miss = (): void => nodes.miss(root, "f", performance.now() + 1_000);
  miss();
  expect(nodes.absent(root, "f")).toBe(1_000);
  vi.advanceTimersByTime(1_000);
  expect(nodes.absent(root, "f")).toBe(0);
  miss();
  look("f", file());
  expect(nodes.absent(root, "f")).toBe(0);
  nodes.forget(nodes.child(root, "f")!.id, 1);
  expect(nodes.absent(root, "f")).toBe(0);
  miss();
  nodes.doubt(root);
  expect(nodes.absent(root, "f")).toBe(0);
  // Of a directory in which countless names are asked for not all are kept.
  for (let count = 0; count < 5_000; count++) nodes.miss(root, `${count}`, performance.now() + 1_000);
  expect(root.missing!.size).toBeLessThanOrEqual(1_000);
});

test("pages are those of the content as it was when the file was opened", () => {
  const { look, isSame, told, ask } = world();
  const f = look("f", file());
  expect(isSame(f, file())).toBe(false);
  expect(isSame(f, file())).toBe(true);
  // Seen to be another, though nobody opened it.
  told(f, file({ mtime: 200 }), ask());
  expect(isSame(f, file({ mtime: 200 }))).toBe(false);
  const now = Date.now() / 1000;
  expect([isSame(f, file({ mtime: now })), isSame(f, file({ mtime: now }))]).toEqual([false, false]);
  expect(isSame(f, undefined)).toBe(false);
});
