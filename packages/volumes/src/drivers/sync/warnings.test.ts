import { silentLogger } from "@shipside/core";
import { expect, test } from "vitest";
import { CHANGES } from "./cycle.ts";
import { leftError, syncWarnings } from "./warnings.ts";

const none = new Map<string, string>();

test("each thing is said once: conflicts of a round together, what can't be brought until it could, the way away until it is back", () => {
  const said: string[] = [];
  const onWarning = (error: Error): void => void said.push(`${(error as Error & { code: string }).code}: ${error.message}`);
  const warnings = syncWarnings({ localPath: "/d", logger: silentLogger, onWarning });
  const take = (): string[] => said.splice(0);

  warnings.round(none);
  expect(take()).toEqual([]);
  warnings.conflict("f.conflict-desk");
  warnings.round(none);
  expect(take()).toEqual(["VOLUMES_SYNC_CONFLICT: changed here and in the cluster: the other version is /d/f.conflict-desk"]);
  for (const name of ["a", "b", "c", "d", "e", "f"]) warnings.conflict(name);
  warnings.round(none);
  expect(take()).toEqual([
    "VOLUMES_SYNC_CONFLICT: 6 files were changed here and in the cluster: the other versions in /d are a, b, c, d, e …",
  ]);

  const pending = new Map([
    ["f", "EACCES"],
    ["busy", CHANGES],
    [Buffer.from("ünï").toString("latin1"), "ENOSPC"],
  ]);
  warnings.round(pending);
  warnings.round(pending);
  const waiting = "VOLUMES_SYNC_PENDING: not the same here and in the cluster yet, in /d: ";
  expect(take()).toEqual([`${waiting}f (EACCES), ünï (ENOSPC)`]);
  warnings.round(none);
  warnings.round(new Map([["f", "EACCES"]]));
  expect(take()).toEqual([`${waiting}f (EACCES)`]);

  const gone = new Error("the way to the volume is gone");
  warnings.away(gone);
  warnings.away(gone);
  expect(take()).toEqual(["VOLUMES_SYNC_PENDING: changes in /d wait: the way to the volume is gone"]);
  warnings.round(none);
  warnings.away(gone);
  expect(take()).toHaveLength(1);
});

test("what stays here at the end", () => {
  expect(leftError("/d", ["f"]).message).toBe("a file in /d is not in the cluster, and stays: f");
  expect(leftError("/d", ["f", "g"]).message).toBe("2 files in /d are not in the cluster, and stay: f, g");
});
