export { type ChosenDriver, chooseDrivers } from "./choose-drivers.ts";
export { type SnapshotOptions, snapshotDriver } from "./drivers/snapshot.ts";
export { type SshfsOptions, sshfsDriver } from "./drivers/sshfs/driver.ts";
export { removeStaleMount } from "./drivers/sshfs/unmount.ts";
export { VOLUMES_ERRORS, type VolumesErrorCode, volumesError } from "./errors.ts";
export { clearVolumes, volumesLeft } from "./owned-directory.ts";
export { type Means, type Obstacle, type PlannedMount, type PlanOptions, plan, type VolumesPlan } from "./plan.ts";
export { type OpenVolume, type OpenVolumes, type OpenVolumesOptions, openVolumes, type VolumeObstacle } from "./volumes.ts";
