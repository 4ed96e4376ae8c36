import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expand } from "./expand.ts";

const values: Record<string, string> = { A: "1", B: "$(A)", EMPTY: "", "a b": "spaced" };
const expanded = (text: string): string => expand(text, (name) => values[name]);

describe("expand", () => {
  // The rules are those of the API reference of EnvVar.value; the odd cases are what the kubelet's own table of cases has.
  it.each([
    ["$(A)", "1"],
    ["x$(A)y$(A)", "x1y1"],
    ["$(B)", "$(A)"],
    ["$(EMPTY)|", "|"],
    ["$(MISSING)", "$(MISSING)"],
    ["$$(A)", "$(A)"],
    ["$$$(A)", "$1"],
    ["$$$$(A)", "$$(A)"],
    ["$(A", "$(A"],
    ["$((A)", "$((A)"],
    ["$A", "$A"],
    ["$", "$"],
    ["$$", "$"],
    ["$()", "$()"],
    ["$(a b)", "spaced"],
    ["$ (A)", "$ (A)"],
    ["$é$(A)", "$é1"],
    ["--$(A)$", "--1$"],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's variable
    ["${A} `A` %A%", "${A} `A` %A%"],
    ["$(MISSING)$(A)", "$(MISSING)1"],
    ["$(", "$("],
    ["$(x\ny)", "$(x\ny)"],
  ])("%j → %j", (text, result) => expect(expanded(text)).toBe(result));

  it("lets text be that has every $ doubled", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."$()Ab ") }), (text) => {
        expect(expanded(text.replaceAll("$", "$$$$"))).toBe(text);
      }),
    );
  });
});
