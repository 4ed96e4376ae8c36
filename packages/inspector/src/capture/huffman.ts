/**
 * How many bits each byte takes (RFC 7541, appendix B), as `bytes of that length`, the bytes in hex and ranges of them. The code is canonical: among
 * codes of one length the bytes stand in their order, so that lengths are all there is to know.
 */
const LENGTHS: Readonly<Record<number, string>> = {
  5: "30-32 61 63 65 69 6f 73-74",
  6: "20 25 2d-2f 33-39 3d 41 5f 62 64 66-68 6c-6e 70 72 75",
  7: "3a 42-57 59 6a-6b 71 76-7a",
  8: "26 2a 2c 3b 58 5a",
  10: "21-22 28-29 3f",
  11: "27 2b 7c",
  12: "23 3e",
  13: "00 24 40 5b 5d 7e",
  14: "5e 7d",
  15: "3c 60 7b",
  19: "5c c3 d0",
  20: "80 82-83 a2 b8 c2 e0 e2",
  21: "99 a1 a7 ac b0-b1 b3 d1 d8-d9 e3 e5-e6",
  22: "81 84-86 88 92 9a 9c a0 a3-a4 a9-aa ad b2 b5 b9-bb bd-be c4 c6 e4 e8-e9",
  23: "01 87 89 8a-8e 90 93 95-98 9b 9d-9e a5-a6 a8 ae-af b4 b6-b7 bc bf c5 e7 ef",
  24: "09 8f 91 94 9f ab ce d7 e1 ec-ed",
  25: "c7 cf ea-eb",
  26: "c0-c1 c8-ca cd d2 d5 da-db ee f0 f2-f3 ff",
  27: "cb-cc d3-d4 d6 dd-df f1 f4-f8 fa-fe",
  28: "02-08 0b-0c 0e-15 17-1f 7f dc f9",
  30: "0a 0d 16",
};

/** By length of code: its first value, and the bytes in their order. */
const CODES: readonly { bits: number; first: number; bytes: readonly number[] }[] = (() => {
  let next = 0;
  let last = 0;
  return Object.entries(LENGTHS).map(([text, ranges]) => {
    const bits = Number(text);
    next <<= bits - last;
    last = bits;
    const bytes = ranges.split(" ").flatMap((range) => {
      const [from = 0, to = from] = range.split("-").map((hex) => Number.parseInt(hex, 16));
      return Array.from({ length: to - from + 1 }, (_, at) => from + at);
    });
    const first = next;
    next += bytes.length;
    return { bits, first, bytes };
  });
})();

/** Undefined where it is no text in that code: its padding is ones, of fewer than eight bits. */
export function decodeHuffman(packed: Uint8Array): string | undefined {
  const out: number[] = [];
  let code = 0;
  let bits = 0;
  let level = 0;
  for (const byte of packed) {
    for (let bit = 7; bit >= 0; bit--) {
      code = (code << 1) | ((byte >> bit) & 1);
      bits++;
      while (level < CODES.length && CODES[level]!.bits < bits) level++;
      const candidates = CODES[level];
      if (!candidates) return undefined;
      if (candidates.bits !== bits) continue;
      const found = candidates.bytes[code - candidates.first];
      if (found === undefined) continue;
      out.push(found);
      code = 0;
      bits = 0;
      level = 0;
    }
  }
  return bits < 8 && code === (1 << bits) - 1 ? Buffer.from(out).toString("latin1") : undefined;
}
