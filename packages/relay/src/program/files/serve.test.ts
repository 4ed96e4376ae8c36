import { link, lstat, mkdir, mkdtemp, readFile, readlink, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Client, encodeRequest, framed, initPacket, startClient } from "./fixtures/client.ts";
import { serveFiles } from "./serve.ts";
import { EXTENSIONS, OPEN_FLAGS, REPLIES, STATUS } from "./sftp.ts";

const { READ, WRITE, CREATE, TRUNCATE, APPEND, EXCLUSIVE } = OPEN_FLAGS;
let base: string;
let root: string;
let client: Client;

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), "serve-files-")));
  root = join(base, "root");
  await mkdir(root);
  client = startClient({ roots: [root] });
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await rm(base, { recursive: true, force: true });
});

const put = async (path: string, text: string, flags = WRITE | CREATE | TRUNCATE): Promise<void> => {
  const handle = await client.open(path, flags);
  expect(await client.status({ type: "write", handle, offset: 0, data: Buffer.from(text) })).toBe(STATUS.OK);
  expect(await client.status({ type: "close", handle })).toBe(STATUS.OK);
};

test("greets with version 3 and the extensions", async () => {
  const [near, far] = duplexPair();
  const serving = serveFiles(far, { roots: [root] });
  near.write(framed(initPacket));
  const [reply] = (await near
    .iterator({ destroyOnReturn: false })
    .next()
    .then(({ value }) => [value])) as [Buffer];
  expect(reply[4]).toBe(REPLIES.VERSION);
  expect(reply.readUInt32BE(5)).toBe(3);
  for (const name of Object.keys(EXTENSIONS)) expect(reply.toString("latin1")).toContain(name);
  near.end();
  await serving;
});

test("what came together is answered in order, by few writes, and what is done isn't kept waiting for what takes long", async () => {
  const [near, far] = duplexPair();
  const serving = serveFiles(far, { roots: [root] });
  await writeFile(join(root, "f"), "x".repeat(5_000));
  const writes = vi.spyOn(far, "write");
  const asked = [
    { type: "open", path: join(root, "f"), flags: READ | WRITE, attributes: {} },
    ...Array.from({ length: 20 }, (_, at) => ({ type: "write" as const, handle: "0", offset: at, data: Buffer.from("y") })),
    { type: "fsync", handle: "0" },
    { type: "read", handle: "0", offset: 0, length: 5_000 },
    { type: "lstat", path: join(root, "f") },
    { type: "close", handle: "0" },
  ] as const;
  near.write(Buffer.concat(asked.map((request, id) => framed(encodeRequest({ id, ...request })))));
  const ids: number[] = [];
  let received = Buffer.alloc(0);
  for await (const chunk of near) {
    received = Buffer.concat([received, chunk as Buffer]);
    for (; received.length >= 4 && received.length >= 4 + received.readUInt32BE(0); ) {
      ids.push(received.readUInt32BE(5));
      received = received.subarray(4 + received.readUInt32BE(0));
    }
    if (ids.length === asked.length) near.end();
  }
  await serving;
  expect(ids).toEqual(asked.map((_, id) => id));
  // Before the fsync; its own; the bytes; after them.
  expect(writes.mock.calls.length).toBeLessThanOrEqual(4);
  expect(await readFile(join(root, "f"), "latin1")).toMatch(/^y{20}x{4980}$/);
});

test("writes, reads, appends, truncates and syncs", async () => {
  const handle = await client.open("a", READ | WRITE | CREATE | EXCLUSIVE, 0o640);
  const data = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at & 0xff));
  expect(await client.status({ type: "write", handle, offset: 10, data })).toBe(STATUS.OK);
  expect(await client.status({ type: "fsync", handle })).toBe(STATUS.OK);
  const read = await client.ask({ type: "read", handle, offset: 10, length: 200_000 });
  expect(read.type).toBe(REPLIES.DATA);
  expect(read.body.subarray(4).equals(data)).toBe(true);
  expect(await client.status({ type: "read", handle, offset: 100_010, length: 1 })).toBe(STATUS.EOF);
  expect(await client.status({ type: "fsetstat", handle, attributes: { size: 3 } })).toBe(STATUS.OK);
  expect((await client.ask({ type: "fstat", handle })).body.readBigUInt64BE(4)).toBe(3n);
  expect(await client.status({ type: "close", handle })).toBe(STATUS.OK);
  expect(await client.status({ type: "read", handle, offset: 0, length: 1 })).toBe(STATUS.FAILURE);
  await put("a", "more", WRITE | APPEND);
  expect(await readFile(join(root, "a"))).toEqual(Buffer.from("\0\0\0more"));
  await expect(client.open("a", WRITE | CREATE | EXCLUSIVE)).rejects.toThrow(`status ${STATUS.FAILURE}`);
});

test("an empty handle is what was opened last, and nothing where that failed", async () => {
  await put("one", "first");
  await put("other", "second");
  const opened = (path: string) =>
    Promise.all([
      client.ask({ type: "open", path, flags: READ, attributes: {} }),
      client.ask({ type: "read", handle: "", offset: 0, length: 100 }),
    ]);
  const read = async (path: string): Promise<string> => (await opened(path))[1].body.toString("latin1", 4);
  expect(await read("one")).toBe("first");
  expect(await read("other")).toBe("second");
  const [refused, nothing] = await opened("none");
  expect([refused.type, refused.body.readUInt32BE(0)]).toEqual([REPLIES.STATUS, STATUS.NO_SUCH_FILE]);
  expect([nothing.type, nothing.body.readUInt32BE(0)]).toEqual([REPLIES.STATUS, STATUS.FAILURE]);
  const [, listed] = await Promise.all([client.ask({ type: "opendir", path: "." }), client.ask({ type: "readdir", handle: "" })]);
  expect([listed.type, listed.body.readUInt32BE(0)]).toEqual([REPLIES.NAME, 2]);
  expect(await client.status({ type: "read", handle: "", offset: 0, length: 1 })).toBe(STATUS.FAILURE);
  const { body } = await client.ask({ type: "open", path: "one", flags: READ, attributes: {} });
  expect(await client.status({ type: "close", handle: body.toString("latin1", 4) })).toBe(STATUS.OK);
  expect(await client.status({ type: "read", handle: "", offset: 0, length: 1 })).toBe(STATUS.FAILURE);
});

test("modes, times, links, directories and renames", async () => {
  await put("f", "text");
  expect(await client.status({ type: "setstat", path: "f", attributes: { mode: 0o751, atime: 100, mtime: 200 } })).toBe(STATUS.OK);
  const { mode, mtimeMs } = await stat(join(root, "f"));
  expect([mode & 0o777, mtimeMs]).toEqual([0o751, 200_000]);
  expect(await client.status({ type: "symlink", target: "/anywhere", path: "link" })).toBe(STATUS.OK);
  expect(await readlink(join(root, "link"))).toBe("/anywhere");
  expect(await client.status({ type: "hardlink", from: "f", to: "g" })).toBe(STATUS.OK);
  expect((await stat(join(root, "g"))).nlink).toBe(2);
  expect(await client.status({ type: "mkdir", path: "d", attributes: { mode: 0o700 } })).toBe(STATUS.OK);
  expect(await client.status({ type: "mkdir", path: "d", attributes: {} })).toBe(STATUS.FAILURE);
  expect(await client.status({ type: "rename", from: "f", to: "g" })).toBe(STATUS.FAILURE);
  await put("h", "other");
  expect(await client.status({ type: "posixRename", from: "h", to: "g" })).toBe(STATUS.OK);
  expect(await readFile(join(root, "g"), "utf8")).toBe("other");
  expect(await client.status({ type: "rename", from: "g", to: "d/g" })).toBe(STATUS.OK);
  expect(await client.status({ type: "rmdir", path: "d" })).toBe(STATUS.FAILURE);
  expect(await client.status({ type: "remove", path: "d/g" })).toBe(STATUS.OK);
  expect(await client.status({ type: "rmdir", path: "d" })).toBe(STATUS.OK);
  expect(await client.status({ type: "lstat", path: "d" })).toBe(STATUS.NO_SUCH_FILE);
  expect((await client.ask({ type: "statvfs", path: "." })).type).toBe(REPLIES.EXTENDED_REPLY);
});

test("what may take long is answered in turn all the same: large files that are closed, replaced and removed", async () => {
  const large = 65 * 1024 * 1024;
  const handle = await client.open("large", WRITE | CREATE);
  const data = Buffer.alloc(200_000, "large");
  for (let at = 0; at < 8; at++) {
    expect(await client.status({ type: "write", handle, offset: at * data.length, data })).toBe(STATUS.OK);
  }
  // Sent at once: each depends on what was before.
  const statuses = await Promise.all([
    client.status({ type: "close", handle }),
    client.status({ type: "setstat", path: "large", attributes: { size: large, mode: 0o600 } }),
    client.status({ type: "hardlink", from: "large", to: "other" }),
    client.status({ type: "mkdir", path: "d", attributes: {} }),
    client.status({ type: "symlink", target: "none", path: "small" }),
    client.status({ type: "posixRename", from: "small", to: "large" }),
    client.status({ type: "remove", path: "other" }),
    client.status({ type: "remove", path: "other" }),
    client.status({ type: "close", handle }),
  ]);
  expect(statuses).toEqual([...Array(7).fill(STATUS.OK), STATUS.NO_SUCH_FILE, STATUS.FAILURE]);
  expect(await readlink(join(root, "large"))).toBe("none");
});

test("links are told where they stay inside", async () => {
  await mkdir(join(root, "d"));
  const links = { "d/in": "../f", "d/same": "x", "d/out": "../../secret", absolute: "/etc/passwd" };
  for (const [path, target] of Object.entries(links)) await symlink(target, join(root, path));
  for (const path of ["d/in", "d/same"] as const) {
    const told = await client.ask({ type: "readlink", path });
    expect(told.body.toString("latin1", 8, 8 + links[path].length)).toBe(links[path]);
  }
  for (const path of ["d/out", "absolute"]) {
    expect(await client.status({ type: "readlink", path })).toBe(STATUS.PERMISSION_DENIED);
  }
});

test("names of any bytes, and more than a page of them", async () => {
  const odd = "\xff\xfe not utf-8 \xe9";
  await put(odd, "x");
  for (let count = 0; count < 300; count++) await writeFile(join(root, `n${count}`), "");
  const names = await client.list(".");
  expect(names).toHaveLength(301);
  expect(names).toContain(odd);
});

test("requests that were sent at once are done one after the other", async () => {
  const path = "pipelined";
  const opening = client.ask({ type: "open", path, flags: WRITE | CREATE, attributes: {} });
  const results = [
    opening,
    client.ask({ type: "lstat", path }),
    client.ask({ type: "remove", path }),
    client.ask({ type: "lstat", path }),
  ];
  const [, found, , gone] = await Promise.all(results);
  expect(found!.type).toBe(REPLIES.ATTRS);
  expect(gone!.body.readUInt32BE(0)).toBe(STATUS.NO_SUCH_FILE);
});

test("nothing outside of the roots can be reached", async () => {
  await writeFile(join(base, "secret"), "s");
  await mkdir(join(base, "rootless"));
  await symlink("..", join(root, "up"));
  await symlink("../secret", join(root, "out"));
  for (const path of ["../secret", "/etc/passwd", join(base, "secret"), join(base, "rootless"), "up/secret"]) {
    expect(await client.status({ type: "lstat", path }), path).toBe(STATUS.PERMISSION_DENIED);
    await expect(client.open(path, READ), path).rejects.toThrow(`status ${STATUS.PERMISSION_DENIED}`);
    await expect(client.open(path, WRITE | CREATE | TRUNCATE), path).rejects.toThrow(`status ${STATUS.PERMISSION_DENIED}`);
    expect(await client.status({ type: "hardlink", from: path, to: "stolen" }), path).toBe(STATUS.PERMISSION_DENIED);
  }
  for (const flags of [READ, WRITE | CREATE | TRUNCATE]) await expect(client.open("out", flags)).rejects.toThrow("status");
  expect(await client.status({ type: "stat", path: "out" })).toBe(STATUS.PERMISSION_DENIED);
  expect(await client.status({ type: "setstat", path: "out", attributes: { mode: 0 } })).toBe(STATUS.UNSUPPORTED);
  await expect(client.list("up")).rejects.toThrow(`status ${STATUS.PERMISSION_DENIED}`);
  expect(await readFile(join(base, "secret"), "utf8")).toBe("s");
  expect((await lstat(join(root, "out"))).isSymbolicLink()).toBe(true);
});

test("a link that stays inside is followed on the way", async () => {
  await mkdir(join(root, "real"));
  await symlink("real", join(root, "alias"));
  await put("alias/file", "in");
  expect(await readFile(join(root, "real/file"), "utf8")).toBe("in");
});

test("whatever bytes come, the server ends in good order, and nothing outside has changed", async () => {
  const outside = join(base, "outside");
  await writeFile(outside, "untouched");
  const types = fc.constantFrom(3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 99, 200);
  const text = fc.constantFrom(
    "a",
    "b",
    "a/b",
    "..",
    "../outside",
    outside,
    "",
    "0",
    "1",
    "fsync@openssh.com",
    "replace-if-same@shipside.dev",
  );
  const field = fc.oneof(
    text.map((value) => Buffer.concat([Buffer.from([0, 0, 0, value.length]), Buffer.from(value)])),
    fc.uint8Array({ minLength: 4, maxLength: 12 }).map((value) => Buffer.from(value)),
  );
  const packet = fc
    .tuple(types, fc.array(field, { maxLength: 5 }))
    .map(([type, parts]) => framed(Buffer.concat([Buffer.of(type, 0, 0, 0, 1), ...parts])));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof({ weight: 9, arbitrary: packet }, { weight: 1, arbitrary: field })), async (packets) => {
      const [near, far] = duplexPair();
      near.on("error", () => {});
      near.resume();
      const serving = serveFiles(far, { roots: [root] });
      near.end(Buffer.concat(packets));
      await serving;
      expect(await readFile(outside, "utf8")).toBe("untouched");
    }),
    { numRuns: 150 },
  );
});

test("a client that reads nothing is sent no more than the stream holds", async () => {
  await writeFile(join(root, "big"), Buffer.alloc(1024 * 1024));
  const handle = await client.open("big", READ);
  client.stream.pause();
  for (let id = 100; id < 1_100; id++) {
    client.stream.write(framed(encodeRequest({ id, type: "read", handle, offset: 0, length: 262_144 })));
  }
  const held = (): number => client.far.writableLength + client.stream.readableLength;
  await vi.waitFor(() => expect(held()).toBeGreaterThan(0), { timeout: 10_000 });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(held()).toBeLessThan(1024 * 1024);
  client.far.destroy();
  await client.served;
});

test("having stood still for long, what was asked before isn't done: whoever asked has given up, and may have asked anew elsewhere", async () => {
  await using impatient = startClient({ roots: [root], patienceMs: 200 });
  await put("f", "old");
  const handle = await impatient.open("f", WRITE);
  expect(await impatient.status({ type: "write", handle, offset: 0, data: Buffer.from("new") })).toBe(STATUS.OK);
  // As what has come, and isn't read before the process goes on.
  impatient.far.pause();
  const late = [
    impatient.ask({ type: "write", handle, offset: 0, data: Buffer.from("late") }),
    impatient.ask({ type: "mkdir", path: "late", attributes: {} }),
  ];
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  impatient.far.resume();
  await impatient.served;
  impatient.stream.destroy();
  for (const each of late) await expect(each).rejects.toThrow("over");
  expect(await client.list(".")).toEqual(["f"]);
  expect(await readFile(join(root, "f"), "utf8")).toBe("new");
});

test("a session that asks for it is told inode, links and exact times, and sets times one by one", async () => {
  await put("f", "x");
  const handle = await client.open("f", WRITE);
  expect(await client.status({ type: "stats" })).toBe(STATUS.OK);
  const told = async (): Promise<string> => {
    const { body } = await client.ask({ type: "lstat", path: "f" });
    return body.toString("latin1", 32 + 4 + 4 + "stat@shipside.dev".length + 4);
  };
  await link(join(root, "f"), join(root, "hard"));
  const set = (atime: string, mtime: string, by: { handle: string; path: string }): Promise<number> =>
    client.status({ type: "utimes", ...by, atime, mtime });
  const [byPath, byHandle] = [
    { handle: "", path: "f" },
    { handle, path: "" },
  ];
  expect(await set("1000.5", "2000.25", byPath)).toBe(STATUS.OK);
  const { ino, blocks } = await stat(join(root, "f"));
  expect(await told()).toMatch(new RegExp(`^${ino}:2:${blocks}:1000500000000:2000250000000:[0-9]{19}$`));
  expect(await set("", "4294967296.5", byHandle)).toBe(STATUS.OK);
  expect(await told()).toContain(":1000500000000:4294967296500000000:");
  expect(await set("3.5", "", byPath)).toBe(STATUS.OK);
  expect(await told()).toContain(":3500000000:4294967296500000000:");
  const before = Date.now();
  expect(await set("", "now", byPath)).toBe(STATUS.OK);
  expect((await stat(join(root, "f"))).mtimeMs).toBeGreaterThanOrEqual(before - 1);
  expect(await set("", "soon", byPath)).toBe(STATUS.FAILURE);
  expect(await set("1", "1", { handle: "", path: "../f" })).toBe(STATUS.PERMISSION_DENIED);
});
