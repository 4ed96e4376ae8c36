import type { VolumeDriver } from "@shipside/core";
import { volumesError } from "./errors.ts";

export interface ChosenDriver {
  driver: VolumeDriver;
  /** For a person: why this one, and what that means. */
  why: string;
}

/**
 * The driver of this name; for `auto` all that can work on this machine and needn't be named, of which the first that brings a volume's kind has it: those whose
 * files are the volume's own before those that copy, else in the order given. Rejects with `VOLUMES_DRIVER_UNKNOWN`,
 * `VOLUMES_DRIVER_UNAVAILABLE`.
 */
export async function chooseDrivers(drivers: readonly VolumeDriver[], wanted = "auto"): Promise<ChosenDriver[]> {
  if (wanted !== "auto") return [await named(drivers, wanted)];
  const chosen: ChosenDriver[] = [];
  const passed: string[] = [];
  for (const driver of drivers
    .filter(({ onlyByName }) => !onlyByName)
    .toSorted((a, b) => Number(a.copies ?? false) - Number(b.copies ?? false))) {
    const unable = await driver.unavailable();
    if (unable !== undefined) {
      passed.push(`${driver.name} can't be used: ${unable}`);
      continue;
    }
    const others =
      drivers.length === 1 ? "the only one there is" : passed.length > 0 ? passed.join("; ") : "it works on this machine";
    chosen.push({ driver, why: `${others}${whatItMeans(driver)}` });
    if (driver.kinds) passed.push(`${driver.name} brings only ${driver.kinds.join(" and ")}`);
  }
  return chosen;
}

export const brings = ({ kinds }: VolumeDriver, kind: string): boolean => kinds?.includes(kind) ?? true;

async function named(drivers: readonly VolumeDriver[], wanted: string): Promise<ChosenDriver> {
  const driver = drivers.find(({ name }) => name === wanted);
  if (!driver) {
    throw volumesError("VOLUMES_DRIVER_UNKNOWN", `there is no driver ${JSON.stringify(wanted)} for volumes`, {
      hint: `there ${drivers.length === 1 ? "is" : "are"} ${drivers.map(({ name }) => name).join(", ")}, and auto`,
      details: { wanted },
    });
  }
  const unable = await driver.unavailable();
  if (unable === undefined) return { driver, why: `it was asked for${whatItMeans(driver)}` };
  throw volumesError("VOLUMES_DRIVER_UNAVAILABLE", `the driver ${wanted} can't work on this machine: ${unable}`, {
    hint: "auto takes another one; `shipside doctor` looks at what mounting takes",
    details: { wanted },
  });
}

const whatItMeans = ({ copies }: VolumeDriver): string =>
  copies ? "; files are a copy made once, and nothing is written back" : "";
