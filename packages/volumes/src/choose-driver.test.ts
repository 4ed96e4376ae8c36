import type { VolumeDriver } from "@shipside/core";
import { expect, test } from "vitest";
import { chooseDriver } from "./choose-driver.ts";

const driver = (name: string, unable?: string, copies?: true): VolumeDriver => ({
  name,
  ...(copies && { copies }),
  unavailable: async () => unable,
  mount: () => Promise.reject(new Error("not mounted here")),
});
const copy = driver("copy", undefined, true);

test("auto takes what writes back before what copies, and says what it passed by", async () => {
  const mine = driver("mine");
  expect(await chooseDriver([copy, mine])).toMatchObject({ driver: mine, why: "it works on this machine" });
  expect(await chooseDriver([driver("mine", "there is no /dev/fuse"), copy])).toMatchObject({
    driver: copy,
    why: "mine can't be used: there is no /dev/fuse; files are a copy made once, and nothing is written back",
  });
  expect(await chooseDriver([driver("mine", "no")])).toBeUndefined();
});

test("one that is named is taken or refused, never replaced", async () => {
  expect(await chooseDriver([driver("mine"), copy], "copy")).toMatchObject({ driver: copy });
  await expect(chooseDriver([driver("mine", "there is no /dev/fuse"), copy], "mine")).rejects.toMatchObject({
    code: "VOLUMES_DRIVER_UNAVAILABLE",
    message: expect.stringContaining("no /dev/fuse"),
  });
  await expect(chooseDriver([copy], "nfs")).rejects.toMatchObject({
    code: "VOLUMES_DRIVER_UNKNOWN",
    hint: expect.stringContaining("copy, and auto"),
  });
});
