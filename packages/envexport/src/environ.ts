/** An environment as a process has it, in its order. */
export interface Environ {
  values: Map<string, string>;
  /** Names whose values are not UTF-8 text. */
  notText: string[];
}

/**
 * NUL-separated `NAME=value` (proc(5), `/proc/pid/environ`; `env -0`). Undefined where it is something else: a process may have written
 * its title over it. Of a name that is there twice the first counts, as for getenv(3).
 */
export function parseEnviron(bytes: Buffer): Environ | undefined {
  const values = new Map<string, string>();
  const notText: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const nul = bytes.indexOf(0, at);
    const end = nul === -1 ? bytes.length : nul;
    const equals = bytes.indexOf("=", at + 1);
    if (end === at || equals === -1 || equals > end) return undefined;
    const name = bytes.toString("utf8", at, equals);
    const value = decodeText(bytes.subarray(equals + 1, end));
    if (value === undefined) notText.push(name);
    else if (!values.has(name)) values.set(name, value);
    at = end + 1;
  }
  return { values, notText };
}

/** Undefined where it is not UTF-8. */
export function decodeText(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
