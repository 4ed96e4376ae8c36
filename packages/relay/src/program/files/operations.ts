import * as fs from "node:fs";
import { constants, type Stats } from "node:fs";
import { promisify } from "node:util";
import { codeOf } from "@shipside/core";
import { bytesOf, type Confinement } from "./confine.ts";
import type { Handles, OpenDirectory } from "./handles.ts";
import {
  type Attributes,
  attributesReply,
  cutDataReply,
  DATA_AT,
  dataReply,
  handleReply,
  type Name,
  nameReply,
  OPEN_FLAGS,
  type Request,
  STATUS,
  statusReply,
  statvfsReply,
} from "./sftp.ts";

// Those of `fs/promises` take longer, most of all for reading and writing.
const read = promisify(fs.read);
const write = promisify(fs.write);
const open = promisify(fs.open);
const fstat = promisify(fs.fstat);
const lstat = promisify(fs.lstat) as (path: Buffer) => Promise<Stats>;
const { chmod, lchown, lutimes, truncate, unlink, mkdir, rmdir, rename, link, symlink, readlink, readdir, statfs } = fs.promises;
const [fchmod, fchown, futimes, ftruncate, fsync] = [fs.fchmod, fs.fchown, fs.futimes, fs.ftruncate, fs.fsync].map((each) =>
  promisify(each as (fd: number, ...rest: unknown[]) => void),
) as Array<(fd: number, ...rest: unknown[]) => Promise<void>>;

/** As much as one READ gets, in bytes. */
const LONGEST_READ = 256 * 1024;
/** Entries of one READDIR: few enough for a packet, many enough for few round trips. */
const ENTRIES = 128;
const MODE_BITS = 0o7777;
const LATIN1 = "latin1" satisfies BufferEncoding;

/** Does one request after the other, each to its end before the next: clients pipeline what depends on what was before. */
export type Operations = (request: Request) => Promise<Buffer>;

export function fileOperations({ confine, handles }: { confine: Confinement; handles: Handles }): Operations {
  const at = async (path: string): Promise<Buffer> => bytesOf(await confine.resolve(path));
  const ok = (id: number): Buffer => statusReply(id, STATUS.OK);

  const perform = async (request: Request): Promise<Buffer> => {
    const { id } = request;
    switch (request.type) {
      case "open": {
        handles.reserve();
        const mode = (request.attributes.mode ?? 0o666) & MODE_BITS;
        return handleReply(id, handles.add(await open(await at(request.path), openFlags(request.flags), mode)));
      }
      case "close":
        await handles.close(request.handle);
        return ok(id);
      case "read": {
        const length = Math.min(request.length, LONGEST_READ);
        const reply = dataReply(id, length);
        const { bytesRead } = await read(handles.file(request.handle), reply, DATA_AT, length, request.offset);
        return bytesRead === 0 ? statusReply(id, STATUS.EOF) : cutDataReply(reply, bytesRead);
      }
      case "write": {
        const { data, offset } = request;
        const fd = handles.file(request.handle);
        for (let done = 0; done < data.length; ) {
          done += (await write(fd, data, done, data.length - done, offset + done)).bytesWritten;
        }
        return ok(id);
      }
      case "fsync":
        await fsync!(handles.file(request.handle));
        return ok(id);
      case "lstat":
        return attributesReply(id, attributesOf(await lstat(await at(request.path))));
      case "stat": {
        const attributes = attributesOf(await lstat(bytesOf(await confine.follow(request.path))));
        // The home directory, by which clients learn who they are here: it is shown as theirs, whoever owns the volume's root.
        const self = request.path === "." || request.path === "";
        return attributesReply(id, self ? { ...attributes, uid: process.getuid!(), gid: process.getgid!() } : attributes);
      }
      case "fstat":
        return attributesReply(id, attributesOf(await fstat(handles.file(request.handle))));
      case "setstat":
        await setAttributes(await at(request.path), request.attributes);
        return ok(id);
      case "fsetstat":
        await setFileAttributes(handles.file(request.handle), request.attributes);
        return ok(id);
      case "opendir": {
        handles.reserve();
        const path = await confine.follow(request.path);
        const names = await readdir(bytesOf(path), { encoding: LATIN1 });
        return handleReply(id, handles.add({ path, names, at: 0 }));
      }
      case "readdir": {
        const names = await nextNames(handles.directory(request.handle));
        return names.length === 0 ? statusReply(id, STATUS.EOF) : nameReply(id, names);
      }
      case "remove":
        await unlink(await at(request.path));
        return ok(id);
      case "mkdir":
        await mkdir(await at(request.path), (request.attributes.mode ?? 0o777) & MODE_BITS);
        return ok(id);
      case "rmdir":
        await rmdir(await at(request.path));
        return ok(id);
      case "realpath": {
        const name = confine.absolute(request.path);
        return nameReply(id, [{ name, long: name }]);
      }
      case "readlink": {
        const name = await readlink(await at(request.path), { encoding: LATIN1 });
        confine.checkLink(request.path, name);
        return nameReply(id, [{ name, long: name }]);
      }
      case "symlink":
        await symlink(bytesOf(request.target), await at(request.path));
        return ok(id);
      case "rename": {
        const [from, to] = [await at(request.from), await at(request.to)];
        // Section 6.5: it is an error where the new name is taken.
        const taken = await lstat(to).then(
          () => true,
          () => false,
        );
        if (taken) return statusReply(id, STATUS.FAILURE, "the new name is taken");
        await rename(from, to);
        return ok(id);
      }
      case "posixRename":
        await rename(await at(request.from), await at(request.to));
        return ok(id);
      case "hardlink":
        await link(await at(request.from), await at(request.to));
        return ok(id);
      case "statvfs": {
        const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(bytesOf(await confine.follow(request.path)), {
          bigint: true,
        });
        return statvfsReply(id, [bsize, bsize, blocks, bfree, bavail, files, ffree, ffree, 0n, 0n, 255n]);
      }
      default:
        return statusReply(id, STATUS.UNSUPPORTED, "unknown request");
    }
  };

  return async (request) => {
    try {
      return await perform(request);
    } catch (error) {
      return statusReply(request.id, statusOf(codeOf(error)), (error as Error).message);
    }
  };
}

function openFlags(flags: number): number {
  const writing = (flags & OPEN_FLAGS.WRITE) !== 0;
  const reading = (flags & OPEN_FLAGS.READ) !== 0;
  return (
    (writing ? (reading ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY) |
    (flags & OPEN_FLAGS.APPEND ? constants.O_APPEND : 0) |
    (flags & OPEN_FLAGS.CREATE ? constants.O_CREAT : 0) |
    (flags & OPEN_FLAGS.TRUNCATE ? constants.O_TRUNC : 0) |
    (flags & OPEN_FLAGS.EXCLUSIVE ? constants.O_EXCL : 0) |
    constants.O_NOFOLLOW |
    // A pipe that nobody writes would hold up everything behind it.
    constants.O_NONBLOCK
  );
}

function attributesOf({ size, uid, gid, mode, atimeMs, mtimeMs }: Stats): Required<Attributes> {
  return { size, uid, gid, mode, atime: atimeMs / 1000, mtime: mtimeMs / 1000 };
}

/** Of the last part itself, never of what it points to. */
async function setAttributes(path: Buffer, { size, uid, gid, mode, atime, mtime }: Attributes): Promise<void> {
  const isLink = (await lstat(path)).isSymbolicLink();
  if (isLink && (size !== undefined || mode !== undefined)) {
    throw Object.assign(new Error("a symbolic link has no size or mode to set"), { code: "EOPNOTSUPP" });
  }
  if (size !== undefined) await truncate(path, size);
  if (uid !== undefined && gid !== undefined) await lchown(path, uid, gid);
  if (mode !== undefined) await chmod(path, mode & MODE_BITS);
  if (atime !== undefined && mtime !== undefined) await lutimes(path, atime, mtime);
}

async function setFileAttributes(fd: number, { size, uid, gid, mode, atime, mtime }: Attributes): Promise<void> {
  if (size !== undefined) await ftruncate!(fd, size);
  if (uid !== undefined && gid !== undefined) await fchown!(fd, uid, gid);
  if (mode !== undefined) await fchmod!(fd, mode & MODE_BITS);
  if (atime !== undefined && mtime !== undefined) await futimes!(fd, atime, mtime);
}

async function nextNames(directory: OpenDirectory): Promise<Name[]> {
  const { path, names } = directory;
  while (directory.at < names.length) {
    const some = names.slice(directory.at, directory.at + ENTRIES);
    directory.at += some.length;
    const found = await Promise.all(
      some.map(async (name) => {
        const stats = await lstat(bytesOf(`${path}/${name}`)).catch(() => undefined);
        return stats && { name, long: name, attributes: attributesOf(stats) };
      }),
    );
    // One that has gone meanwhile is none; and no names at all would mean the end.
    const there = found.filter((name) => name !== undefined);
    if (there.length > 0) return there;
  }
  return [];
}

/** A client shows FAILURE as EPERM: what is full, or broken, is no matter of permission. */
function statusOf(code: string | undefined): number {
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return STATUS.NO_SUCH_FILE;
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return STATUS.PERMISSION_DENIED;
    case "ENOSPC":
    case "EIO":
    case "EFBIG":
      return STATUS.NO_SPACE;
    case "EDQUOT":
      return STATUS.QUOTA_EXCEEDED;
    case "EOPNOTSUPP":
    case "ENOSYS":
      return STATUS.UNSUPPORTED;
    default:
      return STATUS.FAILURE;
  }
}
