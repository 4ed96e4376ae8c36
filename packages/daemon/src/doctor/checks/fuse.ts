import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { codeOf } from "@shipside/core";
import { type Check, type Finding, ok, warning } from "../check.ts";

const INSTALL = "install fuse3 (apt install fuse3, dnf install fuse3)";

/** ConfigMaps, Secrets and the like are files that are written here, and take nothing. */
const COPIES = "PersistentVolumeClaims can't be drives here, only copies";

/** What a volume is mounted with. Linux only. */
export const fuse: Check = {
  id: "fuse",
  title: "FUSE",
  async run({ platform, env, file }) {
    if (platform !== "linux") return [];
    const device = file("/dev/fuse");
    const findings: Finding[] = [];
    const refused = await access(device, constants.R_OK | constants.W_OK).then(
      () => undefined,
      (error: Error) => codeOf(error) ?? error.message,
    );
    if (refused === "ENOENT")
      findings.push(warning(`there is no /dev/fuse: ${COPIES}`, `${INSTALL}; in a container, pass it on (--device /dev/fuse)`));
    else if (refused !== undefined)
      findings.push(warning(`/dev/fuse may not be used (${refused}): ${COPIES}`, "let this user read and write it"));
    const path = env["PATH"] ?? "";
    // Mounts by itself.
    if (process.geteuid?.() === 0) {
      const mount = await firstIn(path, ["mount"]);
      if (mount === undefined) findings.push(warning(`mount is not in PATH: ${COPIES}`, "install mount, or util-linux"));
      return findings.length > 0 ? findings : [ok(`/dev/fuse and ${mount}`)];
    }
    const helper = await firstIn(path, ["fusermount3", "fusermount"]);
    if (helper === undefined) findings.push(warning(`fusermount3 is not in PATH: ${COPIES}`, INSTALL));
    // By the first one our own server has the drives, by the other sshfs.
    const by = (await firstIn(path, ["python3"])) ?? (await firstIn(path, ["sshfs"]));
    if (by === undefined)
      findings.push(
        warning(`neither python3 nor sshfs is in PATH: ${COPIES}`, "install python3 (apt install python3, dnf install python3)"),
      );
    return findings.length > 0 ? findings : [ok(`/dev/fuse, ${helper} and ${by}`)];
  },
};

async function firstIn(path: string, commands: readonly string[]): Promise<string | undefined> {
  for (const command of commands)
    for (const folder of path.split(delimiter).filter((each) => each !== "")) {
      const candidate = join(folder, command);
      if (
        await access(candidate, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return candidate;
    }
  return undefined;
}
