import { link, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { silentLogger, type VolumeDriver } from "@shipside/core";
import { type VolumeItem, volumeDriverContract } from "@shipside/testkit";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { makePlace, type Place } from "../fixtures/place.ts";
import { removeSynced } from "./journal.ts";
import { mountSync, type SyncMountOptions } from "./mount.ts";

let place: Place;
beforeEach(async () => {
  place = await makePlace();
  vi.stubEnv("XDG_STATE_HOME", join(place.remote, "..", "state"));
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
  vi.unstubAllEnvs();
});
const mount = (more: Partial<SyncMountOptions> = {}) =>
  mountSync({
    ...{ name: "test", localPath: place.local, remotePath: place.remote, readOnly: false, open: place.open },
    ...{ signal: new AbortController().signal, logger: silentLogger, everyMs: 200 },
    ...more,
  });
const here = (path: string): string => join(place.local, path);
const there = (path: string): string => join(place.remote, path);
const until = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 15_000, interval: 50 });
const isIn = (path: string, text: string) => until(async () => expect(await readFile(path, "utf8")).toBe(text));

const cases = volumeDriverContract({
  name: "sync",
  async open() {
    // Of a claim it is the relay's part to find the folder.
    const driver: VolumeDriver = {
      name: "sync",
      unavailable: async () => undefined,
      mount: (request, { logger }) => mountSync({ ...request, name: "test", open: place.open, logger }),
    };
    const volume = async (items: Readonly<Record<string, VolumeItem>>) => {
      const remotePath = await mkdtemp(there("volume-"));
      for (const [path, item] of Object.entries(items)) {
        const at = join(remotePath, path);
        await mkdir(item === "directory" ? at : dirname(at), { recursive: true });
        if (item === "directory") continue;
        if ("link" in item) await symlink(item.link, at);
        else await writeFile(at, item.data, { mode: item.mode });
      }
      return { volume: "data", remotePath, pod: { namespace: "default", name: "holder" } };
    };
    return { driver, volume, async [Symbol.asyncDispose]() {} };
  },
});
it.each(cases)("$name", ({ run }) => run());

it("closing leaves nothing of a file that has two names here, both of them in the cluster", async () => {
  const mounted = await mount();
  await writeFile(here("one"), "twice");
  await link(here("one"), here("two"));
  await isIn(there("one"), "twice");
  await isIn(there("two"), "twice");
  await mounted.close();
  expect(await readdir(place.local)).toEqual([]);
});

it("copies at first, telling how far it is; then what changes on one side is soon on the other; closing leaves nothing here", async () => {
  await mkdir(there("deep/er"), { recursive: true });
  for (let count = 0; count < 20; count++) await writeFile(there(`deep/er/${count}`), `${count}`);
  await mkdir(there("node_modules"));
  const told: number[] = [];
  const mounted = await mount({
    ignore: ["node_modules"],
    onProgress: ({ files, ofFiles, bytes, ofBytes }) => void told.push(files / ofFiles, bytes / ofBytes),
  });
  expect(told).toHaveLength(40);
  expect(told.slice(-2)).toEqual([1, 1]);
  expect(await readdir(place.local)).toEqual(["deep"]);
  await writeFile(here("deep/mine"), "from here");
  await isIn(there("deep/mine"), "from here");
  await writeFile(there("deep/theirs"), "from there");
  await isIn(here("deep/theirs"), "from there");
  await rm(here("deep/er"), { recursive: true });
  await until(async () => expect((await readdir(there("deep"))).sort()).toEqual(["mine", "theirs"]));
  // Nothing waits for the next look: closing brings it.
  await writeFile(here("last"), "words");
  await mounted.close();
  expect(await readFile(there("last"), "utf8")).toBe("words");
  expect((await readdir(place.remote)).sort()).toEqual(["deep", "last", "node_modules"]);
  expect(await readdir(place.local)).toEqual([]);
});

it("changed on both sides: both are kept, and it is said which is which", async () => {
  await writeFile(there("f"), "1");
  const warnings: unknown[] = [];
  await using _mounted = await mount({ everyMs: 60_000, onWarning: (error) => void warnings.push(error) });
  await writeFile(there("f"), "theirs");
  await writeFile(here("f"), "mine");
  await isIn(here("f"), "theirs");
  await until(async () => expect(warnings).toMatchObject([{ code: "VOLUMES_SYNC_CONFLICT" }]));
  const [, other = ""] = (warnings[0] as Error).message.split("the other version is ");
  expect(await readFile(other, "utf8")).toBe("mine");
});

it("what is replaced is kept for a moment, and then gone, with nothing else happening", async () => {
  await writeFile(there("f"), "1");
  await using _mounted = await mount({ everyMs: 60_000 });
  await writeFile(here("f"), "2");
  await isIn(there("f"), "2");
  await until(async () => expect(await readdir(place.remote)).toEqual(["f"]));
});

it("the way gone, work goes on here, and comes to the volume when it is back", async () => {
  await writeFile(there("f"), "1");
  await using _mounted = await mount();
  place.away(true);
  place.cut();
  await writeFile(here("f"), "edited meanwhile");
  await writeFile(there("g"), "there too");
  place.away(false);
  await isIn(there("f"), "edited meanwhile");
  await isIn(here("g"), "there too");
});

it("closed while the way is gone: what isn't in the cluster stays here, and is named", async () => {
  await writeFile(there("f"), "1");
  const mounted = await mount();
  await writeFile(here("new"), "kept");
  await isIn(there("new"), "kept");
  place.away(true);
  place.cut();
  await writeFile(here("late"), "kept too");
  await expect(mounted.close()).rejects.toMatchObject({
    code: "VOLUMES_SYNC_PENDING",
    message: expect.stringContaining("stays: late"),
  });
  expect(await readdir(place.local)).toEqual(["late"]);
  expect((await readdir(place.remote)).sort()).toEqual(["f", "new"]);
}, 30_000);

it("its process gone, what is in the cluster is cleared here, and nothing else", async () => {
  await mkdir(there("d"));
  await writeFile(there("d/f"), "1");
  await writeFile(there("g"), "1");
  const mounted = await mount({ everyMs: 60_000 });
  place.away(true);
  place.cut();
  await writeFile(here("g"), "edited");
  await writeFile(here("d/.shipside-partial-0"), "not whole");
  // As `clean` after a crash: this one, which lives, is kept from what it would do.
  await removeSynced(place.local);
  expect(await readdir(place.local)).toEqual(["g"]);
  await removeSynced(place.local);
  await rm(here("g"));
  place.away(false);
  await writeFile(here("g"), "1");
  await mounted.close().catch(() => {});
}, 30_000);

it("what is mounted inside is another volume's: it isn't copied into this one, nor taken from it", async () => {
  await mkdir(there("logs"));
  await writeFile(there("logs/hidden"), "of this volume, under the other's mount");
  const mounted = await mount({ inner: ["logs"] });
  await mkdir(here("logs"));
  await writeFile(here("logs/file"), "of the other");
  await writeFile(here("f"), "of this");
  await isIn(there("f"), "of this");
  expect(await readdir(there("logs"))).toEqual(["hidden"]);
  await rm(here("logs/file"));
  await mounted.close();
  expect([await readdir(there("logs")), await readdir(place.local)]).toEqual([["hidden"], ["logs"]]);
});

it("read-only: files can't be written here, what changes there comes all the same", async () => {
  await writeFile(there("f"), "1", { mode: 0o664 });
  await using _mounted = await mount({ readOnly: true });
  expect((await stat(here("f"))).mode & 0o777).toBe(0o444);
  await writeFile(there("f"), "22");
  await isIn(here("f"), "22");
});

it("a path that isn't there is named, and nothing is left", async () => {
  await expect(mount({ remotePath: there("absent") })).rejects.toMatchObject({ code: "VOLUMES_SUBPATH_MISSING" });
  expect(await readdir(place.local)).toEqual([]);
});
