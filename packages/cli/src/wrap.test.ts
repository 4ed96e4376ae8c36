import fc from "fast-check";
import { expect, test } from "vitest";
import { wrap } from "./wrap.ts";

test("nothing is lost by wrapping, and no line is too wide but for one long word", () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z/]{1,40}$/)), fc.integer({ min: 5, max: 80 }), (words, room) => {
      const wrapped = wrap(words.join(" "), room);
      expect(wrapped.join(" ").split(" ").filter(Boolean)).toEqual(words);
      for (const line of wrapped) if (line.includes(" ")) expect(line.length).toBeLessThanOrEqual(room);
    }),
  );
});
