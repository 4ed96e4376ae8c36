import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, createCloser, hasCode, type MountedVolume, type VolumeDriver, type VolumeMountRequest } from "@shipside/core";
import type { Cluster, ExecResult } from "@shipside/kube";
import { volumesError } from "../errors.ts";
import { readTar } from "./tar-reader.ts";
import { unpack } from "./unpack.ts";

export interface SnapshotOptions {
  cluster: Pick<Cluster, "exec">;
}

/**
 * Copies a volume once, as it is now, by `tar` in a container that mounts it. The copy isn't written back, whatever `readOnly` says, and
 * the whole archive is held in memory while it is unpacked. Codes: `VOLUMES_SNAPSHOT_NO_TAR`, `VOLUMES_SNAPSHOT_FAILED`,
 * `VOLUMES_ARCHIVE_INVALID`, `VOLUMES_PATH_UNSAFE`, and those of `Cluster.exec`.
 */
export function snapshotDriver({ cluster }: SnapshotOptions): VolumeDriver {
  return {
    name: "snapshot",
    copies: true,
    unavailable: async () => undefined,
    async mount(request, { logger }): Promise<MountedVolume> {
      const { localPath, signal, volume } = request;
      signal.throwIfAborted();
      const archive = await copyOut(cluster, request);
      try {
        const { files, bytes, skipped } = await unpack(readTar(archive), localPath, signal);
        logger.debug("volume copied", { volume, files, bytes });
        if (skipped.length > 0)
          logger.warn("not copied: links that lead out of the volume, devices, pipes", { volume, names: skipped.slice(0, 20) });
      } catch (cause) {
        await empty(localPath);
        if (signal.aborted || codeOf(cause)?.startsWith("VOLUMES_")) throw cause;
        throw volumesError("VOLUMES_SNAPSHOT_FAILED", `could not unpack volume ${volume} in ${localPath}: ${codeOf(cause)}`, {
          cause,
        });
      }
      const closer = createCloser();
      closer.defer(() => empty(localPath));
      return { localPath, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
    },
  };
}

async function copyOut(cluster: Pick<Cluster, "exec">, request: VolumeMountRequest): Promise<Buffer> {
  const { pod, container, remotePath, signal, volume } = request;
  const what = `volume ${volume} of pod ${pod.namespace}/${pod.name}`;
  const noTar = (cause: unknown): Error =>
    volumesError("VOLUMES_SNAPSHOT_NO_TAR", `${what} can't be copied: its container has no tar`, {
      cause,
      hint: "another driver may be able to bring it, or a container of the pod whose image has tar",
      details: { ...pod, ...(container !== undefined && { container }) },
    });
  const failed = (why: string, cause?: unknown): Error =>
    volumesError("VOLUMES_SNAPSHOT_FAILED", `${what} could not be copied from ${remotePath}: ${why}`, {
      ...(cause !== undefined && { cause }),
      details: { ...pod, remotePath },
    });
  let result: ExecResult;
  try {
    result = await cluster.exec(pod, ["tar", "cf", "-", "-C", remotePath, "."], {
      signal,
      ...(container !== undefined && { container }),
    });
  } catch (cause) {
    if (!hasCode(cause, "KUBE_EXEC_FAILED")) throw cause;
    const message = (cause as Error).message;
    throw /executable file not found|no such file/i.test(message) ? noTar(cause) : failed(message, cause);
  }
  const { stdout, stderr, exitCode } = result;
  if (exitCode === 0) return stdout;
  const said = stderr.toString().trim();
  if (exitCode === 126 || exitCode === 127) throw noTar(new Error(said));
  // GNU tar ends so where the workload wrote meanwhile: what is copied is as good as a copy of a volume in use can be.
  const harmless = said.split("\n").every((line) => /file changed as we read it$|socket ignored$/.test(line));
  if (exitCode === 1 && harmless && said !== "") return stdout;
  throw failed(`tar ended with ${exitCode}: ${said.slice(0, 500)}`);
}

async function empty(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    try {
      await rm(join(directory, name), { recursive: true, force: true });
    } catch (cause) {
      throw volumesError("VOLUMES_UNWRITABLE", `could not remove the copy in ${directory}`, { cause });
    }
  }
}
