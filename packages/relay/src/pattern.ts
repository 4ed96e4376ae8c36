import { relayError } from "./errors.ts";

/** Longest pattern, in characters. */
export const PATTERN_LENGTH = 512;
/** Longest text that is looked at; a longer one matches no pattern. */
export const PATTERN_INPUT = 8192;
/** What a pattern may unfold to: with `PATTERN_INPUT` it bounds the time of one match to some milliseconds. */
const INSTRUCTIONS = 512;
const DEPTH = 32;

/** A compiled pattern, found anywhere in the text unless it is anchored by `^` and `$`. */
export interface Pattern {
  test(text: string): boolean;
}

type Range = readonly [from: number, to: number];
type Assertion = "start" | "end" | "boundary" | "inside";
type Node =
  | { is: "set"; ranges: readonly Range[]; not: boolean }
  | { is: "assert"; what: Assertion }
  | { is: "all"; nodes: readonly Node[] }
  | { is: "any"; nodes: readonly Node[] }
  | { is: "repeat"; node: Node; least: number; most: number };

type Instruction =
  | { op: "set"; ranges: readonly Range[]; not: boolean }
  | { op: "assert"; what: Assertion }
  | { op: "fork"; one: number; other: number }
  | { op: "found" };

const CLASSES: Readonly<Record<string, readonly Range[]>> = {
  d: [[48, 57]],
  w: [
    [48, 57],
    [65, 90],
    [95, 95],
    [97, 122],
  ],
  s: [
    [9, 13],
    [32, 32],
    [0xa0, 0xa0],
  ],
};
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 };

/**
 * A regular expression that is matched in time linear in the text, whatever the pattern: someone's pattern runs on every request of a
 * shared Service, and JavaScript's own engine can be made to take exponential time. Literals, `.`, `[…]`, `\d \w \s` and their
 * opposites, `^ $ \b \B`, groups, `|`, `* + ? {n,m}` and a leading `(?i)`; no back references and no lookaround.
 * Throws `RELAY_PATTERN`.
 */
export function compilePattern(source: string): Pattern {
  const ignoreCase = source.startsWith("(?i)");
  const program = emit(source, parse(source, ignoreCase ? 4 : 0));
  return { test: (text) => text.length <= PATTERN_INPUT && run(program, ignoreCase ? text.toLowerCase() : text) };
}

const refuse = (source: string, why: string): never => {
  throw relayError("RELAY_PATTERN", `the pattern ${JSON.stringify(source.slice(0, 80))} can't be used: ${why}`, {
    hint: "literals, ., [...], \\d \\w \\s, ^ $ \\b, groups, | and * + ? {n,m} are known, without back references and lookaround",
  });
};

function parse(source: string, from: number): Node {
  if (source.length > PATTERN_LENGTH) refuse(source, `it is longer than ${PATTERN_LENGTH} characters`);
  const ignoreCase = from > 0;
  let at = from;

  const fold = (code: number): number => (ignoreCase && code >= 65 && code <= 90 ? code + 32 : code);
  const literal = (code: number): Node => ({ is: "set", ranges: [[fold(code), fold(code)]], not: false });

  const alternatives = (depth: number): Node => {
    if (depth > DEPTH) refuse(source, `its groups are nested deeper than ${DEPTH}`);
    const nodes = [sequence(depth)];
    while (source[at] === "|") {
      at++;
      nodes.push(sequence(depth));
    }
    return nodes.length === 1 ? nodes[0]! : { is: "any", nodes };
  };

  const sequence = (depth: number): Node => {
    const nodes: Node[] = [];
    while (at < source.length && source[at] !== "|" && source[at] !== ")") nodes.push(repeated(atom(depth)));
    return { is: "all", nodes };
  };

  const repeated = (node: Node): Node => {
    const bounds = quantifier();
    if (!bounds) return node;
    if (node.is === "assert") refuse(source, "a repetition follows an anchor");
    // Lazy or not makes no difference to whether there is a match.
    if (source[at] === "?") at++;
    if (quantifier()) refuse(source, "a repetition follows a repetition");
    return { is: "repeat", node, ...bounds };
  };

  const quantifier = (): { least: number; most: number } | undefined => {
    const character = source[at];
    if (character === "*" || character === "+" || character === "?") {
      at++;
      return { least: character === "+" ? 1 : 0, most: character === "?" ? 1 : Number.POSITIVE_INFINITY };
    }
    if (character !== "{") return undefined;
    const found =
      /^\{(\d{1,3})(?:(,)(\d{1,3})?)?\}/.exec(source.slice(at, at + 9)) ?? refuse(source, "a { is neither {n}, {n,} nor {n,m}");
    at += found[0].length;
    const least = Number(found[1]);
    const most = found[3] !== undefined ? Number(found[3]) : found[2] ? Number.POSITIVE_INFINITY : least;
    if (most < least) refuse(source, "a {n,m} has its numbers the wrong way round");
    return { least, most };
  };

  const atom = (depth: number): Node => {
    const character = source[at++]!;
    if (character === "(") {
      if (source[at] === "?") {
        if (source[at + 1] !== ":") refuse(source, "it has a group (?…) other than (?:…), or (?i) elsewhere than at its start");
        at += 2;
      }
      const inner = alternatives(depth + 1);
      if (source[at++] !== ")") refuse(source, "a ( has no )");
      return inner;
    }
    if (character === "[") return bracket();
    if (character === "\\") return afterBackslash();
    if (character === "^") return { is: "assert", what: "start" };
    if (character === "$") return { is: "assert", what: "end" };
    if (character === ".")
      return {
        is: "set",
        ranges: [
          [10, 10],
          [13, 13],
          [0x2028, 0x2029],
        ],
        not: true,
      };
    if ("*+?{}]".includes(character)) refuse(source, `the ${character} at ${at} has nothing that it belongs to`);
    return literal(character.charCodeAt(0));
  };

  /** One character after a backslash, in and out of brackets; undefined where it names no single character. */
  const escaped = (character: string): number | undefined => {
    if (character === "x") {
      const hex = /^[0-9a-fA-F]{2}/.exec(source.slice(at, at + 2)) ?? refuse(source, "\\x wants two hexadecimal digits");
      at += 2;
      return Number.parseInt(hex[0], 16);
    }
    if (character in CONTROLS) return CONTROLS[character];
    return /[A-Za-z0-9]/.test(character) ? undefined : character.charCodeAt(0);
  };

  const afterBackslash = (): Node => {
    const character = source[at++] ?? refuse(source, "it ends with a backslash");
    const ranges = CLASSES[character.toLowerCase()];
    if (ranges) return { is: "set", ranges, not: character !== character.toLowerCase() };
    if (character === "b") return { is: "assert", what: "boundary" };
    if (character === "B") return { is: "assert", what: "inside" };
    return literal(escaped(character) ?? refuse(source, `\\${character} isn't known`));
  };

  const bracket = (): Node => {
    const not = source[at] === "^";
    if (not) at++;
    const ranges: Range[] = [];
    /** A character, or the ranges of a class such as \d. */
    const member = (): number | readonly Range[] => {
      const character = source[at++] ?? refuse(source, "a [ has no ]");
      if (character !== "\\") return character.charCodeAt(0);
      const name = source[at++] ?? refuse(source, "it ends with a backslash");
      return CLASSES[name] ?? escaped(name) ?? refuse(source, `\\${name} isn't known in [...]`);
    };
    while (source[at] !== "]") {
      const low = member();
      if (typeof low !== "number") {
        ranges.push(...low);
        continue;
      }
      let high = low;
      if (source[at] === "-" && source[at + 1] !== "]") {
        at++;
        const end = member();
        if (typeof end !== "number" || end < low) refuse(source, "a range in [...] has its ends the wrong way round");
        high = end as number;
      }
      ranges.push([low, high]);
      // The text is lower-cased: capitals of the range stand for their small letters.
      if (ignoreCase && low <= 90 && high >= 65) ranges.push([Math.max(low, 65) + 32, Math.min(high, 90) + 32]);
    }
    at++;
    return { is: "set", ranges, not };
  };

  const node = alternatives(0);
  if (at < source.length) refuse(source, "a ) has no (");
  return node;
}

function emit(source: string, root: Node): readonly Instruction[] {
  const program: Instruction[] = [];
  const add = (instruction: Instruction): number => {
    if (program.length >= INSTRUCTIONS) refuse(source, "its repetitions unfold to too many steps");
    return program.push(instruction) - 1;
  };
  const fork = (): { op: "fork"; one: number; other: number } => {
    const instruction = { op: "fork" as const, one: 0, other: 0 };
    add(instruction);
    return instruction;
  };

  const put = (node: Node): void => {
    if (node.is === "set") add({ op: "set", ranges: node.ranges, not: node.not });
    else if (node.is === "assert") add({ op: "assert", what: node.what });
    else if (node.is === "all") for (const one of node.nodes) put(one);
    else if (node.is === "any") {
      const ends = node.nodes.slice(0, -1).map((one) => {
        const choice = fork();
        choice.one = program.length;
        put(one);
        const end = fork();
        choice.other = program.length;
        return end;
      });
      put(node.nodes.at(-1)!);
      for (const end of ends) end.one = end.other = program.length;
    } else {
      for (let i = 0; i < node.least; i++) put(node.node);
      if (node.most === Number.POSITIVE_INFINITY) {
        const start = program.length;
        const loop = fork();
        loop.one = program.length;
        put(node.node);
        const back = fork();
        back.one = back.other = start;
        loop.other = program.length;
      } else {
        const skips = Array.from({ length: node.most - node.least }, () => {
          const skip = fork();
          skip.one = program.length;
          put(node.node);
          return skip;
        });
        for (const skip of skips) skip.other = program.length;
      }
    }
  };
  put(root);
  add({ op: "found" });
  return program;
}

const contains = (set: { ranges: readonly Range[]; not: boolean }, code: number): boolean => {
  for (const [from, to] of set.ranges) if (code >= from && code <= to) return !set.not;
  return set.not;
};

const isWord = (code: number): boolean => contains({ ranges: CLASSES["w"]!, not: false }, code);

function holds(what: Assertion, text: string, at: number): boolean {
  if (what === "start") return at === 0;
  if (what === "end") return at === text.length;
  const boundary = isWord(text.charCodeAt(at - 1)) !== isWord(text.charCodeAt(at));
  return boundary === (what === "boundary");
}

/** All ways at once, each instruction at most once a character (K. Thompson, "Regular Expression Search Algorithm", 1968). */
function run(program: readonly Instruction[], text: string): boolean {
  const seen = new Int32Array(program.length).fill(-1);
  let [now, next]: [number[], number[]] = [[], []];
  const stack: number[] = [];

  /** Adds what can be reached without a character; true where that is the end. */
  const add = (list: number[], start: number, at: number): boolean => {
    stack.push(start);
    for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
      if (seen[i] === at) continue;
      seen[i] = at;
      const instruction = program[i]!;
      if (instruction.op === "found") {
        stack.length = 0;
        return true;
      }
      if (instruction.op === "set") list.push(i);
      else if (instruction.op === "fork") stack.push(instruction.other, instruction.one);
      else if (holds(instruction.what, text, at)) stack.push(i + 1);
    }
    return false;
  };

  for (let at = 0; ; at++) {
    if (add(now, 0, at)) return true;
    if (at === text.length) return false;
    const code = text.charCodeAt(at);
    for (const i of now) {
      const instruction = program[i]!;
      if (instruction.op === "set" && contains(instruction, code) && add(next, i + 1, at + 1)) return true;
    }
    [now, next] = [next, now];
    next.length = 0;
  }
}
