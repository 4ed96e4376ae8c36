import { constants } from "node:fs";
import { open, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makePlace } from "../fixtures/place.ts";
import { missingForFuse } from "./driver.ts";
import { mountFuse } from "./mount.ts";

const { O_RDONLY, O_WRONLY, O_TRUNC } = constants;

describe.skipIf((await missingForFuse()) !== undefined)("what a file is opened for", () => {
  it.each([
    ["writing", O_WRONLY | O_TRUNC],
    // POSIX leaves it open; under Linux disks do it.
    ["reading", O_RDONLY | O_TRUNC],
  ])("%s, and to be emptied, it is empty, whatever was known of it", async (_, flags) => {
    await using place = await makePlace(mountFuse);
    await writeFile(join(place.remote, "f"), "text");
    await place.mount({ cacheSeconds: 60 });
    const path = join(place.local, "f");
    expect(await readFile(path, "utf8")).toBe("text");
    const file = await open(path, flags);
    expect((await file.stat()).size).toBe(0);
    if (flags === (O_RDONLY | O_TRUNC)) expect((await file.read(Buffer.alloc(4), 0, 4, 0)).bytesRead).toBe(0);
    await file.close();
    expect([(await stat(path)).size, await readFile(path, "utf8")]).toEqual([0, ""]);
    expect((await stat(join(place.remote, "f"))).size).toBe(0);
  });
});
