import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openJournal } from "./journal.ts";
import { journalDir, readJournals } from "./journal-files.ts";
import { recover, residueLeft } from "./recover.ts";
import { makeDirectory } from "./residue/directory.ts";
import { makeEnvFile } from "./residue/env-file.ts";
import { makeHosts } from "./residue/hosts.ts";

let dir: string;
let stateDir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-recover-"));
  stateDir = join(dir, "state");
});
afterEach(() => rm(dir, { recursive: true }));

/** A process that makes every kind of residue and then waits. */
async function maker(script: string): Promise<ChildProcess> {
  const url = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const source = `
    const { openJournal } = await import(${url("journal.ts")});
    const { makeHosts } = await import(${url("residue/hosts.ts")});
    const { makeEnvFile } = await import(${url("residue/env-file.ts")});
    const { makeDirectory } = await import(${url("residue/directory.ts")});
    const { rm, writeFile } = await import("node:fs/promises");
    const journal = openJournal(${JSON.stringify(stateDir)});
    ${script}
    process.stdout.write("made");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--conditions=@shipside/source", "--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout!, "data");
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("what a killed process left is undone, in reverse; what a running one has is not touched", async () => {
  const hosts = join(dir, "hosts");
  const env = join(dir, ".env");
  await writeFile(hosts, "127.0.0.1 localhost");
  await writeFile(env, "MINE=1\n");
  const child = await maker(`
    const hosts = await makeHosts(journal, { path: ${JSON.stringify(hosts)} });
    await hosts.apply([{ address: "127.72.0.9", names: ["leaf"] }]);
    const place = await makeEnvFile(journal, ${JSON.stringify(env)});
    await place.writing({ digest: ${JSON.stringify(digest("OURS=1\n"))}, temporary: ${JSON.stringify(`${env}.tmp`)} });
    await writeFile(${JSON.stringify(env)}, "OURS=1\\n");
    const { path } = await makeDirectory(journal, "names");
    await writeFile(path + "/hosts", "x");
    await writeFile(${JSON.stringify(join(dir, "directory"))}, path);`);
  const directory = await readFile(join(dir, "directory"), "utf8");
  expect(existsSync(directory)).toBe(true);

  expect(await recover({ stateDir })).toEqual({ undone: [], failed: [], waiting: [] });
  expect(await readFile(hosts, "utf8")).toContain("leaf");
  expect((await residueLeft(stateDir)).map(({ kind, alive }) => [kind, alive])).toEqual([
    ["hosts", true],
    ["env-file", true],
    ["directory", true],
  ]);

  await kill(child);
  expect((await residueLeft(stateDir)).every(({ alive }) => !alive)).toBe(true);
  const reports = await Promise.all([recover({ stateDir }), recover({ stateDir })]);
  expect(reports.flatMap(({ failed }) => failed)).toEqual([]);
  expect(await readFile(hosts, "utf8")).toBe("127.0.0.1 localhost");
  expect(await readFile(env, "utf8")).toBe("MINE=1\n");
  expect(existsSync(directory)).toBe(false);
  expect(await residueLeft(stateDir)).toEqual([]);
  expect(await readJournals(stateDir)).toEqual([]);
});

test("a journal whose undoing was killed is abandoned again", async () => {
  const env = join(dir, ".env");
  await envFileOf(env, true);
  const claimer = await maker(`
    const { readJournals, claimJournal } = await import(${JSON.stringify(new URL("journal-files.ts", import.meta.url).href)});
    await claimJournal((await readJournals(${JSON.stringify(stateDir)}))[0]);`);
  expect((await recover({ stateDir })).undone).toEqual([]);
  expect(existsSync(env)).toBe(true);
  await kill(claimer);
  expect((await recover({ stateDir })).undone).toHaveLength(1);
  expect(existsSync(env)).toBe(false);
  expect(await readJournals(stateDir)).toEqual([]);
});

test("killed between the record and the making: what is the user's stays", async () => {
  const env = join(dir, ".env");
  await writeFile(env, "MINE=1\n");
  const child = await maker(`
    await journal.record({ kind: "env-file", data: { path: ${JSON.stringify(env)}, kept: ${JSON.stringify(`${env}.before-x`)}, digests: [] } });
    await journal.record({ kind: "hosts", data: { owner: "shipside-x", path: ${JSON.stringify(join(dir, "hosts"))} } });
    await journal.record({ kind: "directory", data: { path: "/tmp/shipside-run-never-made" } });`);
  await writeFile(join(dir, "hosts"), "127.0.0.1 localhost");
  await kill(child);
  expect((await recover({ stateDir })).failed).toEqual([]);
  expect(await readFile(env, "utf8")).toBe("MINE=1\n");
});

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");

/** A process that was killed after it wrote `OURS=1`, or at that. */
async function envFileOf(env: string, written: boolean): Promise<void> {
  const next = JSON.stringify({ digest: digest("OURS=1\n"), temporary: `${env}.tmp` });
  const child = await maker(`
    const place = await makeEnvFile(journal, ${JSON.stringify(env)});
    await place.writing(${next});
    await writeFile(${JSON.stringify(written ? env : `${env}.tmp`)}, "OURS=1\\n".slice(0, ${written ? 9 : 3}));`);
  await kill(child);
}

test("what has gone by itself by then, or was never made, is told from what is undone", async () => {
  const hosts = join(dir, "hosts");
  await writeFile(hosts, "127.0.0.1 localhost\n");
  await kill(
    await maker(`
    await makeDirectory(journal, "stays");
    await rm((await makeDirectory(journal, "goes")).path, { recursive: true });
    await makeEnvFile(journal, ${JSON.stringify(join(dir, ".env"))});
    await journal.record({ kind: "hosts", data: { owner: "shipside-x", path: ${JSON.stringify(hosts)} } });`),
  );
  const { undone } = await recover({ stateDir });
  expect(undone.map(({ kind, gone }) => [kind, gone])).toEqual([
    ["hosts", true],
    ["env-file", true],
    ["directory", true],
    ["directory", undefined],
  ]);
});

test("an env file that somebody has edited since is kept aside, never lost, and that is said", async () => {
  const env = join(dir, ".env");
  await envFileOf(env, true);
  await writeFile(env, "OURS=1\nMINE=2\n");
  const { undone } = await recover({ stateDir });
  expect(undone).toMatchObject([{ what: `env file ${env}`, said: expect.stringContaining(`kept as ${env}.kept`) }]);
  expect(existsSync(env)).toBe(false);
  expect(await readFile(`${env}.kept`, "utf8")).toBe("OURS=1\nMINE=2\n");
});

test("an env file goes that was about to be replaced, with what was to replace it", async () => {
  const env = join(dir, ".env");
  await envFileOf(env, true);
  await writeFile(`${env}.tmp`, "OU");
  expect((await recover({ stateDir })).undone).toHaveLength(1);
  expect([existsSync(env), existsSync(`${env}.tmp`)]).toEqual([false, false]);
});

test("killed before anything was written: a file that a person puts there is theirs", async () => {
  const env = join(dir, ".env");
  await kill(await maker(`await makeEnvFile(journal, ${JSON.stringify(env)});`));
  await writeFile(env, "MINE=1\n");
  expect((await recover({ stateDir })).undone).toHaveLength(1);
  expect(await readFile(env, "utf8")).toBe("MINE=1\n");
});

test("what can't be undone stays recorded, and the rest is undone", async () => {
  const child = await maker(`
    await journal.record({ kind: "of the future", data: {} });
    await journal.record({ kind: "directory", data: { path: ${JSON.stringify(dir)} } });
    await makeDirectory(journal, "x");`);
  await kill(child);
  const { undone, failed } = await recover({ stateDir });
  expect(undone).toHaveLength(1);
  expect(failed.map(({ entry }) => entry.kind).sort()).toEqual(["directory", "of the future"]);
  expect(existsSync(dir)).toBe(true);
  expect((await readJournals(stateDir)).map(({ outstanding }) => outstanding.length)).toEqual([2]);
  // The next try is only for what is left; and who doesn't want another one says so.
  expect((await recover({ stateDir })).undone).toEqual([]);
  expect((await recover({ stateDir, forget: true })).failed).toHaveLength(2);
  expect(await readJournals(stateDir)).toEqual([]);
});

test("what a session of a running process could not undo is anybody's to try again", async () => {
  await using journal = openJournal(stateDir);
  await journal.record({ kind: "directory", data: { path: "/tmp/shipside-run-never-made" } }, "s1");
  await journal.record({ kind: "directory", data: { path: "/tmp/shipside-run-in-use" } }, "s2");
  await journal.endSession("s1");
  expect((await recover({ stateDir })).undone.map(({ session }) => session)).toEqual(["s1"]);
  expect(journal.outstanding.map(({ session }) => session)).toEqual(["s2"]);
});

test("made and undone in good order, nothing is left, not even the journal", async () => {
  const hostsPath = join(dir, "hosts");
  await writeFile(hostsPath, "127.0.0.1 localhost\n");
  {
    await using journal = openJournal(stateDir);
    await using hosts = await makeHosts(journal, { path: hostsPath });
    await hosts.apply([{ address: "127.72.0.9", names: ["leaf"] }]);
    expect(await readFile(hostsPath, "utf8")).toContain("leaf");
    const place = await makeEnvFile(journal, join(dir, "env"));
    await place.writing({ digest: digest("A=1"), temporary: join(dir, "env.tmp") });
    await writeFile(join(dir, "env"), "A=1");
    const directory = await makeDirectory(journal, "d");
    await directory.remove();
    await place.remove();
  }
  expect(await readFile(hostsPath, "utf8")).toBe("127.0.0.1 localhost\n");
  expect(existsSync(join(dir, "env"))).toBe(false);
  expect(existsSync(journalDir(stateDir))).toBe(false);
});
