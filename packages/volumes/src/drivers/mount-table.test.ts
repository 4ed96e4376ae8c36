import { expect, test } from "vitest";
import { parseMountInfo } from "./mount-table.ts";

test("lines of mountinfo, with optional fields and without, and paths with spaces and letters of any sort", () => {
  const text = [
    "22 28 0:21 / /proc rw,nosuid shared:13 - proc proc rw",
    "98 28 0:52 / /home/ann/käse\\040und\\134brot rw,nosuid,nodev - fuse.sshfs shipside:shop/data rw,user_id=0",
    "nonsense",
    "",
  ].join("\n");
  expect(parseMountInfo(text)).toEqual([
    { device: "0:21", path: "/proc", type: "proc", source: "proc" },
    { device: "0:52", path: "/home/ann/käse und\\brot", type: "fuse.sshfs", source: "shipside:shop/data" },
  ]);
});
