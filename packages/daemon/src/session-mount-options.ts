import { isAbsolute } from "node:path";
import type { SessionMountOptions, SessionOptions } from "./session-info.ts";
import type { Invalid } from "./session-options.ts";

/** Throws `SESSION_OPTIONS`. */
export function checkMount({ mount: given, ...options }: Record<string, unknown>, invalid: Invalid): SessionMountOptions {
  const { kind } = options;
  if (kind === "mount") {
    for (const name of ["env", "envFile"])
      if (options[name] !== undefined) throw invalid(name, "is not of kind mount", "a teleport has env and volumes");
  } else if (kind !== "teleport" && kind !== undefined) throw invalid("mount", `is not of kind ${kind}`, "a teleport may have one");
  if (typeof given !== "object" || given === null) throw invalid("mount", "must be an object", 'such as { dir: "/home/me/core" }');
  const { dir, only, readOnly, from, driver, ignore } = given as Record<string, unknown>;
  if (typeof dir !== "string" || !isAbsolute(dir) || dir.includes("\0"))
    throw invalid("mount.dir", `is ${JSON.stringify(dir)}`, "give an absolute path");
  if (options["workload"] === undefined)
    throw invalid("mount", "needs a workload: a namespace as such has no volumes", "name one: `deployment/core`");
  const checked: SessionMountOptions = { dir };
  if (only !== undefined) {
    if (!Array.isArray(only) || !only.every((name) => typeof name === "string" && name !== ""))
      throw invalid("mount.only", "must be a list of volumes' names and mount paths", 'such as ["config", "/data"]');
    checked.only = [...new Set(only as string[])].sort();
  }
  if (readOnly !== undefined) {
    if (typeof readOnly !== "boolean") throw invalid("mount.readOnly", "must be true or false", "leave it out for the default");
    checked.readOnly = readOnly;
  }
  if (from !== undefined) {
    if (from !== "spec" && from !== "running") throw invalid("mount.from", "is neither spec nor running", "leave it out for spec");
    checked.from = from;
  }
  if (driver !== undefined) {
    if (typeof driver !== "string" || driver === "") throw invalid("mount.driver", "must be a driver's name", 'such as "auto"');
    checked.driver = driver;
  }
  if (ignore !== undefined) {
    if (!Array.isArray(ignore) || !ignore.every((pattern) => typeof pattern === "string" && pattern !== ""))
      throw invalid("mount.ignore", "must be a list of names and paths", 'such as ["node_modules", "*.tmp"]');
    if (driver !== "sync") throw invalid("mount.ignore", "is of the driver sync alone", 'say driver: "sync" too');
    checked.ignore = [...new Set(ignore as string[])].sort();
  }
  return checked;
}

/** What makes two of them the same, however it was written. */
export const mountKey = ({ mount }: SessionOptions): unknown =>
  mount && [mount.dir, mount.only, mount.readOnly ?? false, mount.from ?? "spec", mount.driver ?? "auto", mount.ignore];
