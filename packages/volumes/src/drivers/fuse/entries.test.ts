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
  const entries = createEntries({ remotePath: "/v", user: { uid: 0, gid: 0 }, cacheSeconds: 2, notify() {} });
  const root = entries.nodeOf(ROOT_ID);
  const look = (name: string, attributes: Attributes) => entries.nodeOf(entries.look(root, name, attributes, entries.ask()).node);
  return { ...entries, root, look };
}

test("what was told is known for as long as it was true when it was asked, and no longer", () => {
  const { look, known } = world();
  const f = look("f", file());
  vi.advanceTimersByTime(1_500);
  expect(known(f)).toMatchObject({ node: f.id, attributes: file(), seconds: 0.5 });
  vi.advanceTimersByTime(500);
  expect(known(f)).toBeUndefined();
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

test("of names only a directory's is known into which something was just put, until it is moved or removed", () => {
  const { nodes, root, look, known, find, filled, change, ask } = world();
  const [d, f] = [look("d", directory), look("f", file())];
  expect([find(root, "d"), find(root, "f"), find(root, "none")]).toEqual([undefined, undefined, undefined]);
  change(d);
  filled(d, ask());
  expect(known(d)).toBeUndefined();
  vi.advanceTimersByTime(500);
  expect(find(root, "d")).toMatchObject({ node: d.id, seconds: 0, namedSeconds: 1.5 });
  expect([d.lookups, f.lookups]).toEqual([2, 1]);
  nodes.move(root, "d", root, "e");
  expect(find(root, "e")).toBeUndefined();
  vi.advanceTimersByTime(1_500);
  const again = look("d", directory);
  filled(again, ask());
  vi.advanceTimersByTime(2_000);
  expect(find(root, "d")).toBeUndefined();
});

test("of what failed nothing is known, nor of what has the name that it was about", () => {
  const { nodes, root, look, known, find, filled, doubt, ask } = world();
  const [d, other] = [look("d", directory), look("other", directory)];
  for (const each of [d, other]) filled(each, ask());
  nodes.miss(root, "none", performance.now() + 1_000);
  doubt(root.id, "d");
  expect([known(d), find(root, "d"), nodes.absent(root, "none")]).toEqual([undefined, undefined, 0]);
  expect(find(root, "other")?.node).toBe(other.id);
  nodes.remove(root, "other");
  expect([known(other), find(root, "other")]).toEqual([undefined, undefined]);
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
