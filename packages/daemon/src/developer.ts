import { createHash } from "node:crypto";
import { hostname, userInfo } from "node:os";
import type { Developer } from "@shipside/proxy";

/** Who works here. `holder`: as shown to others. */
export function developer(): Developer & { holder: string } {
  const user = userName();
  const machine = hostname().split(".")[0]!;
  const hash = createHash("sha256").update(`${process.getuid?.()} ${user}@${hostname()}`).digest("hex").slice(0, 6);
  return { user, key: `${user}-${hash}`, holder: `${user}@${machine}` };
}

/** A uid without an entry in the user database has no name (containers have such). */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env["USER"] ?? `uid-${process.getuid?.() ?? "unknown"}`;
  }
}
