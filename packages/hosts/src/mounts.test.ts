import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { scratchHosts } from "./fixtures/scratch.ts";

const run = promisify(execFile);
const soak = process.env["SHIPSIDE_SOAK"] === "1";
const RACE = fileURLToPath(new URL("./fixtures/race-child.ts", import.meta.url));

function mayMount(): boolean {
  try {
    execFileSync("unshare", ["--mount", "--map-root-user", "sh", "-c", "mount -t tmpfs none /mnt"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Runs `setup` (shell) and then `script` (a module's body with `openHosts` and `fs` in scope) in a mount namespace of its own. */
async function inNamespace(dir: string, setup: string, script: string): Promise<unknown> {
  const module = `
    import fs from "node:fs";
    const { openHosts } = await import(${JSON.stringify(new URL("index.ts", import.meta.url).href)});
    const leaf = [{ address: "127.72.0.1", names: ["leaf"] }];
    const big = Array.from({ length: 1000 }, (_, at) => ({ address: "127.72.1.1", names: ["service-" + at + ".some-namespace.svc.cluster.local"] }));
    const codeOf = (work) => work.then(() => "done", (error) => error.code);
    const dir = ${JSON.stringify(dir)};
    const result = await (async () => {${script}})();
    console.log(JSON.stringify(result));`;
  const shell = `set -e; cd ${dir}; ${setup}\nexec "$0" --conditions=@shipside/source --input-type=module --eval "$1"`;
  const { stdout } = await run("unshare", ["--mount", "--map-root-user", "sh", "-c", shell, process.execPath, module]);
  return JSON.parse(stdout);
}

describe.runIf(process.platform === "linux" && mayMount())("in a mount namespace", () => {
  it("writes a bind-mounted file in place, and restores it", async () => {
    await using scratch = await scratchHosts();
    const [code, inode, applied, restored, files] = (await inNamespace(
      scratch.dir,
      "echo '10.0.0.1 mine' > source; mount --bind source hosts",
      `const path = dir + "/hosts";
       const before = fs.statSync(path).ino;
       const hosts = await openHosts({ path, owner: "o" });
       const code = await codeOf(hosts.apply(big));
       const applied = fs.readFileSync(path, "latin1").split("\\n").length;
       await hosts.apply(leaf);
       const short = fs.readFileSync(path, "latin1");
       await hosts.close();
       return [code, fs.statSync(path).ino === before, [applied > 250, short], fs.readFileSync(path, "latin1"), fs.readdirSync(dir)];`,
    )) as unknown[];
    expect(code).toBe("done");
    expect(inode).toBe(true);
    expect(applied).toEqual([true, "10.0.0.1 mine\n# >>> shipside:o >>>\n127.72.0.1 leaf # shipside:o\n# <<< shipside:o <<<\n"]);
    expect(restored).toBe("10.0.0.1 mine\n");
    expect(files).toEqual(["hosts", "hosts.shipside-backup", "source"]);
  });

  it("loses nothing of a bind-mounted file to a writer that is killed at any moment", async () => {
    await using scratch = await scratchHosts();
    const result = await inNamespace(
      scratch.dir,
      "(echo '10.0.0.1 mine'; seq -f '# line %g of a person' 400; printf 'no end') > source; mount --bind source hosts",
      `const path = dir + "/hosts";
       const { spawn } = await import("node:child_process");
       const original = fs.readFileSync(path, "latin1");
       let cut = 0;
       for (let round = 0; round < ${soak ? 60 : 4}; round++) {
         const args = ["--conditions=@shipside/source", ${JSON.stringify(RACE)}, path, "victim", "100000", "400"];
         const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
         await new Promise((resolve) => child.stdout.once("data", resolve));
         await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
         child.kill("SIGKILL");
         await new Promise((resolve) => child.once("exit", resolve));
         if (fs.existsSync(path + ".shipside-write")) cut++;
         await (await openHosts({ path, owner: "victim" })).restore();
         const other = await openHosts({ path, owner: "other" });
         await other.apply(leaf);
         await other.close();
         if (fs.readFileSync(path, "latin1") !== original) return ["lost", round, fs.readFileSync(path, "latin1").slice(0, 300)];
       }
       return [cut > 0 ? "some were cut in the middle" : "none was cut", fs.readdirSync(dir)];`,
    );
    expect(result).toEqual([expect.any(String), ["hosts", "hosts.shipside-backup", "source"]]);
  });

  it("works with a file bind-mounted into a read-only tree, given a backupDir", async () => {
    await using scratch = await scratchHosts();
    const result = await inNamespace(
      scratch.dir,
      "mkdir etc side; touch etc/hosts; mount -t tmpfs none etc; touch etc/hosts; mount -o remount,ro etc; mount --bind hosts etc/hosts",
      `const path = dir + "/etc/hosts";
       const without = await codeOf((await openHosts({ path, owner: "o" })).apply(leaf));
       const hosts = await openHosts({ path, owner: "o", backupDir: dir + "/side" });
       const code = await codeOf(hosts.apply(leaf));
       const text = fs.readFileSync(path, "latin1");
       await hosts.close();
       return [without, code, text.includes("127.72.0.1 leaf"), fs.readFileSync(path, "latin1"), fs.readdirSync(dir + "/side")];`,
    );
    expect(result).toEqual(["HOSTS_UNWRITABLE", "done", true, "127.0.0.1 localhost\n", ["hosts.shipside-backup"]]);
  });

  it("says that a read-only file can't be written", async () => {
    await using scratch = await scratchHosts();
    const result = await inNamespace(
      scratch.dir,
      "mount --bind hosts hosts; mount -o remount,bind,ro hosts",
      `return codeOf((await openHosts({ path: dir + "/hosts", owner: "o" })).apply(leaf));`,
    );
    expect(result).toBe("HOSTS_UNWRITABLE");
  });

  // Pages of a tmpfs are 4 KiB: a file system of a few pages shows every place where room can end.
  it.each(soak ? [0, 1, 2, 3, 4, 8, 12, 16, 24] : [0, 4, 12])(
    "on a disk with %i KiB left fails with a code and leaves the file alone, whichever way it writes",
    async (free) => {
      for (const bind of ["", "touch bound; mount --bind disk/hosts disk/hosts"]) {
        await using scratch = await scratchHosts();
        const [code, intact, left, retried] = (await inNamespace(
          scratch.dir,
          `mkdir disk; mount -t tmpfs -o size=64k none disk; cp hosts disk/hosts; ${bind}
         head -c ${(60 - free) * 1024} /dev/zero > disk/fill || true`,
          `const path = dir + "/disk/hosts";
         const hosts = await openHosts({ path, owner: "o" });
         const code = await codeOf(hosts.apply(big));
         const intact = fs.readFileSync(path, "latin1") === "127.0.0.1 localhost\\n";
         const left = fs.readdirSync(dir + "/disk").filter((name) => !/^(fill|hosts|hosts.shipside-backup)$/.test(name));
         fs.unlinkSync(dir + "/disk/fill");
         const retried = await codeOf(hosts.apply(leaf));
         await hosts.close();
         return [code, intact, left, [retried, fs.readFileSync(path, "latin1")]];`,
        )) as unknown[];
        expect([code, intact, left]).toEqual(["HOSTS_DISK_FULL", true, []]);
        expect(retried).toEqual(["done", "127.0.0.1 localhost\n"]);
      }
    },
  );

  it("takes our lines out of a file at the end of a full disk", async () => {
    await using scratch = await scratchHosts();
    const result = await inNamespace(
      scratch.dir,
      "mkdir disk; mount -t tmpfs -o size=256k none disk; (cat hosts; head -c 20000 /dev/zero | tr '\\0' '#'; echo) > disk/hosts",
      `const path = dir + "/disk/hosts";
       const original = fs.readFileSync(path, "latin1");
       const hosts = await openHosts({ path, owner: "o" });
       await hosts.apply(big);
       const fill = fs.openSync(dir + "/disk/fill", "w");
       try { for (;;) fs.writeSync(fill, Buffer.alloc(4096)); } catch {}
       // Room for a lock file, not for a second hosts file.
       fs.ftruncateSync(fill, fs.fstatSync(fill).size - 8192);
       const code = await codeOf(hosts.close());
       return [code, fs.readFileSync(path, "latin1") === original];`,
    );
    expect(result).toEqual(["done", true]);
  });
});
