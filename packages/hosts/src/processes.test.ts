import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { scratchHosts } from "./fixtures/scratch.ts";
import { openHosts } from "./hosts-file.ts";

const run = promisify(execFile);
const RACE = new URL("./fixtures/race-child.ts", import.meta.url);
const HOLD = new URL("./fixtures/hold-lock.ts", import.meta.url);
const node = (fixture: URL, ...args: string[]): ChildProcess =>
  spawn(process.execPath, ["--conditions=@shipside/source", fileURLToPath(fixture), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });

describe("several processes", () => {
  it("race without losing a line of anybody", async () => {
    const original = "127.0.0.1 localhost\n10.0.0.1 mine\n";
    await using scratch = await scratchHosts(original);
    const children = Array.from({ length: 5 }, (_, at) => node(RACE, scratch.path, `owner${at}`, "12"));
    // One of them dies at a moment that nobody chose.
    const victim = children[4] as ChildProcess;
    victim.stdout?.once("data", () => setTimeout(() => victim.kill("SIGKILL"), 15));
    const codes = await Promise.all(children.map(async (child) => (await once(child, "exit"))[0]));
    expect(codes.slice(0, 4)).toEqual([0, 0, 0, 0]);
    const text = await scratch.read();
    expect(text.startsWith(original)).toBe(true);
    for (let at = 0; at < 4; at++) {
      expect(text.split("\n").filter((line) => line.endsWith(`# shipside:owner${at}`))).toEqual([
        `127.72.0.1 owner${at}-last # shipside:owner${at}`,
      ]);
    }
    for (let at = 0; at < 5; at++) await (await openHosts({ path: scratch.path, owner: `owner${at}` })).restore();
    expect(await scratch.read()).toBe(original);
    await using last = await openHosts({ path: scratch.path, owner: "sweeper" });
    await last.apply([{ address: "127.72.0.1", names: ["x"] }]);
    expect(await scratch.files()).toEqual(["hosts", "hosts.shipside-backup"]);
    expect(await readFile(`${scratch.path}.shipside-backup`, "latin1")).toBe(original);
  });

  it("succeed one that was killed while it held the lock, and clear up after it", async () => {
    await using scratch = await scratchHosts();
    const holder = node(HOLD, scratch.path, "holder");
    await once(holder.stdout as NonNullable<typeof holder.stdout>, "data");
    const path = scratch.path;
    const entries = [{ address: "127.72.0.1", names: ["x"] }];
    await using hosts = await openHosts({ path, owner: "o", lockTimeoutMs: 50 });
    await expect(hosts.apply(entries)).rejects.toMatchObject({
      code: "HOSTS_LOCKED",
      details: { pid: holder.pid, owner: "holder" },
    });
    const lock = JSON.parse(await readFile(`${path}.shipside-lock`, "utf8")) as { token: string };
    await writeFile(`${path}.shipside-tmp-${lock.token}`, "half a file");
    await writeFile(`${path}.shipside-lock-${lock.token}`, "half a lock");
    holder.kill("SIGKILL");
    await once(holder, "exit");
    await hosts.apply(entries);
    await hosts.restore();
    expect(await scratch.files()).toEqual(["hosts", "hosts.shipside-backup"]);
  });

  it("are told when they may not write", async () => {
    await using scratch = await scratchHosts();
    await chmod(scratch.path, 0o444);
    await chmod(scratch.dir, 0o555);
    const script = `
      const { openHosts } = await import(${JSON.stringify(new URL("index.ts", import.meta.url).href)});
      // Modes bind nobody who is root.
      if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
      const hosts = await openHosts({ path: ${JSON.stringify(scratch.path)}, owner: "o", reportConflicts: false });
      const entries = [{ address: "127.72.0.1", names: ["x"] }];
      const plan = await hosts.plan(entries);
      const error = await hosts.apply(entries).catch((error) => error);
      await hosts.close();
      console.log(JSON.stringify([plan.unchanged, error.code, error.cause.code, error.hint.includes("root")]));`;
    const { stdout } = await run(process.execPath, ["--conditions=@shipside/source", "--input-type=module", "--eval", script]);
    expect(JSON.parse(stdout)).toEqual([false, "HOSTS_UNWRITABLE", "EACCES", true]);
    expect(await scratch.files()).toEqual(["hosts"]);
  });
});
