import type { VolumeDriver } from "@shipside/core";
import { volumesError } from "./errors.ts";

export interface ChosenDriver {
  driver: VolumeDriver;
  /** For a person: why this one, and what that means. */
  why: string;
}

/**
 * The driver of this name; `auto` is the first that can work on this machine, those whose files are the volume's own before those that
 * copy, else in the order given. Undefined where `auto` finds none. Rejects with `VOLUMES_DRIVER_UNKNOWN`, `VOLUMES_DRIVER_UNAVAILABLE`.
 */
export async function chooseDriver(drivers: readonly VolumeDriver[], wanted = "auto"): Promise<ChosenDriver | undefined> {
  if (wanted !== "auto") return named(drivers, wanted);
  const passed: string[] = [];
  for (const driver of drivers.toSorted((a, b) => Number(a.copies ?? false) - Number(b.copies ?? false))) {
    const unable = await driver.unavailable();
    if (unable === undefined) {
      const others = passed.length > 0 ? passed.join("; ") : driver.copies ? "the only one there is" : "it works on this machine";
      return { driver, why: `${others}${whatItMeans(driver)}` };
    }
    passed.push(`${driver.name} can't be used: ${unable}`);
  }
  return undefined;
}

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
