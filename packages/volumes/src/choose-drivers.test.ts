import type { VolumeDriver } from "@shipside/core";
import { expect, test } from "vitest";
import { chooseDrivers } from "./choose-drivers.ts";

const driver = (name: string, unable?: string, copies?: true): VolumeDriver => ({
  name,
  ...(copies && { copies }),
  unavailable: async () => unable,
  mount: () => Promise.reject(new Error("not mounted here")),
});
const copy = driver("copy", undefined, true);

test("auto takes what writes back before what copies, and says what it passed by", async () => {
  const mine = driver("mine");
  expect((await chooseDrivers([copy, mine])).map(({ driver: { name } }) => name)).toEqual(["mine", "copy"]);
  expect(await chooseDrivers([driver("mine", "there is no /dev/fuse"), copy])).toEqual([
    {
      driver: copy,
      why: "mine can't be used: there is no /dev/fuse; files are a copy made once, and nothing is written back",
    },
  ]);
  expect(await chooseDrivers([copy])).toMatchObject([{ why: expect.stringMatching(/^the only one there is; /) }]);
  const claims = { ...mine, kinds: ["persistentVolumeClaim"] };
  expect((await chooseDrivers([claims, copy])).map(({ why }) => why)).toEqual([
    "it works on this machine",
    "mine brings only persistentVolumeClaim; files are a copy made once, and nothing is written back",
  ]);
  expect(await chooseDrivers([driver("mine", "no")])).toEqual([]);
  const named = { ...mine, onlyByName: true } as const;
  expect(await chooseDrivers([named])).toEqual([]);
  expect(await chooseDrivers([named], "mine")).toMatchObject([{ driver: named }]);
});

test("one that is named is taken or refused, never replaced", async () => {
  expect(await chooseDrivers([driver("mine"), copy], "copy")).toMatchObject([{ driver: copy }]);
  await expect(chooseDrivers([driver("mine", "there is no /dev/fuse"), copy], "mine")).rejects.toMatchObject({
    code: "VOLUMES_DRIVER_UNAVAILABLE",
    message: expect.stringContaining("no /dev/fuse"),
  });
  await expect(chooseDrivers([copy], "nfs")).rejects.toMatchObject({
    code: "VOLUMES_DRIVER_UNKNOWN",
    hint: expect.stringContaining("copy, and auto"),
  });
});
