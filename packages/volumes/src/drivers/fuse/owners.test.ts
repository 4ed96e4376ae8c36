import { expect, it } from "vitest";
import { mapped, ownerHere } from "./owners.ts";

it("the ids of a user namespace are those in its ranges", () => {
  const all = mapped("         0          0 4294967295\n");
  expect([0, 1000, 4_000_000_000].map(all)).toEqual([true, true, true]);
  const container = mapped("         0       1000          1\n         1     100000      65536\n");
  expect([0, 1, 65_536, 65_537, 1_000_660_000].map(container)).toEqual([true, true, true, false, false]);
  expect(mapped("0 1000 1\n")(1000)).toBe(false);
});

it("the server's user is this one, and so is who can't be named here; all others are who they are", () => {
  const theirs = { uid: 999, gid: 998 };
  const user = { uid: 1000, gid: 1001 };
  expect(ownerHere({ uid: 999, gid: 5 }, theirs, user)).toEqual({ uid: 1000, gid: 5 });
  expect(ownerHere({ uid: 0, gid: 998 }, theirs, user)).toEqual({ uid: 0, gid: 1001 });
  const alone = { uid: 0, gid: 0, there: { uid: (id: number) => id === 0, gid: (id: number) => id < 6 } };
  expect(ownerHere({ uid: 70, gid: 5 }, theirs, alone)).toEqual({ uid: 0, gid: 5 });
  expect(ownerHere({ uid: 70, gid: 6 }, theirs, alone)).toEqual({ uid: 0, gid: 0 });
});
