import type { Readable } from "node:stream";
import { daemonError } from "../errors.ts";

export interface HelperArgs {
  uid: number;
  gid: number;
  /** Started by the machine's service manager. */
  installed: boolean;
}

const USAGE = "usage: main --uid UID --gid GID [--installed]";

/** `self` is whose process this is. Throws `HELPER_FAILED` for anything but exactly what it takes. */
export function parseHelperArgs(args: readonly string[], self: number | undefined): HelperArgs {
  const [uidFlag, uid, gidFlag, gid, installed, ...rest] = args;
  const fits = uidFlag === "--uid" && gidFlag === "--gid" && (installed === undefined || installed === "--installed");
  if (!fits || rest.length > 0) throw daemonError("HELPER_FAILED", "the helper takes exactly its own arguments", { hint: USAGE });
  if (self !== 0) {
    throw daemonError("HELPER_FAILED", "the helper must run as root", { hint: "`shipside start` runs it through sudo or doas" });
  }
  return { uid: idOf(uid, "--uid"), gid: idOf(gid, "--gid"), installed: installed !== undefined };
}

/** 2^32-1 means "none" to the system's calls. */
function idOf(text: string | undefined, flag: string): number {
  const id = /^(?:0|[1-9]\d{0,9})$/.test(text ?? "") ? Number(text) : Number.NaN;
  if (id >= 0 && id < 0xffff_ffff) return id;
  throw daemonError("HELPER_FAILED", `${flag} ${JSON.stringify(text?.slice(0, 40))} is no id`, { hint: USAGE });
}

const MOST = 1024 * 1024;

/** The first line, as JSON: what the launcher is given. Without a line, an empty object. Throws `HELPER_FAILED`. */
export async function readStart(input: Readable, timeoutMs = 10_000): Promise<object> {
  const bad = (why: string, cause?: unknown): Error => daemonError("HELPER_FAILED", `the helper's first line ${why}`, { cause });
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => input.destroy(bad(`did not come within ${timeoutMs} ms`)), timeoutMs);
  try {
    for await (const chunk of input) {
      const bytes = Buffer.from(chunk as Buffer);
      const end = bytes.indexOf("\n");
      chunks.push(end < 0 ? bytes : bytes.subarray(0, end));
      size += bytes.length;
      if (size > MOST) throw bad(`is longer than ${MOST} bytes`);
      if (end >= 0) break;
    }
  } finally {
    clearTimeout(timer);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  if (text === "") return {};
  let start: unknown;
  try {
    start = JSON.parse(text);
  } catch (cause) {
    throw bad("is no JSON", cause);
  }
  if (typeof start !== "object" || start === null || Array.isArray(start)) throw bad("is no object");
  return start;
}
