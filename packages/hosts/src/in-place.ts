import { open, readFile, rename, unlink } from "node:fs/promises";
import { codeOf, type Logger } from "@shipside/core";
import { hasChanged, readSnapshot, type Snapshot } from "./snapshot.ts";

export interface InPlaceOptions {
  /** Prefix of the names of our files for this hosts file. */
  side: string;
  token: string;
}

/** What lies beside a file while it is written in place, so that a cut leaves nothing lost. Base64. */
interface WriteRecord {
  before: string;
  after: string;
}

const recordPath = (side: string): string => `${side}.shipside-write`;

/**
 * For a file that can't be replaced (a bind mount is one name only). First both contents are put safely beside it; then what is
 * new at the end is written, where a full disk shows before anything else has changed; then the rest.
 */
export async function writeInPlace(
  snapshot: Snapshot,
  text: string,
  { side, token }: InPlaceOptions,
): Promise<"written" | "changed"> {
  const before = Buffer.from(snapshot.text, "latin1");
  const after = Buffer.from(text, "latin1");
  const handle = await open(snapshot.target, "r+");
  try {
    await writeRecord(side, token, { before: before.toString("base64"), after: after.toString("base64") });
    if (await hasChanged(snapshot)) {
      await unlink(recordPath(side));
      return "changed";
    }
    try {
      await writeAll(handle, after, before.length);
      await handle.sync();
    } catch (error) {
      await handle.truncate(before.length);
      await unlink(recordPath(side));
      throw error;
    }
    await writeAll(handle, after.subarray(0, before.length), 0);
    await handle.truncate(after.length);
    await handle.sync();
    await unlink(recordPath(side));
    return "written";
  } finally {
    await handle.close();
  }
}

/**
 * Takes back an in-place write that was cut. Only where every byte is one of the two contents': a file that somebody has written
 * since is theirs, and the earlier content is then kept beside it. Called under the lock.
 */
export async function recoverInPlace(path: string, side: string, logger: Logger): Promise<void> {
  const raw = await readFile(recordPath(side), "utf8").catch((error) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (raw === undefined) return;
  const record = JSON.parse(raw) as WriteRecord;
  const before = Buffer.from(record.before, "base64");
  const after = Buffer.from(record.after, "base64");
  const snapshot = await readSnapshot(path);
  const now = Buffer.from(snapshot.text, "latin1");
  if (isTorn(now, before, after)) {
    const handle = await open(snapshot.target, "r+");
    try {
      await writeAll(handle, before, 0);
      await handle.truncate(before.length);
      await handle.sync();
    } finally {
      await handle.close();
    }
    logger.warn("took back a write of the hosts file that had been cut off", { path });
  } else if (!now.equals(after) && !now.equals(before)) {
    await rename(recordPath(side), `${recordPath(side)}-kept`);
    logger.warn("a write of the hosts file had been cut off, and the file was edited since; its earlier content is kept", {
      path,
      kept: `${recordPath(side)}-kept`,
    });
    return;
  }
  await unlink(recordPath(side));
}

/** Whether `now` can be what a cut write of `after` over `before` leaves. Pure. */
export function isTorn(now: Buffer, before: Buffer, after: Buffer): boolean {
  if (now.equals(before) || now.equals(after)) return false;
  if (now.length < Math.min(before.length, after.length) || now.length > Math.max(before.length, after.length)) return false;
  return now.every((byte, at) => byte === before[at] || byte === after[at]);
}

async function writeRecord(side: string, token: string, record: WriteRecord): Promise<void> {
  const temporary = `${side}.shipside-tmp-${token}`;
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(JSON.stringify(record));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, recordPath(side));
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

/** Writes `bytes` from `from` on to the same offset. */
async function writeAll(handle: { write: Awaited<ReturnType<typeof open>>["write"] }, bytes: Buffer, from: number): Promise<void> {
  for (let at = from; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, at);
    at += bytesWritten;
  }
}
