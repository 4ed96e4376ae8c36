import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pidOf } from "@shipside/core";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openJournal } from "./journal.ts";
import { journalDir, parseJournal, readAbandoned, readJournals } from "./journal-files.ts";

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "shipside-journal-"));
});
afterEach(() => rm(state, { recursive: true, force: true }));

test("who makes nothing leaves no file", async () => {
  await openJournal(state).close();
  expect(existsSync(journalDir(state))).toBe(false);
});

test("a record is on disk before `record` resolves, and struck out after", async () => {
  await using journal = openJournal(state);
  const undone = await journal.record({ kind: "thing", data: { a: 1 } }, "s1");
  const stored = parseJournal(await readFile(journal.pathOf("s1"), "utf8"));
  expect(stored.outstanding).toEqual([{ id: "1", kind: "thing", data: { a: 1 }, session: "s1" }]);
  expect(stored.run).toBe(journal.run);
  expect(stored.process && pidOf(stored.process)).toBe(process.pid);
  const more = await journal.record({ kind: "thing", data: { a: 2 } }, "s1");
  await undone();
  await undone();
  expect(parseJournal(await readFile(journal.pathOf("s1"), "utf8")).outstanding).toMatchObject([{ data: { a: 2 } }]);
  await more();
  expect(existsSync(journalDir(state))).toBe(false);
});

test("the file stays where something is outstanding, and is anybody's then", async () => {
  await using journal = openJournal(state);
  await journal.record({ kind: "thing", data: {} });
  expect(await readAbandoned(state)).toEqual([]);
  await journal.close();
  expect((await readAbandoned(state)).map(({ outstanding }) => outstanding.length)).toEqual([1]);
});

test("each session has a file of its own, and what belongs to none another", async () => {
  await using journal = openJournal(state);
  const undo = await journal.record({ kind: "a", data: {} }, "s1");
  await journal.record({ kind: "b", data: {} }, "../s2");
  await journal.record({ kind: "c", data: {} });
  expect((await readdir(journalDir(state))).sort()).toEqual(
    [`${journal.run}-___s2.jsonl`, `${journal.run}-s1.jsonl`, `${journal.run}.jsonl`].sort(),
  );
  expect(journal.outstanding.map(({ kind }) => kind)).toEqual(["a", "b", "c"]);
  await undo();
  await journal.endSession("s1");
  await journal.endSession("../s2");
  // The session that ended with something left is others' to undo, although its process runs.
  expect((await readAbandoned(state)).map(({ outstanding }) => outstanding.map(({ kind }) => kind))).toEqual([["b"]]);
  expect(journal.outstanding.map(({ kind }) => kind)).toEqual(["c"]);
});

test("concurrent records are all kept, each line whole", async () => {
  await using journal = openJournal(state);
  const undos = await Promise.all(Array.from({ length: 50 }, (_, i) => journal.record({ kind: "thing", data: { i } })));
  await Promise.all(undos.filter((_, i) => i % 2 === 0).map((undo) => undo()));
  const { outstanding } = parseJournal(await readFile(journal.pathOf(), "utf8"));
  expect(outstanding.map(({ data }) => data["i"])).toEqual(Array.from({ length: 25 }, (_, i) => 2 * i + 1));
});

test("a folder that can't be written is said before anything is made", async () => {
  await writeFile(join(state, "journal"), "a file where the folder should be");
  await expect(openJournal(state).record({ kind: "thing", data: {} })).rejects.toMatchObject({ code: "JOURNAL_FAILED" });
});

test("a closed journal takes no record", async () => {
  await using journal = openJournal(state);
  await journal.close();
  await expect(journal.record({ kind: "thing", data: {} })).rejects.toMatchObject({ code: "JOURNAL_FAILED" });
});

test("cut anywhere, a journal still names everything whose line is whole", () => {
  const kinds = fc.array(fc.record({ kind: fc.string({ minLength: 1 }), text: fc.string() }), { maxLength: 8 });
  fc.assert(
    fc.property(kinds, fc.nat(), (made, cut) => {
      const lines = made.map(({ kind, text }, i) => `${JSON.stringify({ op: "make", id: String(i), kind, data: { text } })}\n`);
      const text = lines.join("");
      const at = text.length === 0 ? 0 : cut % (text.length + 1);
      const whole = text.slice(0, at).split("\n").length - 1;
      expect(parseJournal(text.slice(0, at)).outstanding.map(({ data }) => data["text"])).toEqual(
        made.slice(0, whole).map(({ text: t }) => t),
      );
    }),
  );
});

test("garbage never throws", () => {
  fc.assert(fc.property(fc.string(), (text) => void parseJournal(text)));
  fc.assert(fc.property(fc.array(fc.json()), (lines) => void parseJournal(`${lines.join("\n")}\n`)));
});

test("garbage in a journal on disk hides nothing that follows", async () => {
  await using journal = openJournal(state);
  await journal.record({ kind: "a", data: {} });
  await appendFile(journal.pathOf(), "not json\n[]\nnull\n");
  await journal.record({ kind: "b", data: {} });
  expect((await readJournals(state))[0]?.outstanding.map(({ kind }) => kind)).toEqual(["a", "b"]);
});

test("a process killed at once after `record` has left its record", async () => {
  const script = `
    const { openJournal } = await import(${JSON.stringify(new URL("journal.ts", import.meta.url).href)});
    await openJournal(${JSON.stringify(state)}).record({ kind: "thing", data: { from: "child" } });
    process.kill(process.pid, "SIGKILL");`;
  const child = spawn(process.execPath, ["--conditions=@shipside/source", "--input-type=module", "-e", script], {
    stdio: "inherit",
  });
  await new Promise((resolve) => child.once("exit", resolve));
  expect((await readJournals(state))[0]?.outstanding).toMatchObject([{ kind: "thing", data: { from: "child" } }]);
});
