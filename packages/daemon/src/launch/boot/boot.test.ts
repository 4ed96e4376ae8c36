import { execFileSync, spawnSync } from "node:child_process";
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { launchdPlist } from "./launchd-plist.ts";
import { type BootService, bootPlaces } from "./places.ts";
import { changeableByOthers } from "./root-owned.ts";
import { systemdUnit } from "./systemd-unit.ts";

const root = process.getuid?.() === 0;
const service: BootService = {
  uid: 1000,
  user: "me",
  command: ["/usr/bin/true", "/usr/local/lib/shipside/1000/helper/main.js", "--uid", "1000", "--gid", "1000", "--installed"],
  input: "/usr/local/lib/shipside/1000/start.json",
};

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-boot-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const verifies = spawnSync("systemd-analyze", ["--version"]).status === 0;

test.skipIf(!verifies)("systemd finds nothing wrong with the unit", async () => {
  for (const [n, each] of [
    service,
    { ...service, user: "50 % of \\ \n me", command: ["/usr/bin/true", "a b", '"$HOME" 100%', "\\"] as const },
  ].entries()) {
    const path = join(dir, `test-${n}.service`);
    await writeFile(path, systemdUnit(each));
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", path], { encoding: "utf8" });
    expect([status, stderr.split("\n").filter((line) => line.includes("test-"))]).toEqual([0, []]);
  }
});

test("the unit's lines are as many as ever, whatever is in them", () => {
  const lines = systemdUnit(service).split("\n").length;
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string(), (user, word) => {
      const unit = systemdUnit({ ...service, user, command: ["/x", word] });
      expect(unit.split("\n")).toHaveLength(lines);
    }),
  );
});

test("the unit starts the helper for this user at boot, and again where it fails", () => {
  const unit = systemdUnit(service);
  expect(unit).toContain(`ExecStart=${service.command.join(" ")}\n`);
  expect(unit).toContain(`StandardInput=file:${service.input}\n`);
  expect(unit).toContain("WantedBy=multi-user.target\n");
  expect(unit).toContain("Restart=on-failure\n");
  expect(systemdUnit({ ...service, command: ["/a b", '$x%"'] })).toContain('ExecStart="/a b" "$$x%%\\""\n');
});

test("the property list says the same, and is well-formed whatever is in it", async () => {
  const text = launchdPlist({ ...service, command: ["/a & b", "<x>"] }, "shipside.helper.1000");
  const path = join(dir, "x.plist");
  await writeFile(path, text);
  const read = `import plistlib, json, sys; print(json.dumps(plistlib.load(open(sys.argv[1], "rb"))))`;
  const { status, stdout } = spawnSync("python3", ["-c", read, path], { encoding: "utf8" });
  // Where no reader of property lists is, its text must do.
  if (status === 0) {
    expect(JSON.parse(stdout)).toEqual({
      Label: "shipside.helper.1000",
      ProgramArguments: ["/a & b", "<x>"],
      StandardInPath: service.input,
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      ExitTimeOut: 45,
      Umask: 0o077,
    });
  }
  expect(text).toContain("<string>/a &amp; b</string>\n    <string>&lt;x&gt;</string>");
});

test("each user has a place of their own, on the systems that have one", () => {
  expect(bootPlaces(1, "linux")!.folder).not.toBe(bootPlaces(2, "linux")!.folder);
  expect(bootPlaces(1, "darwin")!.definition).toBe("/Library/LaunchDaemons/shipside.helper.1.plist");
  expect(bootPlaces(1, "win32")).toBeUndefined();
});

describe.skipIf(!root)("what somebody besides root could change", () => {
  test("a file, a folder above it, or what a link leads to", async () => {
    // Everybody may write to the temp folder.
    expect(await changeableByOthers(dir)).toMatch(/can be written by everybody/);
    expect(await changeableByOthers("/usr/bin/env")).toBeUndefined();
    const theirs = join(dir, "theirs");
    await writeFile(theirs, "");
    await chown(theirs, 1000, 0);
    expect(await changeableByOthers(theirs)).toBe(`${theirs} belongs to uid 1000`);
    await chown(theirs, 0, 1000);
    await chmod(theirs, 0o664);
    expect(await changeableByOthers(theirs)).toBe(`${theirs} can be written by group 1000`);
    const link = join(dir, "link");
    await symlink("/usr/bin/env", link);
    expect(await changeableByOthers(link)).toBeUndefined();
    const inside = join(dir, "folder");
    await mkdir(inside);
    await chown(inside, 1000, 1000);
    await writeFile(join(inside, "file"), "");
    expect(await changeableByOthers(join(inside, "file"))).toBe(`${inside} belongs to uid 1000`);
  });
});

test("no file of any package is set-user-id or set-group-id", () => {
  const packages = new URL("../../../..", import.meta.url).pathname;
  const rule = [
    "-name",
    "node_modules",
    "-prune",
    "-o",
    "-type",
    "f",
    "(",
    "-perm",
    "-4000",
    "-o",
    "-perm",
    "-2000",
    ")",
    "-print",
  ];
  const found = execFileSync("find", [packages, ...rule], { encoding: "utf8" });
  expect(found).toBe("");
});
