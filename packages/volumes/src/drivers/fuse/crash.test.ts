import { describe, it } from "vitest";
import { program, said, survivesKills } from "../fixtures/killed.ts";
import { missingForFuse } from "./driver.ts";
import { programOf } from "./fixtures/program-of.ts";

const missing = await missingForFuse();
const ROUNDS = process.env["SHIPSIDE_SOAK"] === "1" ? 100 : 3;

describe.skipIf(missing !== undefined)("processes of a mount of our own that are killed", () => {
  it(
    `what was fsynced is on the volume, whichever is killed, at any moment (${ROUNDS} times)`,
    () =>
      survivesKills(ROUNDS, async ({ local, remote }, port) => {
        const mounter = program("mounter", port, local, remote, "fuse");
        await said(mounter);
        return { pids: [mounter.pid!, await programOf(local)] };
      }),
    ROUNDS * 25_000,
  );
});
