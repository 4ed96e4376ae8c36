import * as fs from "node:fs";
import { constants, type Stats } from "node:fs";
import { promisify } from "node:util";
import { codeOf } from "@shipside/core";
import {
  type AttributeReader,
  attributeReader,
  MODE_BITS,
  refuseLink,
  setAttributes,
  setFileAttributes,
  setTimes,
} from "./attributes.ts";
import { bytesOf, type Confinement } from "./confine.ts";
import type { Handles, OpenDirectory } from "./handles.ts";
import { replaceIfSame } from "./replace.ts";
import {
  attributesReply,
  cutDataReply,
  DATA_AT,
  dataReply,
  handleReply,
  type Name,
  nameReply,
  statusReply,
  statvfsReply,
} from "./replies.ts";
import { OPEN_FLAGS, type Request, STAMP, STAT, STATUS } from "./sftp.ts";

/**
 * What mostly has its answer in memory is done here and now: to have a thread of the pool do it takes several times as long, and nothing
 * else may be done meanwhile. Where the volume stands still (NFS), so does this process, and the link to it ends: whoever waits for the
 * file system has an error instead of waiting as well. What may take long where all is well (to sync, to free a large file's blocks) goes to
 * a thread.
 */
const { lstatSync, openSync, readSync, writeSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, linkSync } = fs;
const { rmdirSync, renameSync, unlinkSync } = fs;
const { truncate, unlink, rename, statfs } = fs.promises;
const [ftruncate, fsync] = [promisify(fs.ftruncate), promisify(fs.fsync)];

/** As much as one READ gets, in bytes. */
const LONGEST_READ = 256 * 1024;
/** Entries of one READDIR: few enough for a packet, many enough for few round trips. */
const ENTRIES = 128;
/** To free more than this, in bytes, may take long. */
const FREED_AT_ONCE = 64 * 1024 * 1024;
const LATIN1 = "latin1" satisfies BufferEncoding;

/** Does one request. The next is to be asked when it is done: clients pipeline what depends on what was before. */
export type Operations = (request: Request) => Buffer | Promise<Buffer>;

export function fileOperations({ confine, handles }: { confine: Confinement; handles: Handles }): Operations {
  const attributes = attributeReader();
  const at = (path: string): Buffer => bytesOf(confine.resolve(path));
  const ok = (id: number): Buffer => statusReply(id, STATUS.OK);
  const absent = (id: number): Buffer => statusReply(id, STATUS.NO_SUCH_FILE);

  /** A promise, or undefined for what {@link perform} does, where it may take long. */
  const performAtOnce = (request: Request): Buffer | Promise<Buffer> | undefined => {
    const { id } = request;
    switch (request.type) {
      case "open": {
        handles.reserve();
        const mode = (request.attributes.mode ?? 0o666) & MODE_BITS;
        return handleReply(id, handles.add({ fd: openSync(at(request.path), openFlags(request.flags), mode), unsynced: 0 }));
      }
      case "read": {
        const length = Math.min(request.length, LONGEST_READ);
        const reply = dataReply(id, length);
        const bytesRead = readSync(handles.file(request.handle).fd, reply, DATA_AT, length, request.offset);
        return bytesRead === 0 ? statusReply(id, STATUS.EOF) : cutDataReply(reply, bytesRead);
      }
      case "write": {
        const { data, offset } = request;
        const file = handles.file(request.handle);
        file.unsynced += data.length;
        for (let done = 0; done < data.length; ) done += writeSync(file.fd, data, done, data.length - done, offset + done);
        return ok(id);
      }
      case "lstat": {
        // That something isn't there is asked more often than not, and an exception costs more than the question.
        const told = attributes.of(at(request.path));
        return told ? attributesReply(id, told) : absent(id);
      }
      case "stat": {
        const told = attributes.of(bytesOf(confine.follow(request.path)));
        if (!told) return absent(id);
        // The home directory, by which clients learn who they are here: it is shown as theirs, whoever owns the volume's root.
        const self = request.path === "." || request.path === "";
        return attributesReply(id, self ? { ...told, uid: process.getuid!(), gid: process.getgid!() } : told);
      }
      case "fstat":
        return attributesReply(id, attributes.ofOpen(handles.file(request.handle).fd));
      case "opendir": {
        handles.reserve();
        const path = confine.follow(request.path);
        const names = readdirSync(bytesOf(path), { encoding: LATIN1 });
        return handleReply(id, handles.add({ path, names, at: 0 }));
      }
      case "readdir": {
        const names = nextNames(handles.directory(request.handle), attributes);
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
      case "close":
        return handles.close(request.handle)?.then(() => ok(id)) ?? ok(id);
      case "setstat": {
        if (request.attributes.size !== undefined) return undefined;
        const path = at(request.path);
        setAttributes(path, request.attributes);
        return ok(id);
      }
      case "fsetstat":
        if (request.attributes.size !== undefined) return undefined;
        setFileAttributes(handles.file(request.handle).fd, request.attributes);
        return ok(id);
      case "rmdir":
        rmdirSync(at(request.path));
        return ok(id);
      case "remove": {
        const path = at(request.path);
        if (isLarge(lstatSync(path))) return unlink(path).then(() => ok(id));
        unlinkSync(path);
        return ok(id);
      }
      case "rename":
      case "posixRename": {
        const [from, to] = [at(request.from), at(request.to)];
        const replaced = lstatSync(to, { throwIfNoEntry: false });
        // Section 6.5: it is an error where the new name is taken.
        if (replaced && request.type === "rename") return statusReply(id, STATUS.FAILURE, "EEXIST: the new name is taken");
        if (replaced && isLarge(replaced)) return rename(from, to).then(() => ok(id));
        renameSync(from, to);
        return ok(id);
      }
      case "stamps":
        attributes.extend(STAMP);
        return ok(id);
      case "stats":
        attributes.extend(STAT);
        return ok(id);
      case "utimes": {
        const { handle, path, atime, mtime } = request;
        setTimes(handle === "" ? at(path) : handles.file(handle).fd, atime, mtime);
        return ok(id);
      }
      case "replace": {
        const { from, to, keep, expected } = request;
        replaceIfSame({ ...(from !== "" && { from: at(from) }), to: at(to), keep: at(keep), expected });
        const after = [to, keep].map((name) => ({ name, long: name, told: attributes.of(at(name)) }));
        return nameReply(
          id,
          after.flatMap(({ told, ...named }) => (told ? [{ ...named, attributes: told }] : [])),
        );
      }
      default:
        return undefined;
    }
  };

  const perform = async (request: Request): Promise<Buffer> => {
    const { id } = request;
    switch (request.type) {
      case "fsync": {
        const file = handles.file(request.handle);
        await fsync(file.fd);
        file.unsynced = 0;
        return ok(id);
      }
      case "setstat": {
        const path = at(request.path);
        refuseLink(path);
        await truncate(path, request.attributes.size);
        setAttributes(path, request.attributes);
        return ok(id);
      }
      case "fsetstat": {
        const { fd } = handles.file(request.handle);
        await ftruncate(fd, request.attributes.size);
        setFileAttributes(fd, request.attributes);
        return ok(id);
      }
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
      const done = performAtOnce(request) ?? perform(request);
      return done instanceof Promise ? done.catch((error: unknown) => failed(request, error)) : done;
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

function isLarge({ size }: Pick<Stats, "size">): boolean {
  return size > FREED_AT_ONCE;
}

function nextNames(directory: OpenDirectory, attributes: AttributeReader): Name[] {
  const { path, names } = directory;
  const found: Name[] = [];
  // One that has gone meanwhile is none; and no names at all would mean the end.
  while (found.length === 0 && directory.at < names.length) {
    const some = names.slice(directory.at, directory.at + ENTRIES);
    directory.at += some.length;
    for (const name of some) {
      try {
        const told = attributes.of(bytesOf(`${path}/${name}`));
        if (told) found.push({ name, long: name, attributes: told });
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
