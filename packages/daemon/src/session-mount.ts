import {
  type Closable,
  type EnvEntry,
  type ErrorJson,
  errorToJson,
  type Logger,
  type Plugin,
  type VolumeDriver,
} from "@shipside/core";
import { collectEnv } from "@shipside/envexport";
import type { Cluster, Workload } from "@shipside/kube";
import { chooseDrivers, clearVolumes, type OpenVolumes, openVolumes, type VolumeObstacle, volumesError } from "@shipside/volumes";
import type { HostOptions } from "./host.ts";
import type { Journal } from "./journal.ts";
import { recordedDriver } from "./recorded-driver.ts";
import { recordVolumes } from "./residue/volumes.ts";
import type { MountInfo, SessionOptions } from "./session-info.ts";
import { volumeDrivers } from "./volume-drivers.ts";
import { takeOff, untilUnused, volumesInUse } from "./volume-users.ts";

/** The part of a session that has a workload's volumes on this machine. */
export interface SessionMount extends Closable {
  info(): MountInfo;
  /** What keeps files from being current. */
  stale(): ErrorJson[];
  /** `VOLUMES_BUSY` where a process works in a drive, and who. */
  inUse(): Promise<Error | undefined>;
  /** Takes off what is in use, and warns of who uses it: closing waits for nobody then. */
  letGo(): Promise<void>;
}

export interface SessionMountComponents {
  cluster: Cluster;
  workload: Workload;
  /** The container's, where the session has it. */
  env: readonly EnvEntry[] | undefined;
  journal: Journal;
  /** Its id. */
  session: string;
  plugins: readonly Plugin[];
  /** Why drivers that mount are of no use in this directory. */
  whyNoMounts?: HostOptions["whyNoMounts"] | undefined;
  /** Where the others mount. */
  mountInside?: HostOptions["mountInside"] | undefined;
  logger: Logger;
  signal: AbortSignal;
  /** Told of what can't be brought up to date from now on. */
  warn(error: ErrorJson): void;
  /** Told of what is being done in the cluster. */
  notice(message: string): void;
  /** Told how far the copy of a volume is. */
  copying(message: string): void;
}

/**
 * Brings the workload's volumes to `options.mount.dir`, with everything in the journal before it is made. Rejects with the codes of
 * `openVolumes` and `chooseDrivers`; of a session that is nothing but the mount also with `VOLUMES_NONE_MOUNTED`.
 */
export async function openMount(options: SessionOptions, components: SessionMountComponents): Promise<SessionMount> {
  const { cluster, workload, env, journal, session, plugins, mountInside, logger, signal, warn, notice, copying } = components;
  const { container, kubeconfig, kind, relayImage: image } = options;
  const { dir, only, readOnly, from, driver: wanted, ignore } = options.mount!;
  const place = { cluster, ...(kubeconfig !== undefined && { kubeconfig }) };
  const hidden = await components.whyNoMounts?.(dir);
  const drivers = volumeDrivers({
    ...{ place, journal, session, image, ignore, plugins, mountInside, notice, copying },
    warn: (error) => warn(errorToJson(error)),
  });
  const chosen = await chooseDrivers(hidden === undefined ? drivers : drivers.map(unlessHidden(hidden)), wanted);
  const known = env ?? (await envForPaths(components, container));
  const { owner, undone } = await recordVolumes(journal, dir, session);
  let volumes: OpenVolumes;
  try {
    volumes = await openVolumes(cluster, {
      ...{ workload, dir, owner, signal, logger },
      ...(container !== undefined && { container }),
      ...(only && { only }),
      ...(readOnly && { readOnly }),
      ...(from && { from }),
      driver: chosen.map(({ driver }) => recordedDriver(driver, journal, session)),
      ...(known && { env: Object.fromEntries(known.map(({ name, value }) => [name, value])) }),
      onObstacle: (obstacle) => warn(asError(obstacle)),
    });
  } catch (error) {
    await clearVolumes(dir, owner).then(undone, (left: Error) => logger.error("could not undo", { error: left.message }));
    throw error;
  }
  const drives = volumes.volumes.filter(({ updates }) => updates === "live").map(({ localPath }) => localPath);
  const inUse = (): Promise<Error | undefined> => volumesInUse(drives, volumes.dir, session);
  let isLetGo = false;
  const letGo = async (busy?: Error): Promise<void> => {
    isLetGo = true;
    if (!busy) return;
    warn({ ...errorToJson(busy), hint: "it is taken off all the same: what they write from now on fails" });
    await takeOff(drives, volumes.dir);
  };
  const close = async (): Promise<void> => {
    if (!isLetGo) await letGo(await untilUnused(inUse));
    await volumes.close();
    await undone();
  };
  if (kind === "mount" && volumes.volumes.length === 0) {
    const why = noneMounted(volumes);
    await close();
    throw why;
  }
  const used = chosen.filter(({ driver }) => volumes.volumes.some(({ by }) => by === driver.name));
  return {
    info: () => ({
      dir: volumes.dir,
      container: volumes.container,
      drivers: used.map(({ driver: { name }, why }) => ({ name, why })),
      volumes: volumes.volumes,
      // What isn't current is told as such.
      obstacles: volumes.obstacles.filter(({ code }) => code !== "VOLUMES_NOT_FOLLOWED"),
    }),
    stale: () => volumes.stale.map(asError),
    inUse,
    letGo: async () => letGo(await inUse()),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What is missing on this machine is said first. */
const unlessHidden =
  (why: string) =>
  (driver: VolumeDriver): VolumeDriver =>
    !driver.mounts
      ? driver
      : {
          ...driver,
          name: driver.name,
          unavailable: async () => (await driver.unavailable()) ?? why,
          mount: (request, components) => driver.mount(request, components),
        };

/** A subPathExpr may name any of the container's variables. */
async function envForPaths(
  { cluster, workload, signal, logger }: SessionMountComponents,
  container: string | undefined,
): Promise<readonly EnvEntry[] | undefined> {
  const { containers, initContainers = [] } = workload.podSpec;
  const asks = [...containers, ...initContainers].some(({ volumeMounts = [] }) => volumeMounts.some((mount) => mount.subPathExpr));
  if (!asks) return undefined;
  const where = { ...(container !== undefined && { container }) };
  return (await collectEnv(cluster, { workload, skipForbidden: true, signal, logger, ...where })).entries;
}

function noneMounted({ container, obstacles }: OpenVolumes): Error {
  const [first, ...others] = obstacles;
  if (!first) {
    return volumesError("VOLUMES_NONE_MOUNTED", `container ${container} mounts no volume`, {
      hint: "another container of the pod may: name it by `container`",
    });
  }
  const more = others.length > 0 ? `, and ${others.length} more` : "";
  const what = [first.volume, first.mountPath && `at ${first.mountPath}`].filter(Boolean).join(" ");
  return volumesError(
    "VOLUMES_NONE_MOUNTED",
    `none of the volumes of container ${container} can be brought: ${what}: ${first.message}${more}`,
    {
      ...(first.hint !== undefined && { hint: first.hint }),
      details: { container, obstacles },
    },
  );
}

const asError = ({ code, message, hint }: VolumeObstacle): ErrorJson => ({ code, message, ...(hint !== undefined && { hint }) });
