import { errorToJson, type VolumeDriver } from "@shipside/core";
import type { Pod } from "@shipside/kube";
import { brings } from "./choose-drivers.ts";
import { isBelow } from "./local-path.ts";
import type { Obstacle, PlannedMount } from "./plan.ts";

/** What a volume has to be brought by. */
interface Ways {
  driver: VolumeDriver | undefined;
  /** Why a driver can't work on this machine. */
  unable: ReadonlyMap<VolumeDriver, string>;
  pod: Pod | undefined;
  /** Why pods could not be looked for. */
  refusal?: Error;
}

/** What keeps a volume from being brought at all; undefined where nothing is known to. */
export function obstacleOf(mount: PlannedMount, { driver, unable, pod, refusal }: Ways): Obstacle | undefined {
  if (mount.obstacle || mount.means !== "driver") return mount.obstacle;
  const what = `volume ${mount.volume} (${mount.kind})`;
  if (!driver) return { code: "VOLUMES_NO_DRIVER", message: `${what} needs a driver`, hint: 'driver: "snapshot" copies it once' };
  const why = unable.get(driver) ?? (brings(driver, mount.kind) ? undefined : `it brings only ${driver.kinds?.join(" and ")}`);
  if (why !== undefined)
    return {
      code: "VOLUMES_NO_DRIVER",
      message: `the driver ${driver.name} can't bring ${what}: ${why}`,
      hint: "another driver may",
    };
  if (refusal) {
    const { code, message, hint } = errorToJson(refusal);
    return { code, message: `${what} takes its pod: ${message}`, ...(hint !== undefined && { hint }) };
  }
  return pod
    ? undefined
    : {
        code: "VOLUMES_NEEDS_POD",
        message: `${what} can be reached through a running pod only`,
        hint: "mount again when one runs",
      };
}

/** Files from the API, or a copy, would be written into the volume itself, for every pod that mounts it to see. */
export function insideDrive(
  mount: PlannedMount,
  outer: readonly PlannedMount[],
  driverOf: (mount: PlannedMount) => VolumeDriver | undefined,
): Obstacle | undefined {
  if (mount.means === "driver" && !driverOf(mount)?.copies) return undefined;
  const isDrive = (each: PlannedMount): boolean => each.means === "driver" && !driverOf(each)?.copies;
  const drive = outer.find((each) => isDrive(each) && isBelow(mount.localPath!, each.localPath!));
  if (!drive) return undefined;
  return {
    code: "VOLUMES_PATH_UNSAFE",
    message: `volume ${mount.volume} is mounted inside volume ${drive.volume}, and its files would be written into that`,
    hint: `leave ${drive.volume} out with \`only\`, or take a driver that copies`,
  };
}
