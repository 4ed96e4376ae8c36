import fc from "fast-check";
import { expect, test } from "vitest";
import { createNodes } from "./nodes.ts";
import { ROOT_ID } from "./protocol.ts";

const FILE = 0o100000;
const DIRECTORY = 0o040000;

test("a number stays with its file whatever its name becomes, and is never given again", () => {
  const nodes = createNodes();
  const root = nodes.get(ROOT_ID)!;
  const d = nodes.look(root, "d", DIRECTORY);
  const f = nodes.look(d, "f", FILE);
  expect(nodes.look(d, "f", FILE)).toBe(f);
  nodes.move(root, "d", root, "e");
  expect(nodes.path(f)).toBe("e/f");
  nodes.remove(d, "f");
  expect([nodes.path(f), nodes.get(f.id)]).toEqual([undefined, f]);
  const other = nodes.look(d, "f", FILE);
  expect(other.id).not.toBe(f.id);
  // What is a directory now is another one.
  expect(nodes.look(d, "f", DIRECTORY).id).not.toBe(other.id);
  nodes.forget(f.id, 1);
  expect(nodes.get(f.id)).toBe(f);
  nodes.forget(f.id, 1);
  expect(nodes.get(f.id)).toBeUndefined();
});

test("whatever is done, a path leads to who has it, and all is forgotten in the end", () => {
  const name = fc.constantFrom("a", "b", "c");
  const step = fc.tuple(fc.constantFrom("look", "remove", "move"), fc.nat(5), name, fc.nat(5), name);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const nodes = createNodes();
      const root = nodes.get(ROOT_ID)!;
      const directories = [root];
      const known = new Set<ReturnType<typeof nodes.look>>();
      for (const [kind, first, one, second, other] of steps) {
        const [parent, into] = [directories[first % directories.length]!, directories[second % directories.length]!];
        if (kind === "look") {
          const made = nodes.look(parent, one, DIRECTORY);
          if (!known.has(made) && nodes.path(made) !== undefined) directories.push(made);
          known.add(made);
        } else if (kind === "remove") nodes.remove(parent, one);
        // No kernel moves a directory into itself.
        else if (!`${nodes.path(into)}/`.startsWith(`${nodes.path(parent)}/${one}/`.replace(/^\//, "")))
          nodes.move(parent, one, into, other);
        for (const node of known) if (node.parent) expect(nodes.child(node.parent, node.name)).toBe(node);
      }
      for (const node of known) nodes.forget(node.id, node.lookups);
      expect(nodes.size).toBe(1);
    }),
  );
});

test("a directory made a moment ago has what was put into it, unless something of that was forgotten", () => {
  const nodes = createNodes();
  const root = nodes.get(ROOT_ID)!;
  const d = nodes.look(root, "d", DIRECTORY);
  const known = (name: string): boolean => nodes.absent(d, name) > 0;
  expect(known("f")).toBe(false);
  d.knownUntil = performance.now() + 60_000;
  expect(nodes.absent(d, "f")).toBeLessThanOrEqual(60_000);
  const f = nodes.look(d, "f", FILE);
  expect([known("f"), known("g")]).toEqual([false, true]);
  nodes.move(d, "f", d, "g");
  expect([known("f"), known("g")]).toEqual([true, false]);
  nodes.remove(d, "g");
  nodes.forget(f.id, 1);
  expect(known("g")).toBe(true);
  nodes.forget(nodes.look(d, "h", FILE).id, 1);
  expect([known("g"), known("h")]).toEqual([false, false]);
  d.knownUntil = performance.now() + 60_000;
  nodes.move(root, "unknown", d, "f");
  expect(known("f")).toBe(false);
  d.knownUntil = performance.now() - 1;
  expect(nodes.absent(d, "g")).toBe(0);
});

test("what became known of a directory since it was listed is no longer kept where it is much", () => {
  const nodes = createNodes();
  const root = nodes.get(ROOT_ID)!;
  root.touched = new Set();
  for (let each = 0; each < 20_000; each++) nodes.forget(nodes.look(root, `f-${each}`, FILE).id, 1);
  expect(root.touched).toBeUndefined();
});
