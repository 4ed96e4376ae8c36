import { setTimeout as delay } from "node:timers/promises";
import { createCloser, type MountedVolume, type VolumeDriver } from "@shipside/core";
import { volumesError } from "@shipside/volumes";
import type { Journal } from "./journal.ts";
import { makeMount } from "./residue/mount.ts";

/** For what is pending to be written back, in ms; then it is unmounted all the same. */
const CLOSE_MS = 10_000;

/**
 * The driver, with each of its mounts in the journal before it is made, and taken away whatever the driver does: closing one that hangs
 * ends after 10 s with `VOLUMES_CLOSE_TIMEOUT`, and nothing is mounted any more.
 */
export function recordedDriver(driver: VolumeDriver, journal: Journal, session: string, closeMs = CLOSE_MS): VolumeDriver {
  // A copy is files: they go with the folder's own record.
  if (driver.copies) return driver;
  return {
    name: driver.name,
    ...(driver.kinds && { kinds: driver.kinds }),
    unavailable: () => driver.unavailable(),
    async mount(request, components) {
      const { localPath, volume } = request;
      let mounted: MountedVolume | undefined;
      const { remove } = await makeMount(
        journal,
        { path: localPath },
        async (path) => {
          mounted = await driver.mount({ ...request, localPath: path }, components);
        },
        session,
      );
      const closer = createCloser();
      closer.defer(remove);
      closer.defer(() => closeWithin(mounted!, volume, closeMs));
      return { localPath, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
    },
  };
}

async function closeWithin(mounted: MountedVolume, volume: string, closeMs: number): Promise<void> {
  const patience = new AbortController();
  const closing = mounted.close().finally(() => patience.abort());
  const late = delay(closeMs, undefined, { signal: patience.signal }).then(
    () => {
      throw volumesError(
        "VOLUMES_CLOSE_TIMEOUT",
        `volume ${volume} in ${mounted.localPath} did not close within ${closeMs / 1000} s`,
        {
          hint: "it is unmounted all the same; what was written last may not have reached the cluster",
        },
      );
    },
    () => {},
  );
  await Promise.race([closing, late.then(() => closing)]);
}
