import { mkdir, mkdtemp, readFile, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openAudit } from "./audit.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-audit-"));
});
afterEach(() => rm(dir, { recursive: true }));

const read = async (path: string): Promise<Array<Record<string, unknown>>> =>
  (await readFile(path, "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

test("requests are bounded in time, and what is left out is counted; the rest is always written", async () => {
  const path = join(dir, "log");
  let time = 0;
  const audit = openAudit({ path, base: { uid: 7 }, burst: 3, perSecond: 1, now: () => time });
  for (let i = 0; i < 10; i++) audit.request("listen", { port: i });
  for (let i = 0; i < 5; i++) audit.request("refused");
  audit.write("ending", { why: "x\ny" });
  time += 1_000;
  audit.request("refused");
  audit.request("refused");
  audit.close();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await read(path)).map(({ event, lines }) => [event, lines])).toEqual([
    ["listen", undefined],
    ["listen", undefined],
    ["listen", undefined],
    ["omitted", { listen: 7, refused: 5 }],
    ["ending", undefined],
    ["refused", undefined],
    ["omitted", { refused: 1 }],
  ]);
  expect((await read(path))[4]).toEqual({ time: "1970-01-01T00:00:00.000Z", uid: 7, event: "ending", why: "x\ny" });
});

test("the file is bounded in size", async () => {
  const path = join(dir, "log");
  const audit = openAudit({ path, base: {}, maxBytes: 1_000 });
  for (let i = 0; i < 100; i++) audit.write("e", { i });
  audit.close();
  expect((await stat(path)).size).toBeLessThan(1_200);
  expect((await stat(`${path}.1`)).size).toBeLessThan(1_200);
  expect((await read(path)).at(-1)).toMatchObject({ i: 99 });
});

test("a link is not followed, and a log that can't be written stops nothing", async () => {
  await symlink(join(dir, "elsewhere"), join(dir, "log"));
  const audit = openAudit({ path: join(dir, "log"), base: {} });
  audit.write("x");
  audit.close();
  await expect(stat(join(dir, "elsewhere"))).rejects.toMatchObject({ code: "ENOENT" });
  await mkdir(join(dir, "folder"));
  const none = openAudit({ path: join(dir, "folder"), base: {} });
  none.write("x");
  none.close();
});
