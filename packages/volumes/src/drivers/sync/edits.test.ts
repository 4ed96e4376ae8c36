import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { makePair, type Pair, shown } from "./fixtures/pair.ts";
import { PARTIAL } from "./tree.ts";

const path = fc.constantFrom("a", "a", "a", "b", "d", "d/a", "d/a", "d/e", "d/e/a", "b/a");
const side = fc.constantFrom("here" as const, "there" as const);
/** `save`: as editors do, by another file. `open`, and `append` to what was opened last, wherever that is by now. */
const what = fc.constantFrom("write", "write", "write", "save", "save", "remove", "remove", "open", "append" as const);
const edit = fc.record({ what, path, side });
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never;
const round = fc.record({
  round: fc.constantFrom("cycle" as const, "sync" as const),
  /** After so many steps of the round from the last one on. */
  during: fc.array(fc.record({ edit, after: fc.nat(15) }), { maxLength: 6 }),
});

/** Texts that are somewhere on a side, by whether anybody sees them. */
function textsOf(root: string): { seen: Set<string>; hidden: Set<string> } {
  const [seen, hidden] = [new Set<string>(), new Set<string>()];
  for (const [name, text] of Object.entries(shown(root))) (name.includes(PARTIAL) ? hidden : seen).add(text);
  return { seen, hidden };
}

/** Edits at once, and knows what must not be lost: what was written, less what was replaced or taken away where it was before one's eyes. */
function editor(pair: Pair) {
  const newest = new Set<string>();
  let count = 1000;
  let opened: { file: number; side: Edit["side"] } | undefined;
  const contentOf = (file: number): string => {
    const room = Buffer.alloc(1000);
    return room.toString("latin1", 0, readSync(file, room, 0, room.length, 0));
  };
  const tried = (work: () => void): boolean => {
    try {
      work();
      return true;
    } catch {
      return false;
    }
  };
  const act = ({ what, path, side }: Edit): void => {
    const at = join(pair[side], path);
    const text = `text ${count++}`;
    switch (what) {
      case "remove":
        tried(() => rmSync(at, { recursive: true, force: true }));
        break;
      case "write":
      case "save":
        tried(() => mkdirSync(dirname(at), { recursive: true }));
        if (what === "write" && tried(() => writeFileSync(at, text))) newest.add(text);
        if (what === "save" && tried(() => writeFileSync(`${at}~`, text)) && tried(() => renameSync(`${at}~`, at)))
          newest.add(text);
        tried(() => rmSync(`${at}~`, { force: true }));
        break;
      case "open":
        if (opened) closeSync(opened.file);
        opened = undefined;
        tried(() => {
          opened = { file: openSync(at, "r+"), side };
        });
        break;
      case "append": {
        // What has no name any more nobody can find again.
        if (!opened || fstatSync(opened.file).nlink === 0) break;
        const { file } = opened;
        newest.delete(contentOf(file));
        writeSync(file, ` and ${text}`, fstatSync(file).size);
        newest.add(contentOf(file));
      }
    }
  };
  return {
    newest,
    edit(each: Edit) {
      const acted = each.what === "append" && opened ? opened.side : each.side;
      const other = acted === "here" ? "there" : "here";
      const before = textsOf(pair[acted]);
      act(each);
      const [after, elsewhere] = [textsOf(pair[acted]), textsOf(pair[other])];
      for (const text of before.seen) if (!after.seen.has(text)) newest.delete(text);
      // Who removes a folder removes what is kept in it.
      for (const text of before.hidden)
        if (!after.hidden.has(text) && !after.seen.has(text) && !elsewhere.seen.has(text)) newest.delete(text);
    },
    [Symbol.dispose]() {
      if (opened) closeSync(opened.file);
    },
  };
}

it("whatever is edited on both sides, and whenever, also while a round runs: no newest edit is lost, and both are the same in the end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 2, arbitrary: edit }, { weight: 1, arbitrary: round }), { maxLength: 25 }),
      async (events) => {
        await using pair = await makePair();
        using editing = editor(pair);
        for (const each of events) {
          if ("what" in each) {
            editing.edit(each);
            continue;
          }
          const due = [...each.during];
          let steps = 0;
          pair.hooks.step = () => {
            if (due.length === 0 || steps++ < due[0]!.after) return;
            steps = 0;
            editing.edit(due.shift()!.edit);
          };
          await (each.round === "cycle" ? pair.once() : pair.sync());
          delete pair.hooks.step;
          for (const { edit } of due) editing.edit(edit);
        }
        await pair.sync();
        const [ours, theirs] = [shown(pair.here), shown(pair.there)];
        expect(ours).toEqual(theirs);
        for (const text of editing.newest) expect(Object.values(ours)).toContain(text);
        const left = [...(await readdir(pair.here, { recursive: true })), ...(await readdir(pair.there, { recursive: true }))];
        expect(left.filter((name) => name.includes(PARTIAL))).toEqual([]);
      },
    ),
    { numRuns: process.env["SHIPSIDE_SOAK"] === "1" ? 1_000 : 40 },
  );
}, 300_000);
