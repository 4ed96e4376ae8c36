/** One mount, as `/proc/PID/mountinfo` tells of it (proc_pid_mountinfo(5)): asking the file system itself could wait for ever. */
export interface MountEntry {
  /** `major:minor` of what is mounted. */
  device: string;
  /** Where, from the root of the process that the table is of. */
  path: string;
  /** Its peer groups, as `shared:1`, `master:2`, `propagate_from:3`, `unbindable`; none where it is private. */
  propagation: string[];
  /** `ext4`, `fuse.sshfs` */
  type: string;
  source: string;
}

/** In the kernel's order: of several at one path the last covers the others. Lines of any other form are passed over. Pure. */
export function parseMountInfo(text: string): MountEntry[] {
  return text.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [, , device, , path, , ...propagation] = before.split(" ");
    const [type, source] = after.split(" ");
    if (!device || !path || !type || source === undefined) return [];
    return [{ device, path: plain(path), propagation, type, source: plain(source) }];
  });
}

/** Blanks, line feeds, backslashes and the like are octal there. */
const plain = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
