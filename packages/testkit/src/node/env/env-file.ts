/**
 * The value of a key in a file that a container's env is taken from (`fileKeyRef`), as Kubernetes reads such files since 1.35 (KEP-3721):
 * `NAME='value'` and nothing else. What stands between the quotes is taken as it is, line ends too; comments stand on lines of their own
 * or behind the closing quote; with a blank behind `=` the value is empty. Undefined where no line names the key. Throws where a line up
 * to the key's isn't of that form.
 */
export function envFileValue(text: string, key: string): string | undefined {
  const lines = text.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!.replace(/^[ \t]+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const wrong = (what: string): Error => new Error(`invalid environment variable format at line ${at + 1}: ${what}`);
    const equals = line.indexOf("=");
    if (equals < 0) throw wrong("missing '='");
    const name = line.slice(0, equals);
    if (name === "") throw wrong("empty variable name");
    if (/[ \t]$/.test(name)) throw wrong("whitespace before '=' is not allowed");
    const after = line.slice(equals + 1);
    if (/^[ \t]/.test(after)) {
      if (name === key) return "";
      continue;
    }
    if (!after.startsWith("'")) throw wrong("value must be enclosed in single quotes");
    const first = at;
    let value = after.slice(1);
    while (!value.includes("'")) {
      if (++at >= lines.length)
        throw new Error(`invalid environment variable format starting at line ${first + 1}: unclosed single quote`);
      value += `\n${lines[at]}`;
    }
    const close = value.indexOf("'");
    if (!/^[ \t]*(#.*)?$/.test(value.slice(close + 1))) throw wrong("unexpected content after closing quote");
    if (name === key) return value.slice(0, close);
  }
  return undefined;
}
