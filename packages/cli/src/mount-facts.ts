import type { MountInfo } from "@shipside/daemon/client";
import type { Paint } from "./terminal.ts";

type Volume = MountInfo["volumes"][number];
type Obstacle = MountInfo["obstacles"][number];

/** How the volumes of a session stand, a line for each. */
export function mountFacts({ dir, drivers, volumes, obstacles }: MountInfo, paint: Paint): string[] {
  return [
    `${volumes.length} ${volumes.length === 1 ? "volume" : "volumes"} in ${dir}`,
    ...volumes.map((volume) => `  ${volumeLine(volume)}`),
    ...drivers.map(({ name, why }) => `  driver ${name}: ${why}`),
    ...obstacles.map((obstacle) => paint("yellow", `  ${obstacleLine(obstacle)}`)),
  ];
}

/** `/etc/core  configMap settings, kept current` */
export function volumeLine({ mountPath, kind, volume, claim, by, updates, since, readOnly }: Volume): string {
  const how =
    updates === "followed"
      ? "kept current"
      : updates === "own"
        ? "your own, empty at first and gone at the end"
        : updates === "live"
          ? `by ${by}${readOnly ? ", read-only" : ""}`
          : `${by === "api" ? "as in a pod not updated, of" : `a copy by ${by}, of`} ${since.slice(0, 19).replace("T", " ")} UTC`;
  // Of a StatefulSet it tells the replica.
  const which = claim === undefined || claim === volume ? "" : ` (claim ${claim})`;
  return `${mountPath}  ${kind} ${volume}${which}, ${how}`;
}

/** What isn't there, and why. */
export function obstacleLine({ volume, mountPath, message }: Obstacle): string {
  return mountPath === undefined ? message : `${mountPath} (${volume}): ${message}`;
}
