import { join, resolve } from "node:path";
import { runtimeDir, type SessionMountOptions } from "@shipside/daemon/client";
import { flag, type Invocation, list, text } from "./command.ts";
import { cliError } from "./errors.ts";
import { sourceOf } from "./source-option.ts";

/** What a command line says of volumes. `only`: the option that names some, since a teleport's `--only` is of variables. */
export function volumeOptions(invocation: Invocation, dir: string, only: "only" | "mount-only"): SessionMountOptions {
  const wanted = list(invocation, only).filter((name) => name !== "");
  const driver = text(invocation, "driver");
  const ignore = list(invocation, "ignore").filter((pattern) => pattern !== "");
  if (ignore.length > 0 && driver !== "sync") {
    const otherwise = driver === undefined ? "" : `, and ${driver} brings the volume as it is`;
    throw cliError("USAGE", `--ignore is for the copies that --driver sync keeps${otherwise}`, { hint: "add --driver sync" });
  }
  const from = sourceOf(invocation);
  return {
    dir: directory(dir),
    ...(wanted.length > 0 && { only: wanted }),
    ...(flag(invocation, "read-only") && { readOnly: true }),
    ...(from !== undefined && { from }),
    ...(driver !== undefined && { driver }),
    ...(ignore.length > 0 && { ignore }),
  };
}

/** Absolute: a daemon stands in another folder. */
function directory(given: string): string {
  if (given !== "") return resolve(given);
  throw cliError("USAGE", "the directory for the volumes has no name", { hint: "such as ./core-root" });
}

/** Where volumes are kept that a command has at their own paths. */
const privateDirectory = (): string => join(runtimeDir(), `volumes-${process.pid}`);

/** A teleport's, undefined without `--mount`. Throws `USAGE`. */
export function teleportVolumes(invocation: Invocation, workload: string | undefined): SessionMountOptions | undefined {
  const dir = text(invocation, "mount") ?? (flag(invocation, "volumes") ? privateDirectory() : undefined);
  if (dir === undefined) {
    const stray = ["mount-only", "driver", "ignore"].find(
      (name) => list(invocation, name).length > 0 || text(invocation, name) !== undefined,
    );
    const given = stray ?? (flag(invocation, "read-only") ? "read-only" : undefined);
    if (given === undefined) return undefined;
    throw cliError("USAGE", `--${given} is of volumes, and none are mounted`, { hint: "say where: --mount ./root" });
  }
  if (workload === undefined)
    throw cliError("USAGE", "--mount and --volumes: a namespace as such has no volumes", {
      hint: "name a workload: shipside teleport deployment/core",
    });
  return volumeOptions(invocation, dir, "mount-only");
}
