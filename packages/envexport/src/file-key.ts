/**
 * The value of a key in an env file as the kubelet reads it for a `fileKeyRef` (KEP-3721): lines `NAME='value'`, without space around
 * the `=` and always in single quotes, between which everything stands for itself, line ends too. Comments and blank lines may stand
 * between them. It stops at the key, so what is wrong behind it doesn't matter.
 *
 * Undefined where the file hasn't the key, or gives it nothing: to the kubelet that is the same. Throws where it is not such a file; the
 * message tells the line's number, never its text.
 */
export function fileKey(text: string, key: string): string | undefined {
  // As Go's line scanner: a CR before a line's end belongs to it, and a last line needs none.
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  if (lines.at(-1) === "") lines.pop();
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!.replace(/^[ \t]+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const bad = (why: string, line = at): Error => new Error(`line ${line + 1}: ${why}`);
    const equals = line.indexOf("=");
    if (equals === -1) throw bad("there is no =");
    const name = line.slice(0, equals);
    if (name.trim() === "") throw bad("there is no name");
    if (/[ \t]$/.test(name)) throw bad("there is a space before the =");
    let rest = line.slice(equals + 1);
    if (/^[ \t]/.test(rest)) {
      if (name === key) return undefined;
      continue;
    }
    if (!rest.startsWith("'")) throw bad("the value is not in single quotes");
    rest = rest.slice(1);
    const begun = at;
    let value = "";
    for (let quote = rest.indexOf("'"); ; quote = rest.indexOf("'")) {
      if (quote !== -1) {
        if (!/^[ \t]*(#|$)/.test(rest.slice(quote + 1))) throw bad("something stands behind the closing quote");
        value += rest.slice(0, quote);
        break;
      }
      value += `${rest}\n`;
      const next = lines[++at];
      if (next === undefined) throw bad("the quote is never closed", begun);
      rest = next;
    }
    if (name === key) return value === "" ? undefined : value;
  }
  return undefined;
}
