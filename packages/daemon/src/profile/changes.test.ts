import fc from "fast-check";
import { expect, test } from "vitest";
import { changesOf } from "./changes.ts";
import { planText } from "./plan.ts";

const entriesOf = (workloads: readonly string[]) =>
  planText(JSON.stringify({ teleports: workloads.map((workload) => ({ workload })) }), "/x/shipside.yaml").entries;

test("only what differs is closed and opened, and afterwards nothing differs", () => {
  const workloads = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 6 });
  fc.assert(
    fc.property(workloads, workloads, (before, after) => {
      const open = entriesOf(before).map(({ options }) => ({ origin: options.origin! }));
      const { kept, closed, opened } = changesOf(entriesOf(after), open);
      const now = [...kept, ...opened.map(({ options }) => ({ origin: options.origin! }))];
      expect(kept.length + closed.length).toBe(open.length);
      expect(now.map(({ origin }) => origin.digest).sort()).toEqual(
        entriesOf(after)
          .map(({ options }) => options.origin!.digest)
          .sort(),
      );
      // Nothing is closed to be opened again.
      const gone = new Set(closed.map(({ origin }) => origin.digest));
      expect(opened.some(({ options }) => gone.has(options.origin!.digest))).toBe(false);
    }),
  );
});

test("an entry that moved is the same", () => {
  const open = entriesOf(["a", "b"]).map(({ options }) => ({ origin: options.origin! }));
  const { kept, closed, opened } = changesOf(entriesOf(["new", "b", "a"]), open);
  expect([kept.length, closed, opened.map(({ entry }) => entry)]).toEqual([2, [], ["teleports[0]"]]);
});
