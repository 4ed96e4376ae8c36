import type { Programs } from "../missing.ts";
import type { ProgramOptions } from "./messages.ts";

/**
 * Mounts as an ordinary user, and becomes the program that follows, which finds the kernel's end as the descriptor that its last argument names.
 * fusermount3 hands that over in a message (SCM_RIGHTS, unix(7)), which Node can take for its own kinds of sockets alone; Python can.
 */
const MOUNT_AND_BECOME = `
import os, socket, struct, subprocess, sys
options, path, *program = sys.argv[1:]
ours, theirs = socket.socketpair()
mount = ["fusermount3", "-o", options, "--", path]
try:
    # Of what is open here it has its streams and this alone: who waits for the end of the others needn't wait for it.
    mounting = subprocess.Popen(mount, env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())}, pass_fds=[theirs.fileno()])
except OSError as error:
    sys.exit(f"fusermount3 can't be run: {error.strerror}")
theirs.close()
notes = ours.recvmsg(1, socket.CMSG_SPACE(4))[1]
mounting.wait()
if not notes:
    sys.exit(1)
device = struct.unpack("i", notes[0][2][:4])[0]
os.set_inheritable(device, True)
os.execv(program[0], [*program, str(device)])
`;

/** What {@link withFusermount} takes. */
export const FUSERMOUNT_PROGRAMS: Programs = { fusermount3: "fuse3", python3: "python3" };

/** A command that mounts and then is the one given. */
export function withFusermount(
  [program, ...args]: readonly [string, ...string[]],
  { localPath, source, readOnly }: Pick<ProgramOptions, "localPath" | "source" | "readOnly">,
): [string, ...string[]] {
  const options = [`fsname=${source}`, "subtype=shipside", "nosuid", "nodev", ...(readOnly ? ["ro"] : [])].join(",");
  // -I, -S: it is of nobody's environment, and has no need of anything that was installed for it.
  return ["python3", "-I", "-S", "-c", MOUNT_AND_BECOME, options, localPath, program, ...args];
}
