import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PODS } from "@shipside/kube";
import { beforeEach, describe, expect, it } from "vitest";
import { cluster, dir, namespace, read, scratch, useWorld, world } from "./fixtures/world.ts";
import { clearVolumes, volumesLeft } from "./owned-directory.ts";
import { openVolumes } from "./volumes.ts";

useWorld();
beforeEach(() => {
  const { store } = world.embedded;
  if (store.get("pods", namespace, "lacking")) store.remove("pods", namespace, "lacking");
});

describe("the directory", () => {
  const open = () => openVolumes(cluster, { workload: "pod/app", namespace, dir, only: ["conf", "keys"] });

  it("is refused where it has something in it, and that stays", async () => {
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, "mine"), "x");
    await expect(open()).rejects.toMatchObject({ code: "VOLUMES_DIR_NOT_EMPTY", details: { names: ["mine"] } });
    expect(await readdir(dir)).toEqual(["mine"]);
  });

  it("that was there stays, and so does what somebody put in meanwhile", async () => {
    await mkdir(dir, { recursive: true });
    const volumes = await open();
    await writeFile(join(dir, "etc/app/notes"), "mine");
    await volumes.close();
    expect(await readdir(dir, { recursive: true })).toEqual(["etc", "etc/app", "etc/app/notes"]);
  });

  it("is one process's at a time, and a dead one's is cleared first", async () => {
    const volumes = await open();
    await expect(open()).rejects.toMatchObject({ code: "VOLUMES_DIR_BUSY" });
    const marker = JSON.parse(await read(".shipside-volumes"));
    await volumes.close();
    // As a process that was killed leaves it: pid 4194304 is above the kernel's greatest.
    const token = marker.token.replace(/^(\w+\.\d+)\.\d+\.\d+/, "$1.4194305.1");
    await mkdir(join(dir, "etc/app/..2026_01_01_00_00_00.abcdef"), { recursive: true });
    await writeFile(join(dir, "etc/app/..2026_01_01_00_00_00.abcdef/old"), "x");
    await writeFile(join(dir, ".shipside-volumes"), JSON.stringify({ ...marker, token }));
    const again = await open();
    expect(await read("etc/app/plain")).toBe("text");
    expect((await readdir(join(dir, "etc/app"))).filter((name) => name.includes("abcdef"))).toEqual([]);
    await again.close();
    expect(await readdir(scratch)).toEqual([]);
  });

  it("is cleared for its owner, and for nobody else", async () => {
    const volumes = await openVolumes(cluster, { workload: "pod/app", namespace, dir, only: ["conf"], owner: "me" });
    const copy = join(scratch, "copy");
    await cp(dir, copy, { recursive: true, verbatimSymlinks: true });
    await volumes.close();
    expect([await volumesLeft(copy, "me"), await volumesLeft(copy, "you"), await volumesLeft(dir, "me")]).toEqual([
      true,
      false,
      false,
    ]);
    await clearVolumes(copy, "you");
    expect(await readdir(copy)).toContain(".shipside-volumes");
    await writeFile(join(copy, "mine"), "x");
    await clearVolumes(copy, "me");
    expect(await readdir(copy)).toEqual(["mine"]);
    await clearVolumes(copy, "me");
  });

  it("may be a link to one; a file, and a link that leads nowhere, are refused as what they are", async () => {
    await mkdir(join(scratch, "real"));
    await symlink(join(scratch, "real"), join(scratch, "link"));
    await symlink(join(scratch, "nowhere"), join(scratch, "broken"));
    await writeFile(join(scratch, "file"), "x");
    const at = (name: string) => openVolumes(cluster, { workload: "pod/app", namespace, dir: join(scratch, name), only: ["conf"] });
    await using volumes = await at("link");
    expect(await readFile(join(scratch, "real/etc/app/plain"), "utf8")).toBe("text");
    await expect(at("real")).rejects.toMatchObject({ code: "VOLUMES_DIR_BUSY" });
    await expect(at("file")).rejects.toMatchObject({
      code: "VOLUMES_UNWRITABLE",
      message: expect.stringContaining("no directory"),
    });
    await expect(at("broken")).rejects.toMatchObject({ code: "VOLUMES_UNWRITABLE" });
    await volumes.close();
    expect(await readdir(scratch)).toEqual(["broken", "file", "link", "real"]);
  });

  it("holds nothing after a failure on the way", async () => {
    await cluster.create(PODS, {
      metadata: { name: "lacking", namespace },
      spec: {
        volumes: [
          { name: "conf", configMap: { name: "conf" } },
          { name: "gone", secret: { secretName: "gone" } },
        ],
        containers: [
          {
            name: "main",
            image: "busybox",
            volumeMounts: [
              { name: "conf", mountPath: "/a" },
              { name: "gone", mountPath: "/b" },
            ],
          },
        ],
      },
    });
    await expect(openVolumes(cluster, { workload: "pod/lacking", namespace, dir })).rejects.toMatchObject({
      code: "VOLUMES_REFERENCE_MISSING",
      message: expect.stringContaining("Secret gone"),
    });
    expect(await readdir(scratch)).toEqual([]);
  });

  it("isn't touched for options that are wrong", async () => {
    await expect(openVolumes(cluster, { workload: "pod/app", namespace, dir: "" })).rejects.toMatchObject({
      code: "VOLUMES_OPTION_INVALID",
    });
    await expect(openVolumes(cluster, { workload: "pod/app", namespace, dir, only: ["nope"] })).rejects.toMatchObject({
      code: "VOLUMES_NOT_MOUNTED",
    });
    expect(await readdir(scratch)).toEqual([]);
  });
});
