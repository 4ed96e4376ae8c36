import { mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { serveFiles } from "@shipside/relay";
import { expect, test } from "vitest";
import { createEntries } from "./entries.ts";
import { createFiles } from "./files.ts";
import { createListings } from "./listings.ts";
import { createMoves } from "./moves.ts";
import { createNameOperations } from "./name-operations.ts";
import { ROOT_ID } from "./protocol.ts";
import { request } from "./sftp-packets.ts";
import { openSftpSession, type SftpSession } from "./sftp-session.ts";

const LSTAT = request.lstat("")[4];

test.runIf(process.platform === "linux")("a file that was made, and then not found, stays open nowhere", async () => {
  const remotePath = await mkdtemp(join(tmpdir(), "name-operations-"));
  const [near, far] = duplexPair();
  try {
    void serveFiles(far, { roots: [remotePath] });
    const real = await openSftpSession(near);
    const session: SftpSession = {
      ...real,
      ask: (packet, read) => real.ask(packet[4] === LSTAT ? request.lstat(`${remotePath}/none`) : packet, read),
    };
    const entries = createEntries({ remotePath, user: { uid: 0, gid: 0 }, cacheSeconds: 1, notify() {} });
    const options = { entries, files: createFiles(entries), listings: createListings(entries) };
    const named = createNameOperations({ ...options, moves: createMoves(() => session) });
    const message = { unique: 1, node: ROOT_ID, mode: 0o100600 };
    await expect(named.create({ ...message, type: "create", name: "f", flags: 1 })).rejects.toMatchObject({ code: "ENOENT" });
    await expect(named.mknod({ ...message, type: "mknod", name: "g" })).rejects.toMatchObject({ code: "ENOENT" });
    await expect(named.mkdir({ ...message, type: "mkdir", name: "d" })).rejects.toMatchObject({ code: "ENOENT" });
    expect(await readdir(remotePath)).toEqual(["d", "f", "g"]);
    await real.ask(request.stat("."), () => {});
    expect(await openBelow(remotePath)).toEqual([]);
    real.end();
  } finally {
    far.destroy();
    await rm(remotePath, { recursive: true, force: true });
  }
});

/** The server is of this process. */
async function openBelow(path: string): Promise<string[]> {
  const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  return (await Promise.all(links)).filter((target) => target.startsWith(path));
}
