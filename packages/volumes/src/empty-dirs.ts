import { mkdir, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { volumesError } from "./errors.ts";
import { isBelow } from "./local-path.ts";
import type { OwnedDirectory } from "./owned-directory.ts";
import type { PlannedMount } from "./plan.ts";
import { emptyTree, removeTree } from "./remove-tree.ts";

/** emptyDir volumes of this machine's own: empty at first, as for a new pod, and gone at the end with all that was put in. */
export interface EmptyDirs {
  /** Resolves with what undoes it. Mounts of one volume are one folder. */
  make(mount: PlannedMount & { localPath: string }): Promise<() => Promise<void>>;
}

/** `inner` are the places of the volumes mounted inside. */
export function openEmptyDirs(owned: OwnedDirectory, inner: readonly string[]): EmptyDirs {
  /** Where the root of each volume is, and parts of volumes whose root isn't mounted. */
  const folders = new Map<string, string>();
  const partOf = ({ volume, subPath = "" }: PlannedMount): string => `${volume}/${subPath}`;

  return {
    async make(mount) {
      const { localPath, volume, subPath } = mount;
      const root = folders.get(`${volume}/`);
      const same = root !== undefined && subPath !== undefined ? join(root, subPath) : folders.get(partOf(mount));
      // A volume that is mounted inside needs a folder to stand in.
      if (same !== undefined && !inner.some((path) => isBelow(path, localPath))) {
        const place = join(owned.path, localPath);
        try {
          await mkdir(same, { recursive: true });
          await owned.ensure(localPath.split("/").slice(0, -1).join("/") || ".");
          await symlink(relative(dirname(place), same), place);
        } catch (cause) {
          throw volumesError("VOLUMES_UNWRITABLE", `the emptyDir ${volume} can't be made at ${place}`, { cause });
        }
        return () => removeTree(place);
      }
      const place = await owned.ensure(localPath);
      folders.set(partOf(mount), place);
      return () => emptyTree(place);
    },
  };
}
