import { codedErrors } from "@shipside/core";

export const VOLUMES_ERRORS = {
  VOLUMES_OPTION_INVALID: "an option is not of the form it takes",
  VOLUMES_CONTAINER_UNKNOWN: "the workload has no container of this name",
  VOLUMES_NOT_MOUNTED: "the container mounts no volume of this name, or nothing at this path",
  VOLUMES_KIND_UNSUPPORTED: "volumes of this kind can't be brought to another machine",
  VOLUMES_NO_DRIVER: "the volume needs a driver, and none was chosen",
  VOLUMES_DRIVER_UNKNOWN: "there is no driver of this name",
  VOLUMES_DRIVER_UNAVAILABLE: "the driver that was asked for can't work on this machine",
  VOLUMES_NONE_MOUNTED: "none of the container's volumes can be brought",
  VOLUMES_NEEDS_POD: "only a running pod of the workload can give this, and there is none",
  VOLUMES_SUBPATH_UNKNOWN: "the subPathExpr has a variable whose value isn't known here",
  VOLUMES_SUBPATH_MISSING: "the volume has nothing at the subPath",
  VOLUMES_REFERENCE_MISSING: "a ConfigMap, Secret, key or trust bundle that the volume needs does not exist",
  VOLUMES_FIELD_UNKNOWN: "the volume asks for a field or resource that Kubernetes does not offer to a file",
  VOLUMES_TOKEN_REFUSED: "no token of the service account could be had",
  VOLUMES_NOT_FOLLOWED: "the source may be read but not watched, or can't be now: its files may be out of date",
  VOLUMES_PATH_UNSAFE: "a path would lead out of its directory, or into another volume",
  VOLUMES_DIR_NOT_EMPTY: "the directory has something in it that isn't ours",
  VOLUMES_DIR_BUSY: "another process has its volumes in the directory",
  VOLUMES_UNWRITABLE: "the files can't be written or removed",
  VOLUMES_CLOSE_TIMEOUT: "a mounted volume did not close in time, and was unmounted all the same",
  VOLUMES_MOUNT_FAILED: "the volume could not be mounted",
  VOLUMES_BUSY: "a mounted volume is in use, and so can't be unmounted but by force",
  VOLUMES_UNMOUNT_FAILED: "a mounted volume could not be unmounted",
  VOLUMES_CLAIM_UNBOUND: "the PersistentVolumeClaim is bound to no volume, or doesn't exist",
  VOLUMES_CLAIM_EXCLUSIVE: "only one pod may use the PersistentVolumeClaim, and the workload's own does",
  VOLUMES_ROOT_FORBIDDEN: "the files can be served only by a pod that runs as root, which the namespace forbids",
  VOLUMES_SYNC_PENDING:
    "files of a synchronised volume are not the same on both sides yet; those that aren't in the cluster stay on this machine",
  VOLUMES_SYNC_CONFLICT: "a file of a synchronised volume was changed here and in the cluster: both versions are kept",
  VOLUMES_SNAPSHOT_NO_TAR: "the container has no tar to copy the volume with",
  VOLUMES_SNAPSHOT_FAILED: "the volume could not be copied from the pod",
  VOLUMES_ARCHIVE_INVALID: "what the container sent is not a tar archive, or ends too early",
} as const;

export type VolumesErrorCode = keyof typeof VOLUMES_ERRORS;

export const volumesError = codedErrors(VOLUMES_ERRORS);
