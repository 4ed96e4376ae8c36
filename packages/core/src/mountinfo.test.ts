import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { expect, it } from "vitest";
import { type MountEntry, parseMountInfo } from "./mountinfo.ts";

/** As the kernel writes it: show_mountinfo() of Linux, which escapes these. */
const escaped = (text: string): string =>
  text.replace(/[ \t\n\\#]/g, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, "0")}`);

const written = ({ device, path, propagation, type, source }: MountEntry): string =>
  ["36", "35", device, "/", escaped(path), "rw,nosuid", ...propagation, "-", type, escaped(source), "rw,user_id=0"].join(" ");

const text = fc.string({
  unit: fc.constantFrom("a", "ä", "雪", "0", "1", " ", " - ", "\t", "\n", "\\", "\\040", "#", "/"),
  maxLength: 9,
});

const entry: fc.Arbitrary<MountEntry> = fc.record({
  device: fc.tuple(fc.nat(255), fc.nat(255)).map(([major, minor]) => `${major}:${minor}`),
  path: text.map((path) => `/${path}`),
  propagation: fc.subarray(["shared:1", "master:2", "propagate_from:3", "unbindable"]),
  type: fc.constantFrom("ext4", "fuse.sshfs"),
  source: text,
});

it("reads back what the kernel wrote of any paths and sources", () => {
  fc.assert(
    fc.property(fc.array(entry), (mounts) => {
      expect(parseMountInfo(`${mounts.map(written).join("\n")}\n`)).toEqual(mounts);
    }),
  );
});

it.each(["", "\n", "nonsense", "36 35 98:0 / /mnt rw", "36 35 98:0 / /mnt rw - ext4"])("finds no mount in %j", (line) => {
  expect(parseMountInfo(line)).toEqual([]);
});

it.runIf(process.platform === "linux")("reads this machine's table whole", async () => {
  const table = await readFile("/proc/self/mountinfo", "utf8");
  const mounts = parseMountInfo(table);
  expect(mounts).toHaveLength(table.trim().split("\n").length);
  expect(mounts).toContainEqual(expect.objectContaining({ path: "/proc", type: "proc" }));
});
