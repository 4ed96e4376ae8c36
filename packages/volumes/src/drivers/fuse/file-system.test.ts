import { link, mkdtemp, rm, writeFile } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { serveFiles } from "@shipside/relay";
import { describe, expect, it } from "vitest";
import { createFileSystem } from "./file-system.ts";
import { reply, request } from "./sftp-packets.ts";
import { openSftpSession, type SftpSession } from "./sftp-session.ts";

it("a signal doesn't end what is waited for, unless it takes long", async () => {
  const session = (): Promise<SftpSession> => new Promise(() => {});
  const { serve } = createFileSystem({ remotePath: "/", session, cacheSeconds: 2, user: { uid: 0, gid: 0 }, notify() {} });
  const began = performance.now();
  let answered: { errno: number; after: number } | undefined;
  const asker = { keep: () => () => {} };
  const respond = (reply: Buffer): void => {
    answered = { errno: -reply.readInt32LE(4), after: performance.now() - began };
  };
  void serve({ type: "statfs", unique: 2, node: 1 }, { ...asker, respond });
  await serve({ type: "interrupt", unique: 3, node: 0, of: 2 }, { ...asker, respond: () => expect.unreachable() });
  await sleep(700);
  expect(answered).toBeUndefined();
  await expect.poll(() => answered).toMatchObject({ errno: constants.errno.EINTR });
  expect(answered!.after).toBeLessThan(1_500);
});

/** A file system as a kernel uses it. */
async function openWorld() {
  const root = await mkdtemp(join(tmpdir(), "file-system-"));
  const [near, far] = duplexPair();
  void serveFiles(far, { roots: [root] });
  const session = await openSftpSession(near);
  await session.ask(request.stats(), reply.done);
  const { serve } = createFileSystem({
    remotePath: root,
    session: () => session,
    cacheSeconds: 60,
    user: { uid: 0, gid: 0 },
    notify() {},
  });
  const asker = { keep: () => () => {} };
  const ask = (message: Parameters<typeof serve>[0]): Promise<Buffer> =>
    new Promise((resolve) => void serve(message, { ...asker, respond: (bytes) => resolve(Buffer.from(bytes)) }));
  const at = { unique: 1, node: 1 };
  return {
    root,
    ask,
    async look(name: string): Promise<{ id: number; size: number }> {
      const bytes = await ask({ ...at, type: "lookup", name });
      return { id: Number(bytes.readBigUInt64LE(16)), size: Number(bytes.readBigUInt64LE(16 + 48)) };
    },
    resize: (node: number, size: number) => ask({ unique: 1, node, type: "setattr", changes: { size } }),
    forget: (node: number, lookups: number) =>
      serve(
        { unique: 1, node: 0, type: "forget", forgotten: [{ node, lookups }] },
        { ...asker, respond: () => expect.unreachable() },
      ),
    opendir: async () => Number((await ask({ ...at, type: "opendir" })).readBigUInt64LE(16)),
    names: (handle: number, type: "readdir" | "readdirplus" = "readdirplus") => ask({ ...at, type, handle, offset: 0, size: 4096 }),
    /** Those without attributes aren't told. */
    async sizes(handle: number): Promise<Record<string, number>> {
      const bytes = await ask({ ...at, type: "readdirplus", handle, offset: 0, size: 4096 });
      const found: Record<string, number> = {};
      for (let from = 16; from < bytes.length; ) {
        const length = bytes.readUInt32LE(from + 128 + 16);
        const name = bytes.toString("latin1", from + 128 + 24, from + 128 + 24 + length);
        if (bytes.readBigUInt64LE(from) !== 0n) found[name] = Number(bytes.readBigUInt64LE(from + 48));
        from += (128 + 24 + length + 7) & ~7;
      }
      return found;
    },
    async [Symbol.asyncDispose]() {
      session.end();
      await rm(root, { recursive: true });
    },
  };
}

describe("a directory that is read again a moment later", () => {
  it("has what was changed from here meanwhile as it is, also where the kernel has forgotten it", async () => {
    await using world = await openWorld();
    await writeFile(join(world.root, "f"), "x");
    await writeFile(join(world.root, "g"), "x");
    expect(await world.sizes(await world.opendir())).toEqual({ f: 1, g: 1 });
    const { id } = await world.look("f");
    await world.resize(id, 50);
    await world.forget(id, 2);
    expect(await world.sizes(await world.opendir())).toEqual({ g: 1 });
    expect(await world.look("f")).toMatchObject({ size: 50 });
  });

  it("has what was changed from here by another of its names as it is", async () => {
    await using world = await openWorld();
    await writeFile(join(world.root, "f"), "x");
    await link(join(world.root, "f"), join(world.root, "g"));
    await world.names(await world.opendir(), "readdir");
    const { id } = await world.look("g");
    await world.resize(id, 50);
    expect(await world.sizes(await world.opendir())).toEqual({});
    await world.forget(id, 1);
    expect(await world.sizes(await world.opendir())).toEqual({});
  });

  it("has what was made anew meanwhile", async () => {
    await using world = await openWorld();
    await writeFile(join(world.root, "f"), "x");
    // Or its number could be given again.
    await link(join(world.root, "f"), join(world.root, "g"));
    const handle = await world.opendir();
    await world.names(handle, "readdir");
    await world.look("f");
    await world.ask({ unique: 1, node: 1, type: "unlink", name: "f" });
    await world.ask({ unique: 1, node: 1, type: "create", name: "f", flags: 1, mode: 0o100644 });
    expect(await world.sizes(handle)).toEqual({});
    expect(await world.look("f")).toMatchObject({ size: 0 });
  });
});
