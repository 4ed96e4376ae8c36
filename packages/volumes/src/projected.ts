import { rm } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "@shipside/core";
import { createAtomicDirectory, writeTree } from "./atomic-directory.ts";
import { volumesError } from "./errors.ts";
import { isBelow } from "./local-path.ts";
import type { OwnedDirectory } from "./owned-directory.ts";
import { type PayloadInputs, type Rendered, renderPayload } from "./payload.ts";
import type { Obstacle, PlannedMount } from "./plan.ts";

/** A volume that is written from the API. */
export interface ProjectedVolume {
  /** What the last writing left out. */
  readonly obstacles: readonly Obstacle[];
  /** Writes it anew where something changed; resolves with whether it did. Calls must not overlap. */
  refresh(): Promise<boolean>;
  remove(): Promise<void>;
}

/**
 * Writes a configMap, secret, downwardAPI or projected volume. A mount with a subPath is a plain file or directory and isn't brought up
 * to date, as in a pod. `inner` are the places of the volumes mounted inside. Rejects as {@link renderPayload}, and with
 * `VOLUMES_UNWRITABLE`.
 */
export async function mountProjected(
  mount: PlannedMount & { localPath: string },
  { owned, inputs, inner }: { owned: OwnedDirectory; inputs: PayloadInputs; inner: readonly string[] },
): Promise<ProjectedVolume> {
  const { localPath: place, subPath, volume } = mount;
  const render = (): Promise<Rendered> => renderPayload(mount, inputs);
  const first = await render();
  if (subPath !== undefined) return mountSubPath({ ...mount, subPath }, owned, first);

  const reserved = inner.filter((path) => isBelow(path, place)).map((path) => path.slice(place.length + 1).split("/")[0]!);
  const directory = createAtomicDirectory(await owned.ensure(place), new Set(reserved));
  let { obstacles } = first;
  const put = async (rendered: Rendered): Promise<boolean> => {
    const changed = await directory.write(rendered.files).catch(unwritable(volume));
    obstacles = rendered.obstacles;
    return changed;
  };
  try {
    await put(first);
  } catch (error) {
    await directory.remove();
    throw error;
  }
  return {
    get obstacles() {
      return obstacles;
    },
    refresh: async () => put(await render()),
    remove: () => directory.remove().catch(unwritable(volume)),
  };
}

async function mountSubPath(
  { localPath: place, subPath, volume }: PlannedMount & { localPath: string; subPath: string },
  owned: OwnedDirectory,
  { files, obstacles }: Rendered,
): Promise<ProjectedVolume> {
  const file = files.get(subPath);
  const below = new Map(
    [...files].filter(([path]) => isBelow(path, subPath)).map(([path, each]) => [path.slice(subPath.length + 1), each]),
  );
  const still = { obstacles: [...obstacles], refresh: async () => false };
  if (!file && below.size === 0) {
    const message = `volume ${volume} has no ${subPath}; in a pod there would be an empty directory`;
    const hint = files.size > 0 ? `it has ${[...files.keys()].slice(0, 8).join(", ")}` : "the volume is empty";
    return { ...still, obstacles: [...obstacles, { code: "VOLUMES_SUBPATH_MISSING", message, hint }], remove: async () => {} };
  }
  const slash = place.lastIndexOf("/");
  const parent = slash === -1 ? owned.path : await owned.ensure(place.slice(0, slash));
  const name = place.slice(slash + 1);
  const written = file ? new Map([[name, file]]) : new Map([...below].map(([path, each]) => [`${name}/${path}`, each]));
  await writeTree(parent, written).catch(unwritable(volume));
  return { ...still, remove: () => rm(join(parent, name), { recursive: true, force: true }).catch(unwritable(volume)) };
}

const unwritable =
  (volume: string) =>
  (cause: unknown): never => {
    if (codeOf(cause)?.startsWith("VOLUMES_")) throw cause;
    throw volumesError(
      "VOLUMES_UNWRITABLE",
      `the files of volume ${volume} can't be written or removed: ${codeOf(cause) ?? cause}`,
      { cause },
    );
  };
