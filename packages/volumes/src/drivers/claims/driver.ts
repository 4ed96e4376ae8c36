import { createCloser, hasCode, type MountedVolume, type VolumeDriver, type VolumeMountRequest } from "@shipside/core";
import { PODS, type Pod } from "@shipside/kube";
import { claimPath, FILES_AUTHORITY, type RelayFiles } from "@shipside/relay";
import { volumesError } from "../../errors.ts";
import type { DriveOptions } from "../drive.ts";
import { claimedPath, getClaim, placeFor } from "./claim.ts";
import { type SharedRelaysOptions, sharedRelays } from "./relays.ts";
import { findUser } from "./user.ts";

/**
 * Of a driver that brings PersistentVolumeClaims (and ephemeral volumes) for reading and writing, over a relay pod that mounts just that claim, as
 * the workload's container does: its user, groups and label, and on its node where the access mode asks for that. Nothing is asked of the
 * cluster before the first mount; the relay goes with the last mount of its claim. Codes: `VOLUMES_KIND_UNSUPPORTED`, `VOLUMES_NOT_MOUNTED`,
 * `VOLUMES_CLAIM_UNBOUND`, `VOLUMES_CLAIM_EXCLUSIVE`, `VOLUMES_ROOT_FORBIDDEN`, `VOLUMES_SUBPATH_MISSING`, `VOLUMES_MOUNT_FAILED`, and those of
 * `deployRelay`; `VOLUMES_OPTION_INVALID` is thrown at once.
 */
export interface ClaimDriverOptions extends SharedRelaysOptions {
  /** How long names and attributes may be out of date, in s, 0–60. Default 2. */
  cacheSeconds?: number;
  /** How long nothing may come from the relay until operations fail, in ms, 3,000–60,000; those that wait then take 2 s more. Default 10,000. */
  silenceMs?: number;
}

/** While the relay isn't linked an operation waits this long for it, in ms, and then fails: many may wait one after the other. */
const AWAY_MS = 1_500;
/** For the first one, in ms: an image may have to be pulled. Longer than what the relay itself takes until it says why it isn't there. */
const DEPLOY_MS = 140_000;

/** By what a directory that a relay's file server has is brought. */
export interface ClaimMounter extends Pick<VolumeDriver, "name" | "unavailable"> {
  mount(options: DriveOptions): Promise<MountedVolume>;
}

/** A driver that brings what a relay pod has, by whatever program. */
export function claimDriver(options: ClaimDriverOptions, { name, unavailable, mount }: ClaimMounter): VolumeDriver {
  const { cluster, cacheSeconds, silenceMs } = options;
  if (silenceMs !== undefined && !(silenceMs >= 3_000 && silenceMs <= 60_000))
    throw volumesError("VOLUMES_OPTION_INVALID", `the driver ${name} can't have a silenceMs of ${silenceMs}`, {
      hint: "give ms from 3000 to 60000",
    });
  const relays = sharedRelays(options);
  return {
    name,
    kinds: ["persistentVolumeClaim", "ephemeral"],
    unavailable,
    async mount(request, { logger }): Promise<MountedVolume> {
      const { localPath, signal, container, volume } = request;
      signal.throwIfAborted();
      const pod = await cluster.get(PODS, request.pod, { signal });
      const { namespace } = request.pod;
      const at = claimedPath(pod, request);
      const claim = await getClaim(cluster, { namespace, name: at.claim }, signal);
      const { nodeName, readOnly: onlyRead } = placeFor(claim, pod, at.readOnly);
      const user = await findUser(cluster, { pod, container, signal, logger });
      const files: RelayFiles = {
        claims: [
          {
            name: at.claim,
            ...(onlyRead && { readOnly: true }),
            ...(at.mountPropagation && { mountPropagation: at.mountPropagation }),
          },
        ],
        ...(nodeName !== undefined && { nodeName }),
        ...tolerationsOf(pod),
        user,
        ...(silenceMs !== undefined && { silenceMs }),
      };
      const closer = createCloser();
      try {
        const relay = closer.use(relays.take(namespace, files, logger));
        await relay.link(AbortSignal.any([signal, AbortSignal.timeout(DEPLOY_MS)]));
        const mounted = await mount({
          name: `${namespace}/${at.claim}`,
          ...{ localPath, readOnly: request.readOnly || onlyRead, signal, logger },
          remotePath: [claimPath(at.claim), at.path].filter(Boolean).join("/"),
          ...(cacheSeconds !== undefined && { cacheSeconds }),
          ...(request.inner && { inner: request.inner }),
          async open(until) {
            const soon = AbortSignal.any([until, AbortSignal.timeout(AWAY_MS)]);
            const link = await relay.link(soon);
            return link.connect(FILES_AUTHORITY, { signal: link.linked ? until : soon });
          },
        });
        logger.debug("volume mounted", { volume, claim: at.claim, localPath });
        closer.use(mounted);
        return { localPath, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
      } catch (error) {
        await closer.close().catch((failed: Error) => logger.error("a relay could not be removed", { error: failed.message }));
        throw hasCode(error, "VOLUMES_MOUNT_FAILED") ? withQuestion(error as Error, request) : error;
      }
    },
  };
}

/** A volume that stands still has its file server do so, which is all that was seen from here. */
function withQuestion(error: Error, { pod, container, remotePath }: VolumeMountRequest): Error {
  const where = ["-n", pod.namespace, pod.name, ...(container === undefined ? [] : ["-c", container])].join(" ");
  const hint = `look whether the volume itself answers: kubectl exec ${where} -- ls ${remotePath}`;
  return volumesError("VOLUMES_MOUNT_FAILED", error.message, { hint, cause: error });
}

function tolerationsOf(pod: Pod): Pick<RelayFiles, "tolerations"> {
  const { tolerations } = pod.spec as { tolerations?: object[] };
  return tolerations ? { tolerations } : {};
}
