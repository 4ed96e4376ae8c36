/**
 * Replaces `$(NAME)` by `lookup(NAME)`; a name without a value stays as written, `$$` is a literal `$`. Rule: the API reference of
 * `EnvVar.value` and of `Container.command`.
 */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  let out = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    const next = text[at + 1];
    if (char !== "$" || next === undefined) out += char;
    else if (next === "$") {
      out += "$";
      at++;
    } else if (next === "(") {
      const end = text.indexOf(")", at + 2);
      if (end < 0) {
        out += "$(";
        at++;
      } else {
        const name = text.slice(at + 2, end);
        out += lookup(name) ?? `$(${name})`;
        at = end;
      }
    } else out += char;
  }
  return out;
}
