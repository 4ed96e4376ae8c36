import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair, PassThrough, Duplex as Stream, Writable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { serveFiles } from "@shipside/relay";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FLAGS, reply, request, writeHead } from "./sftp-packets.ts";
import { openSftpSession } from "./sftp-session.ts";

/** A stream whose bytes come in pieces of these lengths. */
function cut(stream: Stream, lengths: readonly number[]): Stream {
  const out = new PassThrough();
  let turn = 0;
  stream.on("data", (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      const length = lengths[turn++ % lengths.length]!;
      out.write(chunk.subarray(at, at + length));
      at += length;
    }
  });
  stream.on("end", () => out.end());
  return Stream.from({ readable: out, writable: stream });
}

test("what a server has comes whole, however its stream is cut, many requests at a time", async () => {
  const root = await mkdtemp(join(tmpdir(), "sftp-session-"));
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7 + (at >> 9)) & 0xff));
  await writeFile(join(root, "f"), bytes);
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1, maxLength: 8 }), async (lengths) => {
        const [near, far] = duplexPair();
        const serving = serveFiles(far, { roots: [root] });
        const session = await openSftpSession(cut(near, lengths));
        expect(session.user.uid).toBe(process.getuid!());
        const handle = await session.ask(request.open("f", FLAGS.READ), reply.handle);
        const into = Buffer.alloc(bytes.length + 10);
        const piece = 100_000;
        const reads = session.together(() =>
          [0, 1, 2, 3].map((each) =>
            session.readInto(request.read(handle, each * piece, piece), into.subarray(each * piece, (each + 1) * piece)),
          ),
        );
        const told = session.ask(request.fstat(handle), reply.attributes);
        const absent = session.ask(request.lstat("none"), reply.attributes).catch((error: { code: string }) => error.code);
        expect(await Promise.all(reads)).toEqual([piece, piece, piece, 0]);
        expect(into.subarray(0, bytes.length).equals(bytes)).toBe(true);
        expect((await told).size).toBe(bytes.length);
        expect(await absent).toBe("ENOENT");
        const late = session.ask(request.fstat(handle), reply.attributes);
        session.end();
        await expect(late).rejects.toMatchObject({ code: "EIO" });
        near.destroy();
        far.destroy();
        await serving;
      }),
      { numRuns: 20 },
    );
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test("what nobody waits for leaves with what is asked next, or by itself in a moment, and in order", async () => {
  const root = await mkdtemp(join(tmpdir(), "sftp-session-"));
  try {
    const { near, far, end } = await tcpPair();
    const serving = serveFiles(far, { roots: [root] });
    const session = await openSftpSession(near);
    const flags = FLAGS.WRITE | FLAGS.CREATE;
    const handles = await Promise.all(["f", "g"].map((name) => session.ask(request.open(name, flags), reply.handle)));
    const pieces: number[] = [];
    far.on("data", (chunk: Buffer) => pieces.push(chunk.length));
    const written = session.write(writeHead(handles[0]!, 0, 4), Buffer.from("text"), () => {});
    session.later(request.close(handles[0]!));
    expect((await session.ask(request.lstat("f"), reply.attributes)).size).toBe(4);
    await written;
    expect(pieces).toHaveLength(1);
    session.later(request.close(handles[1]!));
    await expect.poll(() => pieces.length).toBe(2);
    await expect(session.ask(request.fstat(handles[1]!), reply.attributes)).rejects.toMatchObject({ code: "EIO" });
    session.end();
    session.later(request.close(handles[1]!));
    end();
    await serving;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test("a stream may keep what it has taken, and send it later: as a link's does", async () => {
  const root = await mkdtemp(join(tmpdir(), "sftp-session-"));
  try {
    const [near, far] = duplexPair();
    const serving = serveFiles(far, { roots: [root] });
    const later = new Writable({
      write(chunk: Buffer, _encoding, taken) {
        setTimeout(() => near.write(chunk), 5);
        taken();
      },
    });
    const session = await openSftpSession(Stream.from({ readable: near, writable: later }));
    const handle = await session.ask(request.open("f", FLAGS.WRITE | FLAGS.CREATE), reply.handle);
    const blocks = Array.from({ length: 100 }, (_, each) => Buffer.alloc(4_000, each));
    const writes: Array<Promise<void>> = [];
    for (const [each, block] of blocks.entries()) {
      writes.push(session.write(writeHead(handle, each * 4_000, 4_000), block, () => {}));
      if (each % 3 > 0) continue;
      session.push();
      await nextTurn();
    }
    session.push();
    await Promise.all(writes);
    expect((await readFile(join(root, "f"))).equals(Buffer.concat(blocks))).toBe(true);
    session.end();
    far.destroy();
    await serving;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test.each([0, 1, 4])("a packet that is too short to be one (%i bytes) ends the session", async (length) => {
  const [near, far] = duplexPair();
  const opening = openSftpSession(near);
  const short = Buffer.alloc(4 + length, 101);
  short.writeUInt32BE(length, 0);
  far.write(Buffer.concat([short, Buffer.alloc(20)]));
  await expect(opening).rejects.toMatchObject({ code: "EIO" });
  expect(near.destroyed).toBe(true);
});

async function tcpPair() {
  const server = createServer({ allowHalfOpen: true });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const taken = once(server, "connection") as Promise<[Socket]>;
  const near = connect((server.address() as { port: number }).port, "127.0.0.1");
  const [far] = await taken;
  const end = (): void => {
    for (const each of [near, far]) each.destroy();
    server.close();
  };
  return { near, far, end };
}
