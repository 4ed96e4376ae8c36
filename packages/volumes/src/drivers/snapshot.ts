import { codeOf, createCloser, type MountedVolume, type VolumeDriver, type VolumeMountRequest } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { volumesError } from "../errors.ts";
import { emptyTree } from "../remove-tree.ts";
import { maybeGunzip } from "./gunzip.ts";
import { type Distance, sendArchive } from "./send-archive.ts";
import { tarReader } from "./tar-reader.ts";
import { type Unpacked, unpackInto } from "./unpack.ts";

export interface SnapshotOptions {
  cluster: Pick<Cluster, "exec" | "get">;
  /**
   * Whether the container compresses what it sends, where it has `gzip`. Default: where the cluster is more than 10 ms away and the container
   * may use at least half a processor.
   */
  compress?: boolean;
  /** Told with each piece that comes what there is of it so far. How much is to come isn't known. */
  onProgress?(volume: string, soFar: Readonly<Pick<Unpacked, "files" | "bytes">>): void;
}

/**
 * Copies a volume once, as it is now, by `tar` in a container that mounts it, unpacking what comes as it comes. The copy isn't written
 * back, whatever `readOnly` says. Codes: `VOLUMES_SNAPSHOT_NO_TAR`, `VOLUMES_SNAPSHOT_FAILED`, `VOLUMES_ARCHIVE_INVALID`,
 * `VOLUMES_PATH_UNSAFE`, and those of `Cluster.exec`.
 */
export function snapshotDriver(options: SnapshotOptions): VolumeDriver {
  const distance: Distance = { quickestMs: Number.POSITIVE_INFINITY };
  return {
    name: "snapshot",
    copies: true,
    unavailable: async () => undefined,
    async mount(request, { logger }): Promise<MountedVolume> {
      const { localPath, signal, volume } = request;
      signal.throwIfAborted();
      try {
        const { files, bytes, skipped } = await copy(request, distance, options);
        logger.debug("volume copied", { volume, files, bytes });
        if (skipped.length > 0)
          logger.warn("not copied: links that lead out of the volume, devices, pipes", { volume, names: skipped.slice(0, 20) });
      } catch (cause) {
        await emptyTree(localPath);
        if (signal.aborted || /^(VOLUMES|KUBE)_/.test(codeOf(cause) ?? "")) throw cause;
        throw volumesError("VOLUMES_SNAPSHOT_FAILED", `could not unpack volume ${volume} in ${localPath}: ${codeOf(cause)}`, {
          cause,
        });
      }
      const closer = createCloser();
      closer.defer(() => emptyTree(localPath));
      return { localPath, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
    },
  };
}

/** What it leaves where it rejects is of no use. */
async function copy(
  request: VolumeMountRequest,
  distance: Distance,
  { cluster, compress, onProgress }: SnapshotOptions,
): Promise<Unpacked> {
  await using unpacking = unpackInto(request.localPath);
  const reader = tarReader(unpacking);
  await using input = maybeGunzip({
    push(bytes) {
      reader.push(bytes);
      onProgress?.(request.volume, unpacking.soFar);
      return unpacking.busy;
    },
    finish: () => reader.finish(),
  });
  await sendArchive(cluster, request, { compress, distance, onStdout: input.push });
  await input.finish();
  return await unpacking.finish();
}
