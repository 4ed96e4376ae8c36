import { kubeError } from "./errors.ts";

const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into lines and parses each as JSON. Bytes are joined before they are decoded, so a chunk may end anywhere,
 * also within a character. Throws `KUBE_PROTOCOL` for a line that is not JSON or longer than `limit` bytes.
 */
export function createJsonLines<T>(limit = 64 << 20): { push(chunk: Buffer): T[] } {
  let rest: Buffer[] = [];
  let length = 0;
  const parse = (line: Buffer): T => {
    try {
      return JSON.parse(line.toString("utf8")) as T;
    } catch (cause) {
      throw kubeError("KUBE_PROTOCOL", `a watch sent a line of ${line.length} bytes that is not JSON`, { cause });
    }
  };
  return {
    push(chunk) {
      const out: T[] = [];
      let from = 0;
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
        const piece = chunk.subarray(from, at);
        const line = rest.length === 0 ? piece : Buffer.concat([...rest, piece]);
        rest = [];
        length = 0;
        from = at + 1;
        // An empty line carries nothing.
        if (line.length > 1 || (line.length === 1 && line[0] !== 0x0d)) out.push(parse(line));
      }
      if (from < chunk.length) {
        rest.push(chunk.subarray(from));
        length += chunk.length - from;
        if (length > limit) throw kubeError("KUBE_PROTOCOL", `a watch sent a line of more than ${limit} bytes`);
      }
      return out;
    },
  };
}
