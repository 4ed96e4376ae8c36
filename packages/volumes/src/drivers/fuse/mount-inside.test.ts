import { chown, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Cluster } from "@shipside/kube";
import { describe, expect, it, vi } from "vitest";
import { makePlace } from "../fixtures/place.ts";
import { missingForMounts } from "../missing.ts";
import { mountAt } from "../mount-table.ts";
import { fuseDriver } from "./driver.ts";
import { openInside } from "./fixtures/inside.ts";
import { mountFuse } from "./mount.ts";

const isRoot = process.getuid?.() === 0;
const missing =
  process.platform === "linux"
    ? ((await missingForMounts({ mount: "mount", unshare: "util-linux", nsenter: "util-linux" })) ??
      (await openInside().then(
        (inside) => inside[Symbol.asyncDispose](),
        (error: Error) => error.message,
      )))
    : "it is of Linux alone";

const WAIT = { timeout: 10_000, interval: 50 };

describe.skipIf(missing !== undefined)("a drive in the user and mount namespaces of others", () => {
  const mounts = (pid: number): Promise<string> => readFile(`/proc/${pid}/mountinfo`, "utf8");

  it("is read and written there, and seen nowhere else; what lies here at its place stays as it was", async () => {
    await using inside = await openInside();
    await using place = await makePlace((options) => mountFuse({ ...options, enter: inside.enter }));
    await writeFile(join(place.remote, "row"), "there\n");
    const before = (await stat(place.local)).mode;
    const drive = await place.mount();
    expect(await inside.sh(`cat '${place.local}/row'; echo here > '${place.local}/new'`)).toBe("there\n");
    expect(await readFile(join(place.remote, "new"), "utf8")).toBe("here\n");
    expect(await inside.sh(`findmnt -n -o FSTYPE,SOURCE '${place.local}'`)).toMatch(/^fuse\.shipside\s+shipside:test\n$/);
    expect(await mountAt(place.local)).toBeUndefined();
    expect(await readdir(place.local)).toEqual([]);
    expect((await stat(place.local)).mode).toBe(before);
    await drive.close();
    await expect(inside.sh(`ls '${place.local}'`)).rejects.toMatchObject({ stderr: expect.stringContaining("not connected") });
  });

  it("is only read where that is asked for, or where it is shown so", async () => {
    await using inside = await openInside();
    await using place = await makePlace((options) => mountFuse({ ...options, enter: inside.enter }));
    const refused = { stderr: expect.stringContaining("Read-only file system") };
    await using asked = await place.mount({ readOnly: true });
    await expect(inside.sh(`echo x > '${place.local}/row'`)).rejects.toMatchObject(refused);
    await asked.close();
    await place.mount();
    await inside.sh(
      `mount --rbind '${place.local}' /srv; mount -o remount,bind,ro /srv; echo x > '${place.local}/row'; cat /srv/row`,
    );
    await expect(inside.sh("echo y > /srv/row")).rejects.toMatchObject(refused);
  });

  it("may have another one in it", async () => {
    await using inside = await openInside();
    const mount: typeof mountFuse = (options) => mountFuse({ ...options, enter: inside.enter });
    await using outer = await makePlace(mount);
    await using inner = await makePlace(mount);
    await mkdir(join(outer.remote, "inner"));
    await writeFile(join(inner.remote, "row"), "inner\n");
    await outer.mount();
    const localPath = join(outer.local, "inner");
    await mkdir(localPath);
    await inner.mount({ localPath });
    expect(await inside.sh(`cat '${localPath}/row'; echo outer > '${outer.local}/row'`)).toBe("inner\n");
    expect(await readdir(inner.remote)).toEqual(["row"]);
    expect((await readdir(outer.remote)).sort()).toEqual(["inner", "row"]);
  });

  it("what was written by who still has it open is there when it is closed, without a wait", async () => {
    await using inside = await openInside();
    await using place = await makePlace((options) => mountFuse({ ...options, enter: inside.enter }));
    const drive = await place.mount();
    await inside.sh(`{ head -c 5000000 /dev/zero; echo written; sleep 1000; } > '${place.local}/open' 2>&1 &
      until [ "$(stat -c %s '${place.local}/open')" -ge 5000008 ]; do sleep 0.02; done`);
    const began = performance.now();
    await drive.close();
    expect(performance.now() - began).toBeLessThan(900);
    expect((await stat(join(place.remote, "open"))).size).toBe(5_000_008);
  });

  it("its streams are found again when they were cut, whatever is mounted over the directory for temporary files meanwhile", async () => {
    await using inside = await openInside();
    await using place = await makePlace((options) => mountFuse({ ...options, enter: inside.enter }));
    await place.mount();
    await inside.sh(`mkdir -p /mnt && mount -t tmpfs none /mnt && mkdir /mnt/drive && mount --bind '${place.local}' /mnt/drive`);
    await inside.sh("mount -t tmpfs none /tmp; echo before > /mnt/drive/row");
    place.cut();
    await vi.waitFor(() => inside.sh("echo after > /mnt/drive/row"), WAIT);
    expect(await readFile(join(place.remote, "row"), "utf8")).toBe("after\n");
  });

  it.runIf(isRoot)("files of owners whom the namespace can't name are the user's own, as to be written to", async () => {
    await using inside = await openInside();
    await using place = await makePlace((options) => mountFuse({ ...options, enter: inside.enter }));
    await mkdir(join(place.remote, "theirs"));
    await writeFile(join(place.remote, "theirs/row"), "1\n");
    await chown(join(place.remote, "theirs/row"), 1234, 2345);
    await chown(join(place.remote, "theirs"), 0, 2345);
    await place.mount();
    const script = `cd '${place.local}/theirs'; stat -c '%u %g' . row; echo 2 >> row; chmod 640 row; echo 3 > own; mv row moved`;
    expect(await inside.sh(script)).toBe("0 0\n0 0\n");
    const moved = join(place.remote, "theirs/moved");
    expect(await readFile(moved, "utf8")).toBe("1\n2\n");
    expect(await stat(moved)).toMatchObject({ mode: 0o100640, uid: 1234, gid: 2345 });
  });

  it("it ends with the namespaces, and with the process that mounted it", async () => {
    const inside = await openInside();
    await using place = await makePlace((options) => mountFuse({ ...options, enter: inside.enter }));
    const drive = await place.mount();
    expect(await mounts(inside.pid)).toContain(dirname(place.local));
    await inside[Symbol.asyncDispose]();
    const began = performance.now();
    await drive.close();
    expect(performance.now() - began).toBeLessThan(500);
  });

  it("its process standing still, it is ended, and with it who waits", async () => {
    await using inside = await openInside();
    await using place = await makePlace((options) => mountFuse({ ...options, enter: inside.enter }));
    await place.mount();
    // In there it is known by another number.
    await inside.sh("kill -STOP $(pgrep -f [f]use/program)");
    const began = performance.now();
    await expect(inside.sh(`ls '${place.local}'`)).rejects.toMatchObject({ stderr: expect.stringMatching(/abort|not connected/) });
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(await inside.sh("pgrep -f [f]use/program || echo none")).toBe("none\n");
  }, 30_000);

  it("the driver says beforehand whether it can be had there", async () => {
    await using inside = await openInside();
    const cluster = {} as Cluster;
    const driver = fuseDriver({ cluster, owner: "ann@desk", enter: inside.enter });
    expect(driver.mounts).toBeUndefined();
    expect(await driver.unavailable()).toBeUndefined();
    await inside.sh("mount -t tmpfs -o mode=555,ro none /dev");
    expect(await driver.unavailable()).toMatch(/^\/dev\/fuse can't be opened in the namespaces: .*\/dev\/fuse/);
    await inside[Symbol.asyncDispose]();
    expect(await driver.unavailable()).toMatch(/^\/dev\/fuse can't be opened in the namespaces: nsenter: /);
  });

  it("where it can't be mounted, that is said, and nothing is left", async () => {
    await using inside = await openInside();
    await using place = await makePlace((options) => mountFuse({ ...options, enter: inside.enter }));
    await inside.sh("mount --bind /dev/null /dev/fuse");
    const refused = { code: "VOLUMES_MOUNT_FAILED", message: expect.stringContaining(place.local) };
    await expect(place.mount()).rejects.toMatchObject(refused);
    expect(await mounts(inside.pid)).not.toContain(dirname(place.local));
    await inside[Symbol.asyncDispose]();
    await expect(place.mount()).rejects.toMatchObject({
      code: "VOLUMES_MOUNT_FAILED",
      message: expect.stringContaining("nsenter"),
    });
  });
});
