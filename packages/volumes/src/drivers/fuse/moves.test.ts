import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { serveFiles } from "@shipside/relay";
import { expect, it } from "vitest";
import { createFileSystem } from "./file-system.ts";
import { reply, request } from "./sftp-packets.ts";
import { openSftpSession, type SftpSession } from "./sftp-session.ts";

type Message = Parameters<ReturnType<typeof createFileSystem>["serve"]>[0];

const APPENDS = 0o2000 | 2;

/** A file system as a kernel uses it, with `top/d`, which has a file, a link and a directory. Its session can be away. */
async function openWorld() {
  const root = await mkdtemp(join(tmpdir(), "moves-"));
  await mkdir(join(root, "top/d/sub"), { recursive: true });
  await writeFile(join(root, "top/d/file"), "x");
  await symlink("file", join(root, "top/d/link"));
  const [near, far] = duplexPair();
  void serveFiles(far, { roots: [root] });
  const session = await openSftpSession(near);
  await session.ask(request.stats(), reply.done);
  let standing: SftpSession | Promise<SftpSession> = session;
  const { serve } = createFileSystem({
    remotePath: root,
    session: () => standing,
    cacheSeconds: 0,
    user: { uid: 0, gid: 0 },
    notify() {},
  });
  const ask = (message: Message): Promise<Buffer> =>
    new Promise((resolve) => void serve(message, { keep: () => () => {}, respond: (bytes) => resolve(Buffer.from(bytes)) }));
  const look = async (node: number, name: string): Promise<number> =>
    Number((await ask({ unique: 1, node, type: "lookup", name })).readBigUInt64LE(16));
  const top = await look(1, "top");
  const d = await look(top, "d");
  const nodes = { top, d, file: await look(d, "file"), link: await look(d, "link"), sub: await look(d, "sub") };
  return {
    root,
    nodes,
    ask,
    /** `top/d` becomes `top/moved`. */
    move: (): Promise<Buffer> =>
      ask({ unique: 1, node: top, type: "rename", name: "d", newParent: top, newName: "moved", flags: 0 }),
    /** `top` becomes `other`. */
    moveTop: (): Promise<Buffer> =>
      ask({ unique: 1, node: 1, type: "rename", name: "top", newParent: 1, newName: "other", flags: 0 }),
    /** Until what this returns is called. */
    away() {
      const { promise, resolve } = Promise.withResolvers<SftpSession>();
      standing = promise;
      return () => {
        standing = session;
        resolve(session);
      };
    },
    async [Symbol.asyncDispose]() {
      session.end();
      await rm(root, { recursive: true });
    },
  };
}

type World = Awaited<ReturnType<typeof openWorld>>;

/** 0, or the number of the failure. */
const failureOf = (answer: Buffer): number => Math.abs(answer.readInt32LE(4));

const OPERATIONS: Record<string, (nodes: World["nodes"]) => Message> = {
  lookup: ({ d }) => ({ unique: 1, node: d, type: "lookup", name: "file" }),
  getattr: ({ file }) => ({ unique: 1, node: file, type: "getattr" }),
  "setattr, of its mode": ({ file }) => ({ unique: 1, node: file, type: "setattr", changes: { mode: 0o600 } }),
  "setattr, of its time": ({ file }) => ({ unique: 1, node: file, type: "setattr", changes: { mtime: 1_000 } }),
  readlink: ({ link }) => ({ unique: 1, node: link, type: "readlink" }),
  open: ({ file }) => ({ unique: 1, node: file, type: "open", flags: APPENDS }),
  opendir: ({ sub }) => ({ unique: 1, node: sub, type: "opendir" }),
  create: ({ d }) => ({ unique: 1, node: d, type: "create", name: "made", flags: 1, mode: 0o100600 }),
  mknod: ({ d }) => ({ unique: 1, node: d, type: "mknod", name: "made", mode: 0o100600 }),
  mkdir: ({ d }) => ({ unique: 1, node: d, type: "mkdir", name: "made", mode: 0o700 }),
  symlink: ({ d }) => ({ unique: 1, node: d, type: "symlink", name: "made", target: "file" }),
  "link, of what is in it": ({ file }) => ({ unique: 1, node: 1, type: "link", existing: file, name: "made" }),
  "link, into it": ({ d, file }) => ({ unique: 1, node: d, type: "link", existing: file, name: "made" }),
  unlink: ({ d }) => ({ unique: 1, node: d, type: "unlink", name: "file" }),
  rmdir: ({ d }) => ({ unique: 1, node: d, type: "rmdir", name: "sub" }),
  "rename, of a file": ({ d }) => ({ unique: 1, node: d, type: "rename", name: "file", newParent: d, newName: "made", flags: 0 }),
  "rename, of a directory": ({ d }) => ({
    unique: 1,
    node: d,
    type: "rename",
    name: "sub",
    newParent: 1,
    newName: "made",
    flags: 0,
  }),
};

const CASES = Object.entries(OPERATIONS);

it.each(CASES)(
  "%s waits for a session while a directory on its way is moved: it finds it where it is then",
  async (_name, message) => {
    await using world = await openWorld();
    const back = world.away();
    const moving = world.move();
    const asked = world.ask(message(world.nodes));
    back();
    expect([await moving, await asked].map(failureOf)).toEqual([0, 0]);
    expect(existsSync(join(world.root, "top/moved"))).toBe(true);
  },
);

it.each(CASES)("%s waits while two directories on its way are moved", async (_name, message) => {
  await using world = await openWorld();
  const back = world.away();
  const first = world.move();
  const second = world.moveTop();
  const asked = world.ask(message(world.nodes));
  back();
  expect([await first, await second, await asked].map(failureOf)).toEqual([0, 0, 0]);
  expect(existsSync(join(world.root, "other/moved"))).toBe(true);
});

it("a file whose attributes are asked for at the moment in which it gets another name is that one's from then on", async () => {
  await using world = await openWorld();
  const { nodes, ask } = world;
  const rename: Message = { unique: 1, node: nodes.d, type: "rename", name: "file", newParent: nodes.d, newName: "made", flags: 0 };
  const getattr: Message = { unique: 1, node: nodes.file, type: "getattr" };
  const renamed = ask(rename);
  const during = ask(getattr);
  expect([await renamed, await during, await ask(getattr)].map(failureOf)).toEqual([0, 0, 0]);
});

it("what is written in memory to a file that was made for appending has its place, though its directory moved at that moment", async () => {
  await using world = await openWorld();
  const { root, nodes, ask } = world;
  const made = ask({ unique: 1, node: nodes.d, type: "create", name: "made", flags: APPENDS, mode: 0o100600 });
  const [created] = await Promise.all([made, world.move()]);
  const handle = Number(created.readBigUInt64LE(16 + 128));
  const write = (offset: number, text: string, ofMemory: boolean) =>
    ask({ unique: 1, node: nodes.d, type: "write", handle, offset, data: Buffer.from(text), ofMemory });
  expect([await write(0, "abc", false), await write(1, "x", true)].map(failureOf)).toEqual([0, 0]);
  expect(failureOf(await ask({ unique: 1, node: nodes.d, type: "fsync", handle }))).toBe(0);
  expect(await readFile(join(root, "top/moved/made"), "utf8")).toBe("axc");
  expect((await stat(join(root, "top/moved/made"))).size).toBe(3);
});
