import { codeOf, createCloser, hasCode, type MountedVolume, type VolumeDriver, type VolumeMountRequest } from "@shipside/core";
import type { Cluster, ExecResult } from "@shipside/kube";
import { volumesError } from "../errors.ts";
import { emptyTree } from "../remove-tree.ts";
import { tarReader } from "./tar-reader.ts";
import { type Unpacked, unpackInto } from "./unpack.ts";

export interface SnapshotOptions {
  cluster: Pick<Cluster, "exec">;
}

/**
 * Copies a volume once, as it is now, by `tar` in a container that mounts it, unpacking what comes as it comes. The copy isn't written
 * back, whatever `readOnly` says. Codes: `VOLUMES_SNAPSHOT_NO_TAR`, `VOLUMES_SNAPSHOT_FAILED`, `VOLUMES_ARCHIVE_INVALID`,
 * `VOLUMES_PATH_UNSAFE`, and those of `Cluster.exec`.
 */
export function snapshotDriver({ cluster }: SnapshotOptions): VolumeDriver {
  return {
    name: "snapshot",
    copies: true,
    unavailable: async () => undefined,
    async mount(request, { logger }): Promise<MountedVolume> {
      const { localPath, signal, volume } = request;
      signal.throwIfAborted();
      try {
        const { files, bytes, skipped } = await copy(cluster, request);
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
async function copy(cluster: Pick<Cluster, "exec">, request: VolumeMountRequest): Promise<Unpacked> {
  await using unpacking = unpackInto(request.localPath);
  const reader = tarReader(unpacking);
  await sendTar(cluster, request, (chunk) => {
    reader.push(chunk);
    return unpacking.busy;
  });
  reader.finish();
  return await unpacking.finish();
}

async function sendTar(
  cluster: Pick<Cluster, "exec">,
  request: VolumeMountRequest,
  onStdout: (chunk: Buffer) => void | Promise<void>,
): Promise<void> {
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
      onStdout,
      ...(container !== undefined && { container }),
    });
  } catch (cause) {
    if (!hasCode(cause, "KUBE_EXEC_FAILED")) throw cause;
    const message = (cause as Error).message;
    throw /executable file not found|no such file/i.test(message) ? noTar(cause) : failed(message, cause);
  }
  const { stderr, exitCode } = result;
  if (exitCode === 0) return;
  const said = stderr.toString().trim();
  if (exitCode === 126 || exitCode === 127) throw noTar(new Error(said));
  // GNU tar ends so where the workload wrote meanwhile: what is copied is as good as a copy of a volume in use can be.
  const harmless = said.split("\n").every((line) => /file changed as we read it$|socket ignored$/.test(line));
  if (exitCode === 1 && harmless && said !== "") return;
  throw failed(`tar ended with ${exitCode}: ${said.slice(0, 500)}`);
}
