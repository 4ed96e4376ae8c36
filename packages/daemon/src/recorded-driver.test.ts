import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MountedVolume, silentLogger, type VolumeDriver } from "@shipside/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Journal, openJournal } from "./journal.ts";
import { recordedDriver } from "./recorded-driver.ts";

let folder: string;
let journal: Journal;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "shipside-driver-"));
  await mkdir(join(folder, "data"));
  journal = openJournal(join(folder, "state"));
});
afterEach(async () => {
  await journal.close();
  await rm(folder, { recursive: true });
});

const driver = (mount: VolumeDriver["mount"], copies?: true): VolumeDriver => ({
  name: "drive",
  ...(copies && { copies }),
  unavailable: async () => undefined,
  mount,
});
const mounted = (localPath: string, close: () => Promise<void>): MountedVolume => ({
  localPath,
  close,
  [Symbol.asyncDispose]: close,
});
const mount = (of: VolumeDriver): Promise<MountedVolume> => {
  const what = { volume: "data", remotePath: "/data", localPath: join(folder, "data"), readOnly: false };
  return of.mount({ ...what, pod: { namespace: "a", name: "b" }, signal: new AbortController().signal }, { logger: silentLogger });
};
const recorded = (): string[] => journal.outstanding.map(({ kind, session }) => `${kind} of ${session}`);

test("a mount is in the journal while it is being made, and until it is gone", async () => {
  let during: string[] = [];
  const open = await mount(
    recordedDriver(
      driver(async ({ localPath }) => {
        during = recorded();
        return mounted(localPath, async () => {});
      }),
      journal,
      "one",
    ),
  );
  expect([during, recorded()]).toEqual([["mount of one"], ["mount of one"]]);
  await open.close();
  expect(recorded()).toEqual([]);
  await expect(
    mount(
      recordedDriver(
        driver(() => Promise.reject(new Error("away"))),
        journal,
        "one",
      ),
    ),
  ).rejects.toThrow("away");
  expect(recorded()).toEqual([]);
});

test("one whose closing hangs, or fails, is over all the same; both are told", async () => {
  const hanging = driver(async ({ localPath }) => mounted(localPath, () => new Promise(() => {})));
  const slow = await mount(recordedDriver(hanging, journal, "one", 50));
  await expect(slow.close()).rejects.toMatchObject({ code: "VOLUMES_CLOSE_TIMEOUT" });
  const failing = driver(async ({ localPath }) => mounted(localPath, () => Promise.reject(new Error("not written back"))));
  const failed = await mount(recordedDriver(failing, journal, "one", 50));
  await expect(failed.close()).rejects.toThrow("not written back");
  expect(recorded()).toEqual([]);
});

test("a copy is no mount", async () => {
  const copying = driver(async ({ localPath }) => mounted(localPath, async () => {}), true);
  expect(recordedDriver(copying, journal, "one")).toBe(copying);
});
