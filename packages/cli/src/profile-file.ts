import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { daemonError } from "@shipside/daemon/client";
import { type Invocation, text } from "./command.ts";
import { cliError } from "./errors.ts";

/** The file that `up` and `down` are about: `-f`, a saved profile, or the one of this folder. Absolute. */
export async function profileFile(invocation: Invocation): Promise<string> {
  const { PROFILE_FILES, profilePath } = await import("@shipside/daemon/profile");
  const [file, profile] = [text(invocation, "file"), text(invocation, "profile")];
  if (file !== undefined && profile !== undefined)
    throw cliError("USAGE", "either a file or a saved profile", { hint: "leave out -f or --profile" });
  if (profile !== undefined) return profilePath(profile);
  if (file !== undefined) return resolve(file);
  const found = PROFILE_FILES.map((name) => resolve(name)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw daemonError("PROFILE_MISSING", `there is no ${PROFILE_FILES[0]} in ${process.cwd()}`, {
    hint: "`-f FILE` names another one, `--profile NAME` one that was saved",
  });
}
