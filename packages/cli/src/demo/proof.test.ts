import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { witness } from "./proof.ts";

const ORIGINAL = "127.0.0.1 localhost\n";
const lines = (owner: string): string =>
  `# >>> shipside:${owner} >>>\n127.72.0.1 leaf # shipside:${owner}\n# <<< shipside:${owner} <<<\n`;

let dir: string;
let hosts: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-proof-"));
  hosts = join(dir, "hosts");
  await writeFile(hosts, ORIGINAL);
});
afterEach(() => rm(dir, { recursive: true }));

test("nothing left: no residue, and the copy that was made meanwhile goes", async () => {
  const look = await witness(hosts);
  await writeFile(`${hosts}.shipside-backup`, ORIGINAL);
  const { hosts: proof, residue } = await look.examine();
  expect([proof.identical, proof.others, residue]).toEqual([true, false, []]);
  await expect(readFile(`${hosts}.shipside-backup`)).rejects.toMatchObject({ code: "ENOENT" });
});

test("a copy that was there before stays", async () => {
  await writeFile(`${hosts}.shipside-backup`, ORIGINAL);
  await (await witness(hosts)).examine();
  expect(await readFile(`${hosts}.shipside-backup`, "utf8")).toBe(ORIGINAL);
});

test("a byte more, and our own lines, are residue; another shipside's lines are not", async () => {
  const look = await witness(hosts);
  look.expectGone({ hostsOwner: "shipside-ours" });
  await appendFile(hosts, lines("shipside-theirs"));
  expect(await look.examine()).toMatchObject({ hosts: { identical: false, others: true }, residue: [] });
  await appendFile(hosts, lines("shipside-ours"));
  expect((await look.examine()).residue).toEqual([`${hosts} differs from what it was`]);
  await writeFile(hosts, `${ORIGINAL}\n`);
  expect((await look.examine()).residue).toEqual([`${hosts} differs from what it was`]);
});

test("files, listeners and processes that are still there are named, each", async () => {
  const look = await witness(hosts);
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const listener = `127.0.0.1:${(server.address() as { port: number }).port}`;
  const child = spawn("sleep", ["30"]);
  await look.noteProcesses();
  look.expectGone({ files: [hosts, join(dir, "gone")], listeners: [listener, "127.0.0.1:9"] });
  const { residue } = await look.examine();
  expect(residue.slice(0, 2)).toEqual([`file ${hosts}`, `listener on ${listener}`]);
  if (process.platform === "linux") expect(residue).toContain(`process ${child.pid} (sleep)`);
  child.kill();
  server.close();
  await once(child, "exit");
  expect((await look.examine()).residue.filter((what) => !what.startsWith("process"))).toEqual([`file ${hosts}`]);
  expect((await look.examine()).residue.join()).not.toContain(String(child.pid));
});
