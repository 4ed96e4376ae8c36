/**
 * Finding and replacing one owner's lines. Text is the file's bytes as a latin1 string, one character a byte, so that what isn't ours
 * goes through unharmed whatever its encoding.
 *
 * A line is ours because it says so itself: a marker, or a line that ends in the owner's tag. So markers that a person deleted,
 * doubled or moved can't make us take a foreign line for ours, and a line that a person wrote between the markers is kept.
 * We only ever insert and delete whole lines, so taking ours out gives back the bytes that were there.
 */
const OWNER = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;

/** Letters, digits, `.`, `_`, `@`, `-`; at most 63. */
export function isOwnerName(owner: unknown): owner is string {
  return typeof owner === "string" && OWNER.test(owner);
}

export const tagOf = (owner: string): string => ` # shipside:${owner}`;
const beginOf = (owner: string): string => `# >>> shipside:${owner} >>>`;
const endOf = (owner: string): string => `# <<< shipside:${owner} <<<`;

/** A byte-order mark stays where it is: before the first line, whoever's that is. */
const BOM = "\xef\xbb\xbf";

export interface Edit {
  text: string;
  /** The owner's lines (no markers) that were in the file, without their ends. */
  previous: string[];
}

/** The file with `lines` as the owner's only ones; with no lines nothing of the owner is left. */
export function replaceBlock(text: string, owner: string, lines: readonly string[], defaultEol: string): Edit {
  const classify = classifier(owner);
  const eol = lineEndOf(text) ?? defaultEol;
  const block = lines.length === 0 ? "" : [beginOf(owner), ...lines, endOf(owner)].map((line) => line + eol).join("");
  const previous: string[] = [];
  const start = text.startsWith(BOM) ? BOM.length : 0;
  const out: string[] = [text.slice(0, start)];
  let placed = false;
  let lastForeign = "";
  for (const line of linesOf(text, start)) {
    const found = classify(line);
    if (found === undefined) {
      out.push(line);
      lastForeign = line;
      continue;
    }
    if (!placed) out.push(block);
    placed = true;
    if (found.entry !== undefined) previous.push(found.entry);
    if (found.rest) out.push(found.rest);
  }
  if (!placed) {
    // A last line without an end stays the last line, and stays without.
    const unended = lastForeign !== "" && !lastForeign.endsWith("\n");
    out.splice(unended ? out.length - 1 : out.length, 0, block);
  }
  return { text: out.join(""), previous };
}

/** 1-based numbers of the owner's lines, markers included. */
export function ownLineNumbers(text: string, owner: string): Set<number> {
  const classify = classifier(owner);
  const numbers = new Set<number>();
  let number = 0;
  for (const line of linesOf(text, text.startsWith(BOM) ? BOM.length : 0)) {
    number++;
    if (classify(line)) numbers.add(number);
  }
  return numbers;
}

/** Whose line it is, as it says itself. */
export const ownerOf = (line: string): string | undefined => / # shipside:([\w.@-]+)[ \t\r]*$/.exec(line)?.[1];

/** Owners that have lines in the file. */
export function ownersIn(text: string): Set<string> {
  const found = text.matchAll(
    /(?<=^|\n|^\xef\xbb\xbf)# (?:>>>|<<<) shipside:([\w.@-]+) (?:>>>|<<<)| # shipside:([\w.@-]+)(?=[ \t\r]*(?:\n|$))/g,
  );
  return new Set([...found].map((match) => match[1] ?? match[2] ?? "").filter(isOwnerName));
}

/** The file as it would be without any owner. */
export function withoutOwners(text: string): string {
  let rest = text;
  for (const owner of ownersIn(text)) rest = replaceBlock(rest, owner, [], "\n").text;
  return rest;
}

interface Own {
  /** An entry's line without its end; undefined for a marker. */
  entry?: string;
  /** What somebody appended to a marker that had lost its line end, with its own end. */
  rest?: string;
}

function classifier(owner: string): (line: string) => Own | undefined {
  const tag = tagOf(owner);
  const markers = [beginOf(owner), endOf(owner)];
  return (line) => {
    const content = line.replace(/[ \t\r\n]+$/, "");
    if (content.endsWith(tag)) return { entry: content };
    const marker = markers.find((each) => line.startsWith(each));
    if (marker === undefined) return undefined;
    return content.length > marker.length ? { rest: line.slice(marker.length) } : {};
  };
}

/** Lines with their ends; the last one may have none. */
function* linesOf(text: string, from: number): Generator<string> {
  for (let at = from; at < text.length; ) {
    const end = text.indexOf("\n", at);
    const next = end < 0 ? text.length : end + 1;
    yield text.slice(at, next);
    at = next;
  }
}

/** The line end that most lines have. */
function lineEndOf(text: string): "\n" | "\r\n" | undefined {
  const all = text.split("\n").length - 1;
  if (all === 0) return undefined;
  return (text.split("\r\n").length - 1) * 2 > all ? "\r\n" : "\n";
}
