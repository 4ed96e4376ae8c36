import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type MountWith, makePlace } from "../fixtures/place.ts";
import { mountAt } from "../mount-table.ts";
import { mountSync } from "../sync/mount.ts";
import { missingForFuse } from "./driver.ts";
import { mountFuse } from "./mount.ts";

const drives: Array<[string, MountWith]> = [["sync", mountSync as MountWith]];
if ((await missingForFuse()) === undefined) drives.push(["fuse", mountFuse]);

describe.each(drives)("by %s", (by, mountWith) => {
  // The second has "AA" for the lower halves of its letters.
  it.each(["données", "ŁŁ", "雪 💾"])("%s, and no other directory, is brought to a place of this name", async (name) => {
    await using place = await makePlace(mountWith);
    const [remotePath, localPath] = [join(place.remote, name), join(place.local, name)];
    for (const path of [remotePath, localPath, join(place.remote, "AA")]) await mkdir(path);
    await writeFile(join(remotePath, "there, é Ł"), "");
    const drive = await place.mount({ name, localPath, remotePath });
    await writeFile(join(localPath, "here, é Ł"), "");
    expect(await readdir(localPath)).toEqual(["here, é Ł", "there, é Ł"]);
    if (by === "fuse") expect(await mountAt(localPath)).toMatchObject({ path: localPath, type: "fuse.shipside" });
    await drive.close();
    expect(await mountAt(localPath)).toBeUndefined();
    expect(await readdir(remotePath)).toEqual(["here, é Ł", "there, é Ł"]);
  });
});
