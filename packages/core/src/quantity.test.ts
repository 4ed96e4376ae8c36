import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { divideQuantity, parseQuantity } from "./quantity.ts";

describe("parseQuantity", () => {
  it.each([
    ["500m", 0.5],
    ["1Gi", 2 ** 30],
    ["1e3", 1000],
    ["1E", 1e18],
    ["25u", 25e-6],
    [".5", 0.5],
    ["5.", 5],
    ["+2k", 2000],
    ["-1", -1],
    [4, 4],
    [0.5, 0.5],
  ])("%s is %d", (text, value) => expect(parseQuantity(text)).toBe(value));

  it.each(["", ".", "x", "1x", "1Kb", "1 Gi", "--1", "1e3Ki", "1toString", "1constructor"])("%j is none", (text) =>
    expect(parseQuantity(text)).toBeUndefined(),
  );
});

describe("divideQuantity", () => {
  it.each([
    ["cpu", "500m", "1m", "500"],
    ["cpu", "500m", undefined, "1"],
    ["cpu", "1500m", undefined, "2"],
    ["cpu", "0.1", "1m", "100"],
    ["cpu", "1e-3", "1m", "1"],
    ["cpu", "100n", "1m", "1"],
    ["cpu", "1", "0", "1"],
    ["cpu", "-1500m", "1", "-1"],
    ["cpu", 2, 1, "2"],
    ["memory", "1.5Gi", "1Mi", "1536"],
    ["memory", "100Mi", "1Gi", "1"],
    ["memory", "128974848", "1", "128974848"],
    ["memory", "129e6", "1k", "129000"],
    ["memory", "123Mi", "1M", "129"],
    ["memory", "1E", "1P", "1000"],
    ["memory", ".5Ki", "1", "512"],
    ["memory", "25276510200m", "1", "25276511"],
    ["memory", "8Ei", "1", "9223372036854775808"],
    // Both become whole units before they are divided.
    ["memory", "1", "500m", "1"],
    ["memory", "", "1", undefined],
    ["memory", "1", "1Kb", undefined],
  ])("%s %s / %s = %s", (resource, value, divisor, result) => expect(divideQuantity(resource, value, divisor)).toBe(result));

  it("rounds up, and never lets a binary fraction add one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 1e4 }), (milli, divisor) => {
        expect(divideQuantity("cpu", `${milli}m`, `${divisor}m`)).toBe(String(Math.ceil(milli / divisor)));
      }),
    );
  });

  it("is exact for whole numbers of any unit", () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.constantFrom("m", "", "k", "M", "Ki", "Mi", "Gi"), (number, unit) => {
        expect(divideQuantity(unit === "m" ? "cpu" : "memory", `${number}${unit}`, `1${unit}`)).toBe(String(number));
      }),
    );
  });
});
