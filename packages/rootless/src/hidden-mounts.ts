import { readFile } from "node:fs/promises";
import { parseMountInfo } from "@shipside/core";

/**
 * Why what is mounted below `dir`, once namespaces are there, isn't seen in them, in words; undefined where it is: mounts go from one
 * namespace to another where the one that they are made in is shared (mount_namespaces(7)). `dir`: absolute; it need not be there.
 */
export async function whyMountsAreHidden(dir: string): Promise<string | undefined> {
  const text = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
  const at = privateMount(text, dir);
  if (at === undefined) return undefined;
  return `what is mounted isn't seen in the command's namespaces, since the mounts at ${at} are private (sudo mount --make-rshared ${at} changes that)`;
}

/** Where the mount is mounted that has `dir`, unless it is shared. Of lines as /proc/self/mountinfo has them. Pure. */
export function privateMount(mountinfo: string, dir: string): string | undefined {
  let nearest: { path: string; shared: boolean } | undefined;
  for (const { path, propagation } of parseMountInfo(mountinfo)) {
    if (path !== "/" && dir !== path && !dir.startsWith(`${path}/`)) continue;
    // Of several at one place, the last covers the others.
    if (nearest && path.length < nearest.path.length) continue;
    nearest = { path, shared: propagation.some((field) => field.startsWith("shared:")) };
  }
  return nearest && !nearest.shared ? nearest.path : undefined;
}
