import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { hasCode } from "@shipside/core";

/** What has to be installed for FUSE: a program, and the package that mostly has it. */
export type Programs = Readonly<Record<string, string>>;

/** What a mount by these programs lacks on this machine, in words; undefined where nothing. */
export async function missingForMounts(programs: Programs): Promise<string | undefined> {
  const missing: string[] = [];
  for (const [program, from] of Object.entries(programs))
    if (!(await isInPath(program))) missing.push(`the program ${program} (install the package ${from})`);
  const device = await access("/dev/fuse", constants.R_OK | constants.W_OK).then(
    () => undefined,
    (error: Error) => error,
  );
  if (device) {
    const absent = hasCode(device, "ENOENT");
    missing.push(
      absent ? "/dev/fuse (load the kernel module fuse; in a container, hand in the device)" : "the right to open /dev/fuse",
    );
  }
  return missing.length > 0 ? `this machine lacks ${missing.join(", ")}` : undefined;
}

async function isInPath(program: string): Promise<boolean> {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    const found = await access(join(directory || ".", program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
