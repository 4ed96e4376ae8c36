import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { privateMount } from "./hidden-mounts.ts";
import { findObstacle } from "./obstacle.ts";

const TABLE = `
1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
2 1 0:5 / /home rw - tmpfs tmpfs rw
3 2 0:6 / /home/an\\040n rw,nosuid shared:7 master:1 - tmpfs tmpfs rw
4 1 0:7 / /slave rw master:1 - tmpfs tmpfs rw
5 4 0:8 / /slave rw propagate_from:1 shared:9 - tmpfs tmpfs rw
6 1 0:9 / /only rw master:1 - tmpfs tmpfs rw
`;

it.each([
  ["/var/run", undefined],
  ["/homeless", undefined],
  ["/home", "/home"],
  ["/home/bob/x", "/home"],
  ["/home/an n/x", undefined],
  // Covered by one that is shared.
  ["/slave/x", undefined],
  // It gets mounts of another, and gives none.
  ["/only/x", "/only"],
])("of %s it is the mount that has it: %s", (dir, at) => {
  expect(privateMount(TABLE, dir)).toBe(at);
});

describe.runIf(process.platform === "linux" && (await findObstacle()) === undefined)("asked of the kernel", () => {
  it.each([
    ["shared", "undefined"],
    [
      "private",
      "what is mounted isn't seen in the command's namespaces, since the mounts at / are private (sudo mount --make-rshared / changes that)",
    ],
  ])("where all are %s", async (propagation, said) => {
    const look = `console.log(String(await (await import(process.argv[1])).whyMountsAreHidden("/nowhere")))`;
    const module = fileURLToPath(new URL("./hidden-mounts.ts", import.meta.url));
    const node = [process.execPath, "--conditions=@shipside/source", "--input-type=module", "-e", look, module];
    const { stdout } = await promisify(execFile)("unshare", ["-Urm", "--propagation", propagation, ...node]);
    expect(stdout).toBe(`${said}\n`);
  });
});
