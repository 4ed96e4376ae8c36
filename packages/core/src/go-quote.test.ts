import { expect, it } from "vitest";
import { goQuote } from "./go-quote.ts";

it.each([
  ["plain é 雪 😀 <&>", '"plain é 雪 😀 <&>"'],
  ['a"b\\c', '"a\\"b\\\\c"'],
  ["\u0007\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'],
  ["\u0000\u0001\u001b\u007f", '"\\x00\\x01\\x1b\\x7f"'],
  ["\u0085\u00a0\u200b\u2028\ufeff", '"\\u0085\\u00a0\\u200b\\u2028\\ufeff"'],
  ["\u{e0001}", '"\\U000e0001"'],
])("%j as Go writes it", (text, expected) => {
  expect(goQuote(text)).toBe(expected);
});
