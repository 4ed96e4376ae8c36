import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { scratchHosts } from "./fixtures/scratch.ts";

/** What a process has loaded after it applied and restored, as a privileged one would. */
async function loadedBy(reportConflicts: boolean): Promise<string[]> {
  await using scratch = await scratchHosts();
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    const { openHosts } = await import(${JSON.stringify(new URL("index.ts", import.meta.url).href)});
    const hosts = await openHosts({ path: ${JSON.stringify(scratch.path)}, owner: "o", reportConflicts: ${reportConflicts} });
    await hosts.apply([{ address: "127.72.0.1", names: ["leaf"] }]);
    await hosts.close();
    console.log(JSON.stringify(loaded));`;
  const args = ["--conditions=@shipside/source", "--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return (JSON.parse(stdout) as string[]).filter((url) => url.includes("/node_modules/") && !url.includes("/@shipside/"));
}

describe("module graph", () => {
  it("has no third-party code for a process that only writes", async () => {
    expect(await loadedBy(false)).toEqual([]);
    expect((await loadedBy(true)).some((url) => url.includes("/hostile/"))).toBe(true);
  });

  it("of the writing half has none that could be loaded either", async () => {
    // Every import of every module it reaches, those that are only made later included.
    const seen = new Set<string>();
    const foreign = new Set<string>();
    const visit = (url: URL): void => {
      if (seen.has(url.href)) return;
      seen.add(url.href);
      for (const [, specifier = ""] of readFileSync(url, "utf8").matchAll(/(?:\bfrom |\bimport\(|^import )"([^"]+)"/gm)) {
        if (specifier.startsWith(".")) visit(new URL(specifier, url));
        else if (!specifier.startsWith("node:") && specifier !== "@shipside/core") foreign.add(specifier);
      }
    };
    visit(new URL("write.ts", import.meta.url));
    expect([...foreign]).toEqual([]);
    expect(seen.size).toBeGreaterThan(5);
    seen.clear();
    visit(new URL("index.ts", import.meta.url));
    expect([...foreign]).toEqual(["hostile"]);
  });
});
