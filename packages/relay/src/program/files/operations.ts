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

/**
 * What mostly has its answer in memory is done here and now: to have a thread of the pool do it takes several times as long, and nothing
 * else may be done meanwhile. Where the volume stands still (NFS), so does this process, and the link to it ends: whoever waits for the
 * file system has an error instead of waiting as well. What may take long where all is well goes to a thread.
 */
const { lstatSync, fstatSync, openSync, readSync, writeSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, linkSync } = fs;
const { chmod, lchown, lutimes, truncate, unlink, rmdir, rename, statfs } = fs.promises;
const [fchmod, fchown, futimes, ftruncate, fsync] = [fs.fchmod, fs.fchown, fs.futimes, fs.ftruncate, fs.fsync].map((each) =>
  promisify(each as (fd: number, ...rest: unknown[]) => void),
) as Array<(fd: number, ...rest: unknown[]) => Promise<void>>;

/** As much as one READ gets, in bytes. */
const LONGEST_READ = 256 * 1024;
/** Entries of one READDIR: few enough for a packet, many enough for few round trips. */
const ENTRIES = 128;
const MODE_BITS = 0o7777;
const LATIN1 = "latin1" satisfies BufferEncoding;

/** Does one request. The next is to be asked when it is done: clients pipeline what depends on what was before. */
export type Operations = (request: Request) => Buffer | Promise<Buffer>;

export function fileOperations({ confine, handles }: { confine: Confinement; handles: Handles }): Operations {
  const at = (path: string): Buffer => bytesOf(confine.resolve(path));
  const ok = (id: number): Buffer => statusReply(id, STATUS.OK);
  const absent = (id: number): Buffer => statusReply(id, STATUS.NO_SUCH_FILE);

  /** Undefined for what {@link perform} does. */
  const performAtOnce = (request: Request): Buffer | undefined => {
    const { id } = request;
    switch (request.type) {
      case "open": {
        handles.reserve();
        const mode = (request.attributes.mode ?? 0o666) & MODE_BITS;
        return handleReply(id, handles.add(openSync(at(request.path), openFlags(request.flags), mode)));
      }
      case "read": {
        const length = Math.min(request.length, LONGEST_READ);
        const reply = dataReply(id, length);
        const bytesRead = readSync(handles.file(request.handle), reply, DATA_AT, length, request.offset);
        return bytesRead === 0 ? statusReply(id, STATUS.EOF) : cutDataReply(reply, bytesRead);
      }
      case "write": {
        const { data, offset } = request;
        const fd = handles.file(request.handle);
        for (let done = 0; done < data.length; ) done += writeSync(fd, data, done, data.length - done, offset + done);
        return ok(id);
      }
      case "lstat": {
        // That something isn't there is asked more often than not, and an exception costs more than the question.
        const stats = lstatSync(at(request.path), { throwIfNoEntry: false });
        return stats ? attributesReply(id, attributesOf(stats)) : absent(id);
      }
      case "stat": {
        const attributes = attributesOf(lstatSync(bytesOf(confine.follow(request.path))));
        // The home directory, by which clients learn who they are here: it is shown as theirs, whoever owns the volume's root.
        const self = request.path === "." || request.path === "";
        return attributesReply(id, self ? { ...attributes, uid: process.getuid!(), gid: process.getgid!() } : attributes);
      }
      case "fstat":
        return attributesReply(id, attributesOf(fstatSync(handles.file(request.handle))));
      case "opendir": {
        handles.reserve();
        const path = confine.follow(request.path);
        const names = readdirSync(bytesOf(path), { encoding: LATIN1 });
        return handleReply(id, handles.add({ path, names, at: 0 }));
      }
      case "readdir": {
        const names = nextNames(handles.directory(request.handle));
        return names.length === 0 ? statusReply(id, STATUS.EOF) : nameReply(id, names);
      }
      case "mkdir":
        mkdirSync(at(request.path), (request.attributes.mode ?? 0o777) & MODE_BITS);
        return ok(id);
      case "realpath": {
        const name = confine.absolute(request.path);
        return nameReply(id, [{ name, long: name }]);
      }
      case "readlink": {
        const name = readlinkSync(at(request.path), { encoding: LATIN1 });
        confine.checkLink(request.path, name);
        return nameReply(id, [{ name, long: name }]);
      }
      case "symlink":
        symlinkSync(bytesOf(request.target), at(request.path));
        return ok(id);
      case "hardlink":
        linkSync(at(request.from), at(request.to));
        return ok(id);
      default:
        return undefined;
    }
  };

  const perform = async (request: Request): Promise<Buffer> => {
    const { id } = request;
    switch (request.type) {
      case "close":
        await handles.close(request.handle);
        return ok(id);
      case "fsync":
        await fsync!(handles.file(request.handle));
        return ok(id);
      case "setstat":
        await setAttributes(at(request.path), request.attributes);
        return ok(id);
      case "fsetstat":
        await setFileAttributes(handles.file(request.handle), request.attributes);
        return ok(id);
      case "remove":
        await unlink(at(request.path));
        return ok(id);
      case "rmdir":
        await rmdir(at(request.path));
        return ok(id);
      case "rename": {
        const [from, to] = [at(request.from), at(request.to)];
        // Section 6.5: it is an error where the new name is taken.
        if (lstatSync(to, { throwIfNoEntry: false })) return statusReply(id, STATUS.FAILURE, "the new name is taken");
        await rename(from, to);
        return ok(id);
      }
      case "posixRename":
        await rename(at(request.from), at(request.to));
        return ok(id);
      case "statvfs": {
        const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(bytesOf(confine.follow(request.path)), {
          bigint: true,
        });
        return statvfsReply(id, [bsize, bsize, blocks, bfree, bavail, files, ffree, ffree, 0n, 0n, 255n]);
      }
      default:
        return statusReply(id, STATUS.UNSUPPORTED, "unknown request");
    }
  };

  const failed = ({ id }: Request, error: unknown): Buffer => statusReply(id, statusOf(codeOf(error)), (error as Error).message);
  return (request) => {
    try {
      return performAtOnce(request) ?? perform(request).catch((error: unknown) => failed(request, error));
    } catch (error) {
      return failed(request, error);
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
  const isLink = lstatSync(path).isSymbolicLink();
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

function nextNames(directory: OpenDirectory): Name[] {
  const { path, names } = directory;
  const found: Name[] = [];
  // One that has gone meanwhile is none; and no names at all would mean the end.
  while (found.length === 0 && directory.at < names.length) {
    const some = names.slice(directory.at, directory.at + ENTRIES);
    directory.at += some.length;
    for (const name of some) {
      try {
        found.push({ name, long: name, attributes: attributesOf(lstatSync(bytesOf(`${path}/${name}`))) });
      } catch {}
    }
  }
  return found;
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
