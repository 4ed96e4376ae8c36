import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { recordOf } from "../fixtures/log-record.ts";
import { makePlace } from "../fixtures/place.ts";
import { mountAt } from "../mount-table.ts";
import { removeStaleMount } from "../unmount.ts";
import { missingForFuse } from "./driver.ts";
import { programOf } from "./fixtures/program-of.ts";

const missing = await missingForFuse();
const ROUNDS = process.env["SHIPSIDE_SOAK"] === "1" ? 100 : 3;

const program = (name: string, ...args: string[]): ChildProcess => {
  const file = fileURLToPath(new URL(`../fixtures/${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, ["--conditions=@shipside/source", file, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  child.stdout!.setEncoding("utf8");
  return child;
};
const said = async (child: ChildProcess): Promise<string> => (await once(child.stdout!, "data"))[0] as string;

/** Gone is fine. */
const kill = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL");
  } catch {}
};

describe.skipIf(missing !== undefined)("processes of a mount of our own that are killed", () => {
  it(
    `what was fsynced is on the volume, whichever is killed, at any moment (${ROUNDS} times)`,
    async () => {
      for (let round = 0; round < ROUNDS; round++) {
        await using place = await makePlace();
        const relay = program("file-server", place.remote);
        const mounter = program("mounter", String(await said(relay)).trim(), place.local, place.remote, "fuse");
        await said(mounter);
        const pids = [mounter.pid!, await programOf(place.local), relay.pid!];
        const writer = program("log-writer", join(place.local, "log"));
        let synced = "";
        writer.stdout!.on("data", (text: string) => {
          synced += text;
        });
        try {
          await once(writer.stdout!, "data");
          await sleep(Math.random() * 500);
          kill(pids[round % pids.length]!);
          const ended = await Promise.race([once(writer, "close").then(() => true), sleep(15_000, false)]);
          expect(ended, "the writer met an error").toBe(true);
          const last = Number(synced.trim().split("\n").at(-1));
          const text = await readFile(join(place.remote, "log"), "latin1");
          const expected = Array.from({ length: last + 1 }, (_, number) => recordOf(number)).join("");
          expect(text.startsWith(expected), `${last + 1} records are there`).toBe(true);
        } finally {
          for (const pid of [...pids, writer.pid!]) kill(pid);
          await removeStaleMount(place.local);
        }
        expect(await mountAt(place.local)).toBeUndefined();
      }
    },
    ROUNDS * 25_000,
  );
});
