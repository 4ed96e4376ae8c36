import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { codeOf } from "@shipside/core";
import { type Check, type Finding, ok, warning } from "../check.ts";

const INSTALL = "install fuse3 (apt install fuse3, dnf install fuse3)";

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
      findings.push(
        warning("there is no /dev/fuse: volumes can't be mounted", `${INSTALL}; in a container, pass it on (--device /dev/fuse)`),
      );
    else if (refused !== undefined)
      findings.push(
        warning(`/dev/fuse may not be used (${refused})`, "let this user read and write it: volumes can't be mounted without"),
      );
    const helper = await firstIn(env["PATH"] ?? "", ["fusermount3", "fusermount"]);
    if (helper === undefined) findings.push(warning("fusermount3 is not in PATH: only root can mount volumes", INSTALL));
    if ((await firstIn(env["PATH"] ?? "", ["sshfs"])) === undefined)
      findings.push(
        warning(
          "sshfs is not in PATH: only root can have PersistentVolumeClaims as drives; others have copies",
          "install sshfs (apt install sshfs, dnf install fuse-sshfs)",
        ),
      );
    return findings.length > 0 ? findings : [ok(`/dev/fuse, ${helper} and sshfs`)];
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
