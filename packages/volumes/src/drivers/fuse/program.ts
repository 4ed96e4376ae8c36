import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { relative } from "node:path";
import { createDevice } from "./device.ts";
import { createFileSystem } from "./file-system.ts";
import type { FromProgram, ProgramOptions, ToProgram } from "./messages.ts";
import { localUser } from "./owners.ts";
import { DIRECTORY, KIND } from "./protocol.ts";
import { FileError, reply, request } from "./sftp-packets.ts";
import { openSftpSession, type SftpSession } from "./sftp-session.ts";
import { connectTo, type Stream } from "./stream.ts";

/**
 * The process of one mount: opens /dev/fuse and mounts, unless that is done, and answers the kernel out of streams that its parent gives
 * it. It is a process of its own, since whoever serves a file system must never wait for it: not by looking at a path, nor by starting a
 * program in it. Imports only what Node has.
 */

/** Without a sign of life of the parent's for this long, in ms, it is frozen: nothing that was asked will be answered. */
const SILENCE_MS = 6_000;
const TICK_MS = 500;
/** How long a session may take to begin, in ms: an operation on the mount waits as long. */
const OPEN_MS = 5_000;

const options = JSON.parse(process.argv[2]!) as ProgramOptions;
/** The kernel's end of what is mounted already: see `withFusermount`. */
const mounted = process.argv[3] === undefined ? undefined : Number(process.argv[3]);
const { localPath, source, readOnly, cacheSeconds, doors } = options;
/** As all of the server's paths are: a byte string. */
const remotePath = Buffer.from(options.remotePath).toString("latin1");
// Whatever is mounted over it later, it is found from within.
process.chdir(doors);
// The parent may be gone by then.
const say = (message: FromProgram): void => void process.send?.(message, undefined, undefined, () => {});
// However it ends: to exit is to wait for the threads that read the device, and they wait for who waits for this process.
process.once("exit", () => process.kill(process.pid, "SIGKILL"));
// Its mount fails then, rather than to show the disk below it.
process.once("disconnect", () => process.exit());

let session: SftpSession | undefined;
let opening: Promise<SftpSession> | undefined;
let asked = 0;
const wanted = new Map<number, (path: string | undefined) => void>();
let heard = performance.now();
process.on("message", (message: ToProgram) => {
  heard = performance.now();
  if ("beat" in message) return say({ beat: true });
  if ("end" in message) return void end();
  wanted.get(message.stream)?.(message.path);
});

async function open(): Promise<SftpSession> {
  const id = ++asked;
  let stream: Stream | undefined;
  const timer = setTimeout(() => {
    wanted.get(id)?.(undefined);
    stream?.socket.destroy();
  }, OPEN_MS);
  try {
    const path = await new Promise<string | undefined>((resolve) => {
      wanted.set(id, resolve);
      say({ want: id });
    });
    if (path === undefined) throw new FileError("EIO");
    stream = connectTo(relative(doors, path));
    const opened = await openSftpSession(stream.socket, stream.incoming);
    await opened.ask(request.stats(), reply.done);
    session = opened;
    return session;
  } finally {
    clearTimeout(timer);
    wanted.delete(id);
  }
}

function current(): SftpSession | Promise<SftpSession> {
  if (session && !session.ended) return session;
  opening ??= open().finally(() => {
    opening = undefined;
  });
  return opening;
}

/** What was written is with the server first, which answers in the order in which it is asked. */
async function end(): Promise<void> {
  if (session && !session.ended) await session.ask(request.stats(), reply.done).catch(() => {});
  process.exit();
}

let ticked = heard;
setInterval(() => {
  const now = performance.now();
  // This process itself stood still (the machine slept): what has come meanwhile is not yet read.
  if (now - ticked > 4 * TICK_MS) heard = now;
  ticked = now;
  if (now - heard > SILENCE_MS) session?.end();
}, TICK_MS);

/** Rejects with what the program said. */
async function mount(fd: number): Promise<void> {
  const user = [`user_id=${process.getuid!()}`, `group_id=${process.getgid!()}`];
  const list = ["fd=3", "rootmode=40000", ...user, "nosuid", "nodev", ...(readOnly ? ["ro"] : [])];
  // Not by a helper for the type, which would want to run a server of its own.
  const args = ["-i", "-t", "fuse.shipside", "-o", list.join(","), source, localPath];
  const child = spawn("mount", args, { cwd: "/", stdio: ["ignore", "ignore", "pipe", fd] });
  let said = "";
  child.stderr!.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(said.trim() || `mount ended with ${code}`);
}

try {
  const { mode } = await (await current()).ask(request.stat(remotePath), reply.attributes);
  if ((mode & KIND) !== DIRECTORY) throw new FileError("ENOTDIR");
  const fd = mounted ?? openSync("/dev/fuse", "r+");
  const device = createDevice(fd);
  const { serve } = createFileSystem({ remotePath, session: current, cacheSeconds, user: localUser(), notify: device.write });
  if (mounted === undefined) await mount(fd);
  const gone = device.serve(serve);
  say({ mounted: true });
  await gone;
  process.exit();
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  process.send?.({ failed: { message, ...(code !== undefined && { code }) } } satisfies FromProgram, () => process.exit(1));
}
