import { envError } from "../errors.ts";

/** A quoted or plain piece of a word; plain text and double quotes only where they hold nothing that a shell would expand. */
const PIECE = /'([^']*)'|"((?:[^"\\$`]|\\[\s\S])*)"|\\([\s\S])|([^\s'"\\$`;|&<>()#]|(?<=[^\s;])#)/y;
const NAME = /([A-Za-z_][A-Za-z0-9_]*)(=)?/y;

/**
 * The assignments of a shell file, read without running it: `NAME=value` and `export NAME=value` in all ways to quote. Throws
 * `ENV_FILE_UNREADABLE` with the line's number (never its text) for anything that a shell would have to work out.
 */
export function parseSh(text: string): Record<string, string> {
  const out = new Map<string, string>();
  let at = 0;
  const fail = (why: string): never => {
    const line = text.slice(0, at).split("\n").length;
    throw envError("ENV_FILE_UNREADABLE", `line ${line}: ${why}`, {
      hint: "only assignments can be read without running the file; compare with a shell that has sourced it",
    });
  };
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text) ?? undefined;
    if (found) at = pattern.lastIndex;
    return found;
  };
  const word = (): string => {
    if (text[at] === "~") fail("a shell would put a home directory here");
    let value = "";
    for (let piece = take(PIECE); piece; piece = take(PIECE)) {
      const [, single, double, escaped, plain] = piece;
      value += single ?? double?.replace(/\\([$`"\\\n])/g, (_, char: string) => (char === "\n" ? "" : char)) ?? "";
      value += (escaped === "\n" ? "" : escaped) ?? plain ?? "";
      if (plain === ":" && text[at] === "~") fail("a shell would put a home directory here");
    }
    return value;
  };

  while (at < text.length) {
    take(/(?:[\s;]|\\\n|(?<![^\s;])#[^\n]*)+/y);
    if (at >= text.length) break;
    const exporting = take(/export[ \t]+(?=[A-Za-z_])/y) !== undefined;
    const assigned: Array<[string, string]> = [];
    for (;;) {
      const [, name = "", equals] = take(NAME) ?? fail("this is no assignment");
      if (equals) assigned.push([name, word()]);
      else if (!exporting) fail("this is no assignment");
      if (take(/[ \t]*(?=[\n\r;]|$)|[ \t]+(?=#)/y)) break;
      if (!take(/[ \t]+/y)) fail("a shell would have to work this out");
    }
    for (const [name, value] of assigned) out.set(name, value);
  }
  return Object.fromEntries(out);
}
