import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { openNamespace } from "./namespace.ts";

describe.runIf(process.platform === "linux")("entering namespaces", () => {
  it("a command's output is its starter's; it is the user, sees their hosts file, and ends with their processes when it is killed", async () => {
    await using namespace = await openNamespace();
    await namespace.hosts.apply([{ address: "10.96.120.95", names: ["web"] }]);
    const script = "id -u; head -n 1 /etc/hosts; echo $$; exec sleep 1003";
    const [program = "", ...words] = namespace.enter(["sh", "-c", script]);
    const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
    const gone = once(child, "exit");
    const lines = createInterface({ input: child.stdout });
    const said: string[] = [];
    for await (const line of lines) {
      // Its output ends with the last process that has it.
      if (said.push(line) === 3) child.kill("SIGTERM");
    }
    await gone;
    expect(said.join("\n")).toMatch(new RegExp(`^${process.getuid!()}\\n10\\.96\\.120\\.95 web\\n\\d+$`));
  });

  it("their root mounts there, and that can be shown at another path, though nothing is mounted here", async () => {
    const dir = await mkdtemp(join(tmpdir(), "rootless-entered-"));
    onTestFinished(() => rm(dir, { recursive: true }));
    await using namespace = await openNamespace();
    const run = async (command: readonly string[], options: { asRoot?: boolean } = {}): Promise<string> => {
      const [program = "", ...words] = namespace.enter(command, options);
      return (await promisify(execFile)(program, words)).stdout;
    };
    const script = `id -u; mount -t tmpfs none '${dir}'; echo inside > '${dir}/row'`;
    expect(await run(["sh", "-ec", script], { asRoot: true })).toBe("0\n");
    await namespace.mount({ source: dir, target: "/srv" });
    expect(await run(["cat", "/srv/row"])).toBe("inside\n");
    expect(await readdir(dir)).toEqual([]);
  });

  it.runIf(process.getuid?.() === 0)("what is mounted outside and isn't seen there isn't shown, and that is said", async () => {
    const dir = await mkdtemp(join(tmpdir(), "rootless-unseen-"));
    const mount = (...words: string[]): unknown => execFileSync("mount", words);
    onTestFinished(async () => {
      execFileSync("umount", ["--recursive", dir]);
      await rm(dir, { recursive: true });
    });
    mount("--bind", dir, dir);
    mount("--make-private", dir);
    const source = join(dir, "drive");
    await mkdir(source);
    await using namespace = await openNamespace();
    mount("-t", "tmpfs", "none", source);
    const message = expect.stringContaining("is a mount that is not seen in the namespaces");
    await expect(namespace.mount({ source, target: "/srv" })).rejects.toMatchObject({ code: "ROOTLESS_MOUNT", message });
  });
});
