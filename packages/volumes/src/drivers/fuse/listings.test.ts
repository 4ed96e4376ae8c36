import { link, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { serveFiles } from "@shipside/relay";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createEntries } from "./entries.ts";
import { createFiles } from "./files.ts";
import { createListings } from "./listings.ts";
import { createMoves } from "./moves.ts";
import { createNameOperations } from "./name-operations.ts";
import { ROOT_ID } from "./protocol.ts";
import { FileError, request } from "./sftp-packets.ts";
import { openSftpSession, type SftpSession } from "./sftp-session.ts";

const KINDS = { lstat: request.lstat("")[4], opendir: request.opendir("")[4], readdir: request.readdir("")[4] } as const;
/** There and back, in ms: more than one is worth to wait for a listing. */
const FAR_MS = 12;
const CACHE_MS = 400;

let world: Awaited<ReturnType<typeof open>>;
beforeEach(async () => {
  world = await open(FAR_MS);
});
afterEach(() => world.close());

/** A mount without a kernel: what it asks of the server is counted. */
async function open(rttMs: number) {
  const root = await mkdtemp(join(tmpdir(), "listings-"));
  const counts = { lstat: 0, opendir: 0, readdir: 0 };
  const begin = async (): Promise<SftpSession> => {
    const [near, far] = duplexPair();
    void serveFiles(far, { roots: [root] });
    const real = await openSftpSession(near);
    await real.ask(request.stats(), () => {});
    return {
      ...real,
      get ended() {
        return real.ended;
      },
      ask(packet, read) {
        for (const [name, type] of Object.entries(KINDS)) if (packet[4] === type) counts[name as keyof typeof counts]++;
        const answer = real.ask(packet, read);
        answer.catch(() => {});
        return sleep(rttMs).then(() => {
          if (real.ended) throw new FileError("EIO");
          return answer;
        });
      },
    };
  };
  let session = await begin();
  const entries = createEntries({ remotePath: root, user: { uid: 0, gid: 0 }, cacheSeconds: CACHE_MS / 1000, notify() {} });
  const options = { entries, files: createFiles(entries), listings: createListings(entries), moves: createMoves(() => session) };
  const named = createNameOperations(options);
  return {
    root,
    counts,
    named,
    entries,
    /** What stands now. */
    get opened() {
      return session;
    },
    async reopen() {
      session = await begin();
    },
    /** The size of what has this name, undefined where nothing has. */
    async size(name: string, node = ROOT_ID): Promise<number | undefined> {
      const reply = await named.lookup({ type: "lookup", unique: 1, node, name });
      const id = Number(reply.readBigUInt64LE(16));
      return id === 0 ? undefined : entries.nodeOf(id).told!.size;
    },
    write: (name: string, size: number) => writeFile(join(root, name), "x".repeat(size)),
    async close() {
      session.end();
      await rm(root, { recursive: true });
    },
  };
}

const names = (count: number, prefix = "file"): string[] => Array.from({ length: count }, (_, each) => `${prefix}-${each}`);

async function fill(count: number): Promise<string[]> {
  const made = names(count);
  await Promise.all(made.map((name, each) => world.write(name, each)));
  return made;
}

it("names that are looked at one after the other come with one question", async () => {
  const made = await fill(300);
  for (const [each, name] of made.entries()) expect(await world.size(name)).toBe(each);
  expect(world.counts.opendir).toBe(1);
  expect(world.counts.lstat).toBeLessThanOrEqual(3);
  // And once more when that is too old, at once.
  await sleep(CACHE_MS);
  for (const [each, name] of made.entries()) expect(await world.size(name)).toBe(each);
  expect(world.counts.opendir).toBe(2);
  expect(world.counts.lstat).toBeLessThanOrEqual(4);
});

it("a single name, again and again, is no reason to ask for all", async () => {
  await fill(10);
  for (let each = 0; each < 6; each++) {
    expect(await world.size("file-3")).toBe(3);
    await sleep(CACHE_MS / 2);
  }
  expect(world.counts.opendir).toBe(0);
});

it("nearby names are asked for together where more than some are looked at", async () => {
  await world.close();
  world = await open(0);
  const made = await fill(200);
  expect(await world.size("file-0")).toBe(0);
  expect(world.counts).toMatchObject({ lstat: 1, opendir: 0 });
  for (const [each, name] of made.entries()) expect(await world.size(name)).toBe(each);
  expect(world.counts.opendir).toBe(1);
  expect(world.counts.lstat).toBeLessThan(100);
});

it("what others make is seen at once, what they change when the listing is too old", async () => {
  const made = await fill(10);
  for (const name of made) await world.size(name);
  await world.write("file-9", 90);
  await rm(join(world.root, "file-8"));
  await world.write("new", 7);
  expect(await world.size("new")).toBe(7);
  await sleep(CACHE_MS);
  expect(await world.size("file-9")).toBe(90);
  expect(await world.size("file-8")).toBeUndefined();
});

it("what was changed from here is told as it is", async () => {
  await fill(10);
  for (const name of names(3)) await world.size(name);
  const { named, entries, opened } = world;
  const at = { unique: 1, node: ROOT_ID };
  await named.remove({ ...at, type: "unlink", name: "file-0" });
  await named.remove({ ...at, type: "unlink", name: "file-7" });
  await named.mkdir({ ...at, type: "mkdir", name: "made", mode: 0o755 });
  await named.rename({ ...at, type: "rename", name: "file-1", newParent: ROOT_ID, newName: "file-5", flags: 0 });
  await named.rename({ ...at, type: "rename", name: "file-6", newParent: ROOT_ID, newName: "file-66", flags: 0 });
  const node = entries.nodes.child(entries.nodeOf(ROOT_ID), "file-2")!;
  entries.write(node);
  await opened.ask(request.setstat(join(world.root, "file-2"), { size: 200 }), () => {});
  // The kernel forgets it, and asks anew.
  entries.forget(node.id, node.lookups);
  expect(await world.size("file-0")).toBeUndefined();
  expect(await world.size("file-7")).toBeUndefined();
  expect(await world.size("file-6")).toBeUndefined();
  expect(await world.size("made")).toBeGreaterThanOrEqual(0);
  expect(await world.size("file-1")).toBeUndefined();
  expect(await world.size("file-5")).toBe(1);
  expect(await world.size("file-66")).toBe(6);
  expect(await world.size("file-2")).toBe(200);
});

it("what failed, and may have been done, is asked for", async () => {
  await fill(3);
  for (const name of names(3)) await world.size(name);
  await mkdir(join(world.root, "made"));
  world.entries.doubt(ROOT_ID, "made");
  expect(await world.size("made")).toBeGreaterThanOrEqual(0);
});

it("a name that the kernel knows is asked of the server: it may be a lock that was given up", async () => {
  await fill(10);
  for (const name of names(4)) await world.size(name);
  expect(world.counts.opendir).toBe(1);
  expect(await world.size("file-8")).toBe(8);
  await rm(join(world.root, "file-8"));
  expect(await world.size("file-8")).toBeUndefined();
});

it("what has other names is asked for: it may have been changed by one of them", async () => {
  await fill(10);
  await link(join(world.root, "file-9"), join(world.root, "other"));
  for (const name of names(4)) await world.size(name);
  await world.write("other", 99);
  expect(await world.size("file-9")).toBe(99);
});

it("a directory of very many names is asked for once", async () => {
  const made = await fill(1_500);
  for (const name of made.slice(0, 12)) await world.size(name);
  await sleep(CACHE_MS);
  for (const name of made.slice(0, 12)) await world.size(name);
  expect(world.counts.opendir).toBe(1);
  expect(world.counts.lstat).toBe(24);
});

it("of a directory of very many names no more come than a listing may have", async () => {
  await fill(3_000);
  for (const name of names(4)) await world.size(name);
  expect(world.counts.opendir).toBe(1);
  // Of 128 names.
  expect(world.counts.readdir).toBeLessThanOrEqual(8);
});

it("a listing that is too old when it comes isn't asked for again and again", async () => {
  await world.close();
  world = await open(CACHE_MS / 1.5);
  for (const name of (await fill(300)).slice(0, 12)) await world.size(name);
  expect(world.counts.opendir).toBe(1);
});

it("a directory that moves while its names are looked at is looked into where it is then", async () => {
  await mkdir(join(world.root, "before"));
  for (const name of names(4)) await world.write(join("before", name), 1);
  // What has other names is asked for.
  await link(join(world.root, "before", "file-3"), join(world.root, "other"));
  await world.size("before");
  const { id } = world.entries.nodes.child(world.entries.nodeOf(ROOT_ID), "before")!;
  await world.size("file-0", id);
  const second = world.size("file-1", id);
  await sleep(2);
  const waits = world.size("file-3", id);
  const to = { newParent: ROOT_ID, newName: "after", flags: 0 };
  await world.named.rename({ type: "rename", unique: 1, node: ROOT_ID, name: "before", ...to });
  expect([await second, await waits]).toEqual([1, 1]);
});

it("what was said not to be there any more isn't told again by an older listing", async () => {
  await fill(10);
  await world.size("file-9");
  await sleep(CACHE_MS - 4 * FAR_MS);
  for (const name of names(3)) await world.size(name);
  await rm(join(world.root, "file-9"));
  // The kernel has it still, and asks before its time.
  expect(await world.size("file-9")).toBeUndefined();
  await sleep(4 * FAR_MS);
  expect(await world.size("file-9")).toBeUndefined();
});

it("that a listing was lost with its session says nothing of its directory", async () => {
  await fill(20);
  await world.size("file-0");
  const { opened } = world;
  const second = world.size("file-1");
  await sleep(2);
  opened.end();
  await second.catch(() => {});
  await world.reopen();
  for (const name of names(20).slice(2)) await world.size(name);
  expect(world.counts.opendir).toBe(2);
});
