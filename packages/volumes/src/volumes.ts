import { realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Closable, createCloser, errorToJson, hasCode, silentLogger, type VolumeDriver } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { openApiObjects } from "./api-objects.ts";
import { brings } from "./choose-drivers.ts";
import type { PodFacts } from "./downward.ts";
import { openEmptyDirs } from "./empty-dirs.ts";
import { asksDownward, followPods } from "./follow-pods.ts";
import { isBelow } from "./local-path.ts";
import { nodeAllocatable } from "./node-allocatable.ts";
import { insideDrive, obstacleOf } from "./obstacles.ts";
import { claimDirectory, type PlaceKind } from "./owned-directory.ts";
import { type Obstacle, type PlannedMount, plan } from "./plan.ts";
import { mountProjected, type ProjectedVolume } from "./projected.ts";
import { openRefresher } from "./refresher.ts";
import { openTokens } from "./tokens.ts";
import { unboundClaim } from "./unbound.ts";
import { checkOptions, driversOf, type OpenVolumesOptions } from "./volumes-options.ts";
import { defaultContainer, findPod } from "./workload-pod.ts";

export interface OpenVolume {
  volume: string;
  kind: string;
  /** Of a PersistentVolumeClaim: its name. */
  claim?: string;
  mountPath: string;
  /** Absolute. */
  localPath: string;
  readOnly: boolean;
  /** `api`, the driver's name, or `here` for an emptyDir of this machine's own. */
  by: string;
  /** `followed`: kept as the API has it. `never`: as it was at `since`; a subPath, as in a pod, or a copy. `live`: the volume's own files. `own`: whatever is put in here. */
  updates: "followed" | "never" | "live" | "own";
  /** ISO 8601. */
  since: string;
}

/** A volume, or a file of one, that isn't there, or isn't kept current. */
export interface VolumeObstacle extends Obstacle {
  /** Undefined where it concerns several. */
  volume?: string;
  mountPath?: string;
}

export interface OpenVolumes extends Closable {
  /** Absolute. */
  readonly dir: string;
  readonly container: string;
  readonly volumes: readonly OpenVolume[];
  readonly obstacles: readonly VolumeObstacle[];
  /** What keeps files from being current now; empty where all that are followed are. */
  readonly stale: readonly Obstacle[];
}

/**
 * Brings a workload's volumes to a local directory, and keeps those that are written from the API current until it is closed. `close`
 * removes all of it: what was there before stays. What can't be brought is told in `obstacles`; what a pod could not start without
 * rejects. Where one volume can't be had from the cluster or the driver, the others are brought. Codes: `VOLUMES_OPTION_INVALID`, `VOLUMES_CONTAINER_UNKNOWN`, `VOLUMES_NOT_MOUNTED`, `VOLUMES_REFERENCE_MISSING`,
 * `VOLUMES_FIELD_UNKNOWN`, `VOLUMES_PATH_UNSAFE`, `VOLUMES_DIR_NOT_EMPTY`, `VOLUMES_DIR_BUSY`, `VOLUMES_UNWRITABLE`, and those of
 * `resolveWorkload` and `Cluster.get`.
 */
export async function openVolumes(cluster: Cluster, options: OpenVolumesOptions): Promise<OpenVolumes> {
  checkOptions(options);
  const { logger = silentLogger, onChange, onObstacle } = options;
  const closer = createCloser();
  const lifetime = new AbortController();
  let stop = async (): Promise<void> => lifetime.abort();
  const signal = options.signal ? AbortSignal.any([options.signal, lifetime.signal]) : lifetime.signal;
  try {
    const where = await findPod(cluster, options, signal);
    const { workload } = where;
    const { namespace } = workload;
    const spec = where.pod?.spec ?? workload.podSpec;
    const container = options.container ?? defaultContainer(where);
    const { only, env, from } = options;
    const planned = plan(spec, {
      ...(container !== undefined && { container }),
      ...(only && { only }),
      ...(env && { env }),
      ...(from && { from }),
    });
    const drivers = driversOf(options.driver, cluster);
    const unable = new Map<VolumeDriver, string>();
    for (const driver of drivers) {
      const why = await driver.unavailable();
      if (why !== undefined) unable.set(driver, why);
    }
    const driverOf = ({ means, kind }: PlannedMount): VolumeDriver | undefined =>
      means === "driver" ? (drivers.find((each) => !unable.has(each) && brings(each, kind)) ?? drivers[0]) : undefined;

    const obstacles: VolumeObstacle[] = [];
    let opened = false;
    const tell = (obstacle: VolumeObstacle): void => {
      if (opened) onObstacle?.(obstacle);
      else obstacles.push(obstacle);
    };
    const usable: Array<PlannedMount & { localPath: string }> = [];
    for (const mount of planned.mounts) {
      const obstacle = obstacleOf(mount, { ...where, driver: driverOf(mount), unable }) ?? insideDrive(mount, usable, driverOf);
      const unbound =
        obstacle?.code === "VOLUMES_NEEDS_POD" ? await unboundClaim(cluster, mount, { namespace, signal }) : undefined;
      if (obstacle) tell({ ...(unbound ?? obstacle), volume: mount.volume, mountPath: mount.mountPath });
      else usable.push(mount as PlannedMount & { localPath: string });
    }

    const owned = closer.use(
      await claimDirectory(
        options.dir,
        usable.map((mount) => ({ path: mount.localPath, kind: placeOf(mount, driverOf(mount)) })),
        options.owner,
      ),
    );
    const written: Array<{ open: OpenVolume; mount: ProjectedVolume }> = [];
    const refresher = openRefresher({
      logger,
      async refresh() {
        const failures: unknown[] = [];
        for (const { open, mount } of written) {
          const before = mount.obstacles;
          try {
            if (await mount.refresh()) onChange?.(open);
          } catch (error) {
            failures.push(error);
          }
          for (const obstacle of mount.obstacles) {
            if (opened && !before.some(({ message }) => message === obstacle.message))
              onObstacle?.({ ...obstacle, ...named(open) });
          }
        }
        if (failures.length > 0) throw failures[0];
      },
      onFailure: (error) => tell(notRefreshed(error)),
    });
    const objects = openApiObjects(cluster, {
      namespace,
      signal,
      logger,
      onChange: refresher.request,
      onObstacle: tell,
    });
    const serviceAccount = spec.serviceAccountName ?? "default";
    const tokens = openTokens(cluster, { namespace, serviceAccount, signal, logger, onDue: refresher.request });
    // Before the files go, nothing may write them any more.
    stop = async () => {
      lifetime.abort();
      tokens.close();
      await objects.close();
      await refresher.close();
    };
    const facts: PodFacts = { namespace, spec: workload.podSpec, ...(where.pod && { pod: where.pod }) };
    const inputs = {
      facts,
      configMap: objects.configMap,
      secret: objects.secret,
      token: tokens.token,
      trustBundles: objects.trustBundles,
      allocatable: nodeAllocatable(cluster, { signal }),
    };

    const volumes: OpenVolume[] = [];
    const inner = usable.map(({ localPath }) => localPath);
    const emptyDirs = openEmptyDirs(owned, inner);
    const bring = async (mount: PlannedMount & { localPath: string }): Promise<OpenVolume | undefined> => {
      const { volume, kind, mountPath, subPath, source } = mount;
      const claim = kind === "persistentVolumeClaim" && { claim: String(source["claimName"]) };
      const about = { volume, kind, ...claim, mountPath, since: new Date().toISOString() };
      if (mount.means === "api") {
        const projected = await mountProjected(mount, { owned, inputs, inner });
        closer.defer(() => projected.remove());
        if (projected.obstacles.some(({ code }) => code === "VOLUMES_SUBPATH_MISSING")) {
          for (const obstacle of projected.obstacles) tell({ ...obstacle, volume, mountPath });
          return undefined;
        }
        const updates = subPath === undefined ? "followed" : "never";
        const open: OpenVolume = { ...about, readOnly: true, localPath: `${owned.path}/${mount.localPath}`, by: "api", updates };
        written.push({ open, mount: projected });
        return open;
      }
      if (mount.means === "here") {
        closer.defer(await emptyDirs.make(mount));
        return { ...about, readOnly: false, localPath: join(owned.path, mount.localPath), by: "here", updates: "own" };
      }
      const localPath = await owned.ensure(mount.localPath);
      const pod = { namespace, name: where.pod!.metadata.name };
      const readOnly = mount.readOnly || options.readOnly === true;
      // As the system calls it: a mount is known by that alone.
      const real = await realpath(localPath);
      const innerOf = inner.filter((path) => isBelow(path, mount.localPath)).map((path) => path.slice(mount.localPath.length + 1));
      const request = {
        inner: innerOf,
        volume,
        remotePath: mountPath,
        localPath: real,
        readOnly,
        pod,
        container: planned.container,
        signal,
      };
      const driver = driverOf(mount)!;
      closer.use(await driver.mount({ ...request, ...(subPath !== undefined && { subPath }) }, { logger }));
      const { name, copies } = driver;
      if (copies) {
        // A copy has along what is mounted inside; that has a place of its own here.
        for (const each of inner.filter((path) => isBelow(path, mount.localPath))) await rm(join(owned.path, each), RECURSIVELY);
      }
      return { ...about, readOnly: readOnly || copies === true, localPath, by: name, updates: copies ? "never" : "live" };
    };
    for (const mount of usable) {
      signal.throwIfAborted();
      const { volume, mountPath } = mount;
      try {
        const open = await bring(mount);
        if (open) volumes.push(open);
      } catch (error) {
        // What is of this volume alone keeps none of the others away; what a pod could not start without is no obstacle but an error.
        const itsOwn = mount.means === "driver" || hasCode(error, "KUBE_FORBIDDEN");
        if (signal.aborted || !itsOwn || hasCode(error, "VOLUMES_UNWRITABLE", "VOLUMES_PATH_UNSAFE")) throw error;
        const { code, message, hint } = errorToJson(error);
        tell({ code, message, ...(hint !== undefined && { hint }), volume, mountPath });
      }
    }
    if (usable.some(asksDownward)) closer.defer(followPods(cluster, workload, { facts, signal, onChange: refresher.request }));
    closer.defer(stop);
    opened = true;
    return {
      dir: owned.path,
      container: planned.container,
      volumes,
      get obstacles() {
        return [
          ...obstacles,
          ...written.flatMap(({ open, mount }) => mount.obstacles.map((each) => ({ ...each, ...named(open) }))),
        ];
      },
      get stale() {
        return [...objects.stale, ...(refresher.failure ? [notRefreshed(refresher.failure)] : [])];
      },
      close: () => closer.close(),
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await stop();
    await closer.close().catch((cause: Error) => logger.error("could not undo", { error: cause.message }));
    throw error;
  }
}

const notRefreshed = (error: Error): Obstacle => ({
  code: "VOLUMES_NOT_FOLLOWED",
  message: `the files are as they were: ${error.message}`,
});

const RECURSIVELY = { recursive: true, force: true };

const named = ({ volume, mountPath }: OpenVolume): { volume: string; mountPath: string } => ({ volume, mountPath });

/** How it is cleared after a crash. */
const placeOf = ({ means, subPath }: PlannedMount, driver: VolumeDriver | undefined): PlaceKind =>
  means === "api" ? (subPath === undefined ? "payload" : "copy") : means === "here" || driver?.copies ? "copy" : "mount";
